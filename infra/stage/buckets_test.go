package stage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestBucketNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, bucket, want string // an empty want is for a valid name
	}{
		{"plain", "example-images", ""},
		{"shortest", "abc", ""},
		{"longest", strings.Repeat("a", 63), ""},
		{"digits", "0123", ""},
		{"account-namespace", "images-123456789012-us-west-2-an", ""},
		{"empty", "", "invalid bucket name"},
		{"too-short", "ab", "invalid bucket name"},
		{"too-long", strings.Repeat("a", 64), "invalid bucket name"},
		{"upper-case", "Images", "invalid bucket name"},
		{"underscore", "example_images", "invalid bucket name"},
		{"period", "images.example.com", "invalid bucket name"},
		{"hyphen-first", "-images", "invalid bucket name"},
		{"hyphen-last", "images-", "invalid bucket name"},
		{"reserved-xn", "xn--images", "invalid bucket name"},
		{"reserved-sthree", "sthree-images", "invalid bucket name"},
		{"reserved-demo", "amzn-s3-demo-images", "invalid bucket name"},
		{"access-point", "images-s3alias", "invalid bucket name"},
		{"object-lambda", "images--ol-s3", "invalid bucket name"},
		{"directory-bucket", "images--usw2-az1--x-s3", "invalid bucket name"},
		{"table-bucket", "images--table-s3", "invalid bucket name"},
		{"namespace-suffix", "images-an", "invalid bucket name"},
		{"namespace-of-another-account", "images-210987654321-us-west-2-an", "invalid bucket name"},
		{"namespace-of-another-region", "images-123456789012-us-west-1-an", "invalid bucket name"},
		{"of-this-stage", "archeio-test-123456789012-us-west-2-an", "is the name of a bucket that a stage creates"},
		{"of-another-stage", "archeio-other-210987654321-me-south-1", "is the name of a bucket that a stage creates"},
		{"of-the-prefix", "own-123456789012-us-west-2", "is the name of a bucket that a stage creates"},
		{"state", "own-state-123456789012-us-west-2", "is the name of a bucket that a stage creates"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(stages(t, fmt.Sprintf(`{"mirrors": ["eu-central-1", "us-west-2"], "mirrorPrefix": "own", "buckets": {"us-west-2": %q}}`, tt.bucket)))
			if tt.want != "" {
				refused(t, err, "buckets.us-west-2: ", tt.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBucketsAreDifferent(t *testing.T) {
	t.Parallel()
	_, err := Load(stages(t, `{"mirrors": ["eu-central-1", "us-east-1", "us-west-2"], "buckets": {"us-east-1": "images", "us-west-2": "images"}}`))
	refused(t, err, `buckets.us-west-2: duplicate bucket "images": want one for each region`)

	const stage = `{"account": "123456789012", "mirrors": ["eu-central-1", "us-west-2"], "redirectors": ["eu-central-1"], "upstream": {"endpoint": "https://a.example"}, "mirrorPrefix": "own"`
	for _, tt := range []struct{ name, first, second, want string }{
		{"other", `, "buckets": {"us-west-2": "a-bucket"}`, `, "buckets": {"us-west-2": "another-bucket"}`, ""},
		{"same", `, "buckets": {"us-west-2": "a-bucket"}`, `, "buckets": {"us-west-2": "a-bucket"}`, `stage "second": buckets.us-west-2="a-bucket": is a mirror of the stage "first" too: want a bucket for each`},
		{"created", ``, `, "mirrorPrefix": "other", "buckets": {"us-west-2": "own-123456789012-us-west-2-an"}`, `stage "second": buckets.us-west-2="own-123456789012-us-west-2-an": is a mirror of the stage "first" too: want a bucket for each`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load([]byte(`{"first": ` + stage + tt.first + `}, "second": ` + strings.Replace(stage, `, "mirrorPrefix": "own"`, "", 1) + tt.second + `}}`))
			if got := fmt.Sprint(err); tt.want != "" && got != tt.want || tt.want == "" && err != nil {
				t.Errorf("Load: %v, want %s", err, tt.want)
			}
		})
	}
}

// Everything that follows from the name of a bucket uses that of an existing one.
func TestExistingBucket(t *testing.T) {
	t.Parallel()
	s := load(t, `{"mirrors": ["eu-central-1", "us-west-2"], "redirectors": ["us-west-2"], "buckets": {"us-west-2": "example-images"}}`)
	const url = "https://example-images.s3.dualstack.us-west-2.amazonaws.com"
	c, err := s.Config("us-west-2")
	if err != nil {
		t.Fatal(err)
	}
	if c.Mirrors[1].URL != url || c.DefaultMirrorCheck != url || s.MirrorURL("us-west-2") != url {
		t.Errorf("mirror URLs %q, %q and %q, want %q", c.Mirrors[1].URL, c.DefaultMirrorCheck, s.MirrorURL("us-west-2"), url)
	}
	f, err := s.Fill()
	if err != nil {
		t.Fatal(err)
	}
	if b := f.Buckets[1]; b.Name != "example-images" || b.Region != "us-west-2" {
		t.Errorf("the functions fill %+v", b)
	}
	if r, err := s.Refresh(); err != nil || r.Buckets[1].Name != "example-images" {
		t.Errorf("the refresher: %v, %v", r, err)
	}
	// It is not the stage's to keep, adopt or delete.
	if slices.ContainsFunc(s.RetainedBuckets(), func(b Retained) bool { return b.Name == "example-images" }) {
		t.Errorf("retained buckets %v", s.RetainedBuckets())
	}
}

// IAM refuses a longer policy when the stack is deployed.
func TestFillerPolicySize(t *testing.T) {
	t.Parallel()
	all := everywhere(t)
	for _, s := range all {
		if n := s.FillerPolicySize(); n > 8000 {
			t.Errorf("stage %s: a policy of %d characters", s.Name, n)
		}
	}
	var mirrors, buckets []string
	for i, region := range all[len(all)-1].Mirrors {
		mirrors = append(mirrors, fmt.Sprintf("%q", region))
		if i > 0 {
			buckets = append(buckets, fmt.Sprintf(`%q: "%s%02d"`, region, strings.Repeat("a", 40), i))
		}
	}
	_, err := Load(stages(t, `{"mirrors": [`+strings.Join(mirrors, ",")+`], "buckets": {`+strings.Join(buckets, ",")+`}}`))
	refused(t, err, "buckets: the policy of the functions that fill the mirrors has up to ", "characters, IAM allows 10240: want fewer or shorter names")
	short := strings.ReplaceAll(strings.Join(buckets, ","), strings.Repeat("a", 40), "a")
	if all, err := Load(stages(t, `{"mirrors": [`+strings.Join(mirrors, ",")+`], "buckets": {`+short+`}}`)); err != nil || len(all[0].Mirrors) < 31 {
		t.Errorf("a short name in all regions: %v", err)
	}
}
