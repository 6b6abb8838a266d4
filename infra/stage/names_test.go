package stage

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"archeio/lambda/config"
	"archeio/ranges/regions"
)

// fromFile returns the stages of cdk.json.
func fromFile(t *testing.T) []*Stage {
	t.Helper()
	text, err := os.ReadFile("../../cdk.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Context struct{ Stages json.RawMessage }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatalf("cdk.json: %v", err)
	}
	all, err := Load(file.Context.Stages)
	if err != nil {
		t.Fatalf("cdk.json: %v", err)
	}
	return all
}

// everywhere returns the stages of cdk.json and one for each front that is in all
// regions.
func everywhere(t *testing.T) []*Stage {
	t.Helper()
	var names, withURLs []string
	for r := range regions.All("AWS") {
		if r.Partition == "aws" {
			names = append(names, r.Name)
			if HasFunctionURL(r.Name) {
				withURLs = append(withURLs, r.Name)
			}
		}
	}
	list := func(names []string) string { return `["` + strings.Join(names, `", "`) + `"]` }
	all := fromFile(t)
	for front, redirectors := range map[string][]string{"cloudfront": withURLs, "alb": names, "both": withURLs} {
		all = append(all, load(t, `{"mirrors": `+list(names)+`, "redirectors": `+list(redirectors)+`, "front": "`+front+`", "domain": "example.com", `+withZone+`}`))
	}
	return all
}

// The regions with Lambda function URLs, read on 2026-11-26 from
// https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html and from the
// resource types by region in cfn-lint 1.53.3, whose rule E3006 make lint runs for every
// template. A region that is in neither list must be looked up.
func TestHasFunctionURL(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for has, names := range map[bool]string{
		true: "af-south-1 ap-east-1 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-southeast-1 ap-southeast-2 ap-southeast-3 ca-central-1 eu-central-1 " +
			"eu-north-1 eu-south-1 eu-west-1 eu-west-2 eu-west-3 me-south-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2",
		false: "ap-east-2 ap-south-2 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-west-1 eu-central-2 eu-south-2 il-central-1 me-central-1 mx-central-1",
	} {
		for _, name := range strings.Fields(names) {
			known[name] = true
			if got := HasFunctionURL(name); got != has {
				t.Errorf("HasFunctionURL(%q) = %v, want %v", name, got, has)
			}
		}
	}
	for r := range regions.All("AWS") {
		if r.Partition == "aws" && !known[r.Name] {
			t.Errorf("%s: unknown whether it has function URLs", r.Name)
		}
	}
}

func TestStagesOfFile(t *testing.T) {
	t.Parallel()
	all := fromFile(t)
	find := func(name string) *Stage {
		s, err := Find(all, name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := find("smallest"); len(s.Mirrors) != 1 || len(s.Redirectors) != 1 || s.Domain != "" || !s.HasDistribution() {
		t.Errorf("stage smallest: mirrors %v, redirectors %v, domain %q, want one region and no domain", s.Mirrors, s.Redirectors, s.Domain)
	}
	if s := find("production"); len(s.Mirrors) < 30 || len(s.Redirectors) != 8 || !s.Protected {
		t.Errorf("stage production: %d mirrors, %d redirectors, protected %v, want 30 or more, 8, true", len(s.Mirrors), len(s.Redirectors), s.Protected)
	}
	find("sandbox")
	if !slices.IsSortedFunc(all, func(a, b *Stage) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the stages are not sorted by name")
	}
}

func TestBucket(t *testing.T) {
	t.Parallel()
	s := load(t, `{"mirrors": ["eu-central-1", "me-south-1", "me-central-1"], "mirrorPrefix": "images"}`)
	for region, want := range map[string]string{
		"eu-central-1": "images-123456789012-eu-central-1-an",
		"me-south-1":   "images-123456789012-me-south-1",
		"me-central-1": "images-123456789012-me-central-1",
	} {
		if got := s.Bucket(region); got != want {
			t.Errorf("Bucket(%q) = %q, want %q", region, got, want)
		}
	}
}

func TestStateBucket(t *testing.T) {
	t.Parallel()
	for home, want := range map[string]string{
		"eu-central-1": "images-state-123456789012-eu-central-1-an",
		"me-south-1":   "images-state-123456789012-me-south-1",
	} {
		s := load(t, `{"mirrors": ["eu-central-1", "me-south-1"], "mirrorPrefix": "images", "home": "`+home+`", "primary": "eu-central-1"}`)
		if got := s.StateBucket(); got != want {
			t.Errorf("StateBucket with the home in %s = %q, want %q", home, got, want)
		}
	}
}

// The functions that fill the mirrors write to the buckets of the stage, the
// primary first, and their state is in none of them.
func TestFillOfStages(t *testing.T) {
	t.Parallel()
	for _, s := range everywhere(t) {
		f, err := s.Fill()
		if err != nil {
			t.Errorf("stage %s: %v", s.Name, err)
			continue
		}
		env := f.Env()
		again, err := config.LoadFill(func(name string) string { return env[name] })
		if err != nil || !reflect.DeepEqual(f, again) {
			t.Errorf("stage %s: %+v is loaded again as %+v, %v", s.Name, f, again, err)
		}
		want := []config.Bucket{{Name: s.Bucket(s.Primary), Region: s.Primary}}
		for _, region := range s.Replicas() {
			want = append(want, config.Bucket{Name: s.Bucket(region), Region: region, Filling: slices.Contains(s.Filling, region)})
		}
		if !slices.Equal(f.Buckets, want) {
			t.Errorf("stage %s: buckets %v, want %v", s.Name, f.Buckets, want)
		}
		if f.State != (config.Bucket{Name: s.StateBucket(), Region: s.Home}) || slices.ContainsFunc(f.Buckets, func(b config.Bucket) bool { return b.Name == f.State.Name }) || len(f.State.Name) > 63 {
			t.Errorf("stage %s: the state bucket is %v", s.Name, f.State)
		}
		if want := "https://sqs." + s.Primary + ".amazonaws.com/" + s.Account + "/archeio-" + s.Name + "-fill"; f.Queue != want {
			t.Errorf("stage %s: queue %q, want %q", s.Name, f.Queue, want)
		}
		// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
		if name := s.DeadFillQueue(); name != "archeio-"+s.Name+"-fill-dead" || len(name) > 80 {
			t.Errorf("stage %s: dead-letter queue %q", s.Name, name)
		}
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	const secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:upstream-AbCdEf"
	const upstream = `"upstream": {"endpoint": "https://a.example:8443/", "path": "project/images", "regional": {"eu-central-1": "https://b.example"}}`
	for _, tt := range []struct {
		name, changes string
		got           func(*config.Fill) any
		want          any
	}{
		// The regional endpoints are for clients only.
		{"source", `{` + upstream + `}`, func(f *config.Fill) any { return f.Source }, "a.example:8443/project/images"},
		{"source-no-path", `{"upstream": {"endpoint": "https://a.example"}}`, func(f *config.Fill) any { return f.Source }, "a.example"},
		{"source-loopback", `{"upstream": {"endpoint": "http://127.0.0.1:5000", "path": "images"}}`, func(f *config.Fill) any { return f.Source }, "127.0.0.1:5000/images"},
		{"rate-default", `{}`, func(f *config.Fill) any { return f.Rate }, 5.0},
		{"rate", `{"fill": {"rate": 10, "workers": 3}}`, func(f *config.Fill) any { return f.Rate }, 10.0 / 3},
		{"referrers-default", `{}`, func(f *config.Fill) any { return f.Referrers }, true},
		{"referrers", `{"fill": {"referrers": false}}`, func(f *config.Fill) any { return f.Referrers }, false},
		{"filters", `{"fill": {"repositories": ["pause", "team/**"], "tags": ["v*"], "excludeTags": ["*-rc*"], "platforms": ["linux/*"], "allowEmpty": true}}`,
			func(f *config.Fill) any {
				return fmt.Sprint(f.Repositories, f.Tags, f.ExcludeTags, f.Platforms, f.AllowEmpty)
			},
			"[pause team/**] [v*] [*-rc*] [linux/*] true"},
		{"no-filters", `{}`, func(f *config.Fill) any {
			return len(f.Repositories) + len(f.Tags) + len(f.ExcludeTags) + len(f.Platforms)
		}, 0},
		{"secret-default", `{}`, func(f *config.Fill) any { return f.Secret }, ""},
		{"secret", `{"publishes": true, "fill": {"secret": "` + secret + `"}}`, func(f *config.Fill) any { return f.Secret }, secret},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := load(t, tt.changes).Fill()
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.got(f); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestBucketsOfStages(t *testing.T) {
	t.Parallel()
	for _, s := range everywhere(t) {
		seen := map[string]bool{}
		for _, region := range s.Mirrors {
			name := s.Bucket(region)
			plain := region == "me-south-1" || region == "me-central-1"
			if AccountNamespace(region) == plain || strings.HasSuffix(name, "-an") == plain {
				t.Errorf("stage %s: bucket %q in %s is in the wrong namespace", s.Name, name, region)
			}
			// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
			if len(name) > 63 || len(name) < 3 || strings.ContainsAny(name, "._") || strings.ToLower(name) != name {
				t.Errorf("stage %s: %q is not a valid bucket name", s.Name, name)
			}
			// The account makes the name unique among stages, the region within one.
			if !strings.Contains(name, s.Account) || !strings.Contains(name, region) || seen[name] {
				t.Errorf("stage %s: the name of bucket %q in %s is not unique", s.Name, name, region)
			}
			seen[name] = true
		}
	}
}

// The functions read mirrors from the URLs of the stage's buckets.
func TestConfigOfStages(t *testing.T) {
	t.Parallel()
	for _, s := range everywhere(t) {
		for _, region := range s.Redirectors {
			c, err := s.Config(region)
			if err != nil {
				t.Errorf("stage %s, %s: %v", s.Name, region, err)
				continue
			}
			env := c.Env()
			again, err := config.Load(func(name string) string { return env[name] })
			if err != nil {
				t.Errorf("stage %s, %s: loading its environment again: %v", s.Name, region, err)
				continue
			}
			if len(again.Mirrors) != len(s.Mirrors) {
				t.Errorf("stage %s, %s: %d mirrors, want %d", s.Name, region, len(again.Mirrors), len(s.Mirrors))
				continue
			}
			for i, m := range again.Mirrors {
				if m.Region != s.Mirrors[i] || m.URL != "https://"+s.Bucket(m.Region)+".s3.dualstack."+m.Region+".amazonaws.com" {
					t.Errorf("stage %s, %s: the mirror in %s has the URL %s, not that of its bucket", s.Name, region, m.Region, m.URL)
				}
			}
			if c.Region != region {
				t.Errorf("stage %s, %s: Config has the region %q", s.Name, region, c.Region)
			}
			defaultMirror(t, s, region, c)
		}
	}
}

// defaultMirror checks that the default mirror is the distribution, and is checked
// in the nearest bucket.
func defaultMirror(t *testing.T, s *Stage, region string, c *config.Config) {
	t.Helper()
	wantMirror, wantHeader := "", ""
	switch {
	case s.Front == ALB: // no distribution
	case s.Front == CloudFront:
		wantMirror, wantHeader = "/", "cloudfront-viewer-address"
	default:
		wantMirror, wantHeader = "https://"+s.Domain, "cloudfront-viewer-address"
	}
	if c.DefaultMirror != wantMirror {
		t.Errorf("stage %s, %s: default mirror %q, want %q", s.Name, region, c.DefaultMirror, wantMirror)
	}
	if c.ClientAddressHeader != wantHeader {
		t.Errorf("stage %s, %s: client address header %q, want %q", s.Name, region, c.ClientAddressHeader, wantHeader)
	}
	if s.Front == ALB {
		if c.DefaultMirrorCheck != "" {
			t.Errorf("stage %s, %s: the default mirror is checked in %q, but there is none", s.Name, region, c.DefaultMirrorCheck)
		}
		return
	}
	i := slices.IndexFunc(s.Mirrors, func(mirror string) bool { return s.MirrorURL(mirror) == c.DefaultMirrorCheck })
	if i < 0 {
		t.Errorf("stage %s, %s: the default mirror is checked in %q, which is not a mirror", s.Name, region, c.DefaultMirrorCheck)
		return
	}
	distance := func(mirror string) float64 {
		a, _ := regions.Find("AWS", region)
		b, _ := regions.Find("AWS", mirror)
		return regions.Distance(a.Point, b.Point)
	}
	for _, other := range s.Mirrors {
		if distance(other) < distance(s.Mirrors[i]) {
			t.Errorf("stage %s, %s: the default mirror is checked in %s, but %s is nearer", s.Name, region, s.Mirrors[i], other)
		}
	}
}

// A configured mirror URL is used for redirects and for checks.
func TestConfigWithMirrorURLs(t *testing.T) {
	t.Parallel()
	const own = "https://localhost:4566/images"
	s := load(t, `{"mirrors": ["eu-central-1", "me-south-1"], "mirrorURLs": {"eu-central-1": "`+own+`"}}`)
	c, err := s.Config("eu-central-1")
	if err != nil {
		t.Fatal(err)
	}
	if c.Mirrors[0].URL != own || c.DefaultMirrorCheck != own {
		t.Errorf("mirror URL %q, default mirror checked in %q, want %q", c.Mirrors[0].URL, c.DefaultMirrorCheck, own)
	}
	if want := "https://archeio-test-123456789012-me-south-1.s3.dualstack.me-south-1.amazonaws.com"; c.Mirrors[1].URL != want {
		t.Errorf("mirror URL in me-south-1 %q, want %q", c.Mirrors[1].URL, want)
	}
}

func TestStack(t *testing.T) {
	t.Parallel()
	for _, s := range everywhere(t) {
		// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-using-console-create-stack-parameters.html
		if name := s.Stack("redirector", "ap-southeast-1"); len(name) > 128 || name != "archeio-"+s.Name+"-redirector-ap-southeast-1" {
			t.Errorf("Stack = %q", name)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"us-east-1", "eu-central-1", "eu-west-1"}
	frankfurt, _ := regions.Find("AWS", "eu-central-1")
	for _, tt := range []struct{ except, want int }{{-1, 1}, {1, 2}, {2, 1}} {
		if got := Nearest(names, frankfurt.Point, tt.except); got != tt.want {
			t.Errorf("Nearest without %d = %d, want %d", tt.except, got, tt.want)
		}
	}
	if got := Nearest(names[:1], frankfurt.Point, 0); got != -1 {
		t.Errorf("Nearest without the only one = %d, want -1", got)
	}
}
