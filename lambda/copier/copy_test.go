package copier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"archeio/lambda/config"
	"archeio/scripts/stack"
)

// servers are a registry with images in it and two empty buckets: real ones.
type servers struct {
	*stack.Stack
	source  string
	buckets []*Bucket
	// blobs are all that the images have.
	blobs map[string]bool
}

func start(t *testing.T) *servers {
	t.Helper()
	s, err := stack.Start(t.Context(), stack.Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	out := &servers{Stack: s, source: strings.TrimPrefix(s.Upstream, "http://") + "/" + stack.Prefix, blobs: map[string]bool{}}
	for _, region := range stack.Regions {
		out.buckets = append(out.buckets, NewBucket("mirror-"+region, s.Client(region)))
	}
	return out
}

func (s *servers) ref(t *testing.T, path string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(s.source + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// push publishes a random image.
func (s *servers) push(t *testing.T, path string, image v1.Image) v1.Image {
	t.Helper()
	if err := remote.Write(s.ref(t, path), image); err != nil {
		t.Fatal(err)
	}
	s.collect(t, image)
	return image
}

func (s *servers) collect(t *testing.T, image v1.Image) {
	t.Helper()
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	s.blobs[manifest.Config.Digest.String()] = true
	for _, l := range manifest.Layers {
		s.blobs[l.Digest.String()] = true
	}
}

func image(t *testing.T, size, layers int64) v1.Image {
	t.Helper()
	i, err := random.Image(size, layers)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// fill publishes images of several kinds that share a layer.
func (s *servers) fill(t *testing.T) {
	t.Helper()
	base := s.push(t, "base:v1", image(t, 50_000, 3))
	layers, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	app, err := mutate.AppendLayers(mutate.MediaType(image(t, 1000, 2), types.OCIManifestSchema1), layers[0])
	if err != nil {
		t.Fatal(err)
	}
	s.push(t, "team/app:v1", app)
	s.push(t, "team/app:v2", image(t, 0, 1))
	amd, arm := image(t, 20_000, 2), image(t, 20_000, 2)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: amd}, mutate.IndexAddendum{Add: arm})
	if err := remote.WriteIndex(s.ref(t, "team/multi:v1"), index); err != nil {
		t.Fatal(err)
	}
	s.collect(t, amd)
	s.collect(t, arm)
}

func (s *servers) options(t *testing.T, transport http.RoundTripper) Options {
	t.Helper()
	source, err := NewSource(s.source, SourceOptions{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return Options{Source: source, Buckets: s.buckets, Memory: &Memory{}}
}

// whole looks at every object of a bucket: each hashes to its key, and all of
// the blobs are there.
func (s *servers) whole(t *testing.T, b *Bucket, client *s3.Client) {
	t.Helper()
	held, err := b.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for digest := range held {
		o, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b.Name, Key: aws.String(config.BlobPrefix + digest.String())})
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(o.Body)
		o.Body.Close()
		if err != nil || Digest(sha256.Sum256(content)) != digest {
			t.Errorf("%s: %s does not hash to its key (%v)", b.Name, digest, err)
		}
		if aws.ToString(o.CacheControl) != cacheControl {
			t.Errorf("%s: %s has Cache-Control %q", b.Name, digest, aws.ToString(o.CacheControl))
		}
		if !s.blobs[digest.String()] {
			t.Errorf("%s: nobody knows %s", b.Name, digest)
		}
	}
	if len(held) != len(s.blobs) {
		t.Errorf("%s has %d blobs, the images have %d", b.Name, len(held), len(s.blobs))
	}
}

func (s *servers) allWhole(t *testing.T) {
	t.Helper()
	for i, region := range stack.Regions {
		s.whole(t, s.buckets[i], s.Client(region))
	}
}

func TestCopy(t *testing.T) {
	s := start(t)
	s.fill(t)
	var requests counter
	o := s.options(t, &requests)
	plan, err := Make(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Repositories != 3 || plan.Manifests != 6 || plan.Fetched != 6 || plan.Blobs != len(s.blobs) ||
		len(plan.Lacks[0]) != len(s.blobs) || len(plan.Errors) != 0 {
		t.Errorf("plan %+v of %d blobs", plan, len(s.blobs))
	}
	result, err := Copy(t.Context(), o, plan)
	if err != nil || len(result.Errors) != 0 || result.Copied != 2*len(s.blobs) {
		t.Errorf("result %+v, error %v, want %d copies", result, err, 2*len(s.blobs))
	}
	s.allWhole(t)

	// The second run asks for no manifest and no blob: the catalog, a page of
	// tags a repository and a HEAD a tag are all, with the pings before them.
	requests.fetched.Store(0)
	plan, err = Make(t.Context(), o)
	if err != nil || plan.Fetched != 0 || len(plan.Lacks[0])+len(plan.Lacks[1]) != 0 {
		t.Errorf("second plan %+v, error %v", plan, err)
	}
	if n := requests.fetched.Load(); n != 0 {
		t.Errorf("the second run fetched %d manifests and blobs", n)
	}

	// What a bucket lost is copied again, although all manifests are known.
	lost := config.BlobPrefix + anyOf(s.blobs)
	if _, err := s.Client(stack.Regions[1]).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &s.buckets[1].Name, Key: &lost}); err != nil {
		t.Fatal(err)
	}
	plan, err = Make(t.Context(), o)
	if err != nil || len(plan.Lacks[0]) != 0 || len(plan.Lacks[1]) != 1 {
		t.Fatalf("after a loss the plan is %+v, error %v", plan, err)
	}
	if result, err := Copy(t.Context(), o, plan); err != nil || result.Copied != 1 {
		t.Errorf("result %+v, error %v", result, err)
	}
	s.allWhole(t)

	// A moved tag is noticed.
	s.push(t, "team/app:v1", image(t, 3000, 1))
	plan, err = Make(t.Context(), o)
	if err != nil || plan.Fetched != 1 || len(plan.Lacks[0]) != 2 {
		t.Errorf("after a moved tag the plan is %+v, error %v", plan, err)
	}
}

func anyOf(set map[string]bool) string {
	for key := range set {
		return key
	}
	return ""
}

// counter counts what is fetched.
type counter struct{ fetched atomic.Int64 }

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet && (strings.Contains(r.URL.Path, "/manifests/") || strings.Contains(r.URL.Path, "/blobs/")) {
		c.fetched.Add(1)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// Two runs at once do no harm.
func TestTwoRuns(t *testing.T) {
	s := start(t)
	s.fill(t)
	results := make(chan error, 2)
	for range 2 {
		o := s.options(t, nil)
		plan, err := Make(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			result, err := Copy(context.WithoutCancel(t.Context()), o, plan)
			if err == nil {
				err = errors.Join(result.Errors...)
			}
			results <- err
		}()
	}
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	s.allWhole(t)
}

// faulty does to answers what networks and registries do, one in three of
// them, the same each time.
type faulty struct {
	random *rand.Rand
	mu     chan struct{}
	faults atomic.Int64
}

func (f *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu <- struct{}{}
	n := f.random.IntN(18)
	<-f.mu
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	isBlob := strings.Contains(r.URL.Path, "/blobs/") && r.Method == http.MethodGet
	answer := func(status int) (*http.Response, error) {
		f.faults.Add(1)
		resp.Body.Close()
		return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: http.Header{"Retry-After": {"0"}}, Body: http.NoBody, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}, nil
	}
	switch {
	case n == 0:
		return answer(http.StatusTooManyRequests)
	case n == 1:
		return answer(http.StatusInternalServerError)
	case n == 2:
		f.faults.Add(1)
		resp.Body.Close()
		return nil, errors.New("connection reset by peer")
	case n <= 5 && isBlob:
		f.faults.Add(1)
		content, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		switch {
		case n == 3: // cut off
			content = content[:len(content)/2]
		case n == 4 && len(content) > 0: // another byte
			content = bytes.Clone(content)
			content[len(content)/2] ^= 1
		default: // longer
			content = append(content, 'x')
		}
		resp.Body = io.NopCloser(bytes.NewReader(content))
	}
	return resp, nil
}

// After the last run every blob hashes to its key, and none is missing or
// partial.
func TestFaults(t *testing.T) {
	s := start(t)
	s.fill(t)
	for i := range 8 {
		s.push(t, fmt.Sprintf("many/image-%d:v1", i), image(t, 2000, 4))
	}
	f := &faulty{random: rand.New(rand.NewPCG(1, 2)), mu: make(chan struct{}, 1)}
	for run := 1; ; run++ {
		o := s.options(t, f)
		plan, err := Make(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		result, err := Copy(t.Context(), o, plan)
		if err != nil {
			t.Fatal(err)
		}
		for i, region := range stack.Regions {
			held, err := s.buckets[i].List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(result.Errors) > 0 && len(held) == 0 {
				t.Logf("run %d: %s is empty", run, region)
			}
		}
		if len(result.Errors) == 0 {
			t.Logf("whole after %d runs and %d faults", run, f.faults.Load())
			break
		}
		if run == 10 {
			t.Fatalf("not whole after %d runs: %v", run, result.Errors)
		}
	}
	s.allWhole(t)
	if f.faults.Load() < 20 {
		t.Errorf("only %d faults", f.faults.Load())
	}
}

// One bad image does not stop the others.
func TestBadImage(t *testing.T) {
	s := start(t)
	s.fill(t)
	honest := s.push(t, "bad/lie:honest", image(t, 1000, 1))
	config, err := honest.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	lie := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":7},"layers":[]}`, config)
	if err := remote.Put(s.ref(t, "bad/lie:v1"), raw(lie)); err != nil {
		t.Fatal(err)
	}
	o := s.options(t, nil)
	plan, err := Make(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	result, err := Copy(t.Context(), o, plan)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Errors) == 0 {
		t.Error("a size that is a lie is no error")
	}
	for _, err := range result.Errors {
		if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "bad/lie") && !strings.Contains(err.Error(), "blob") {
			t.Errorf("error %q is not one line about an image", err)
		}
	}
	if held, err := s.buckets[0].List(t.Context()); err != nil || len(held) < len(s.blobs)-1 {
		t.Errorf("only %d of %d blobs were copied (%v)", len(held), len(s.blobs), err)
	}
}

// raw is a manifest as it is.
type raw []byte

func (r raw) RawManifest() ([]byte, error)        { return r, nil }
func (r raw) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// A blob above the size of a single PUT goes up in parts, and appears only as a
// whole.
func TestParts(t *testing.T) {
	s := start(t)
	b := s.buckets[0]
	b.largestPut, b.partSize = 6<<20, 5<<20
	content := make([]byte, 12<<20+5)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(content)
	blob := Blob{Digest(sha256.Sum256(content)).String(), int64(len(content))}
	s.blobs[blob.Digest] = true
	for _, tt := range []struct {
		name    string
		content []byte
		want    error
	}{
		{"cut-off", content[:len(content)-1], ErrContent},
		{"longer", append(bytes.Clone(content), 1), ErrContent},
		{"other-byte", append([]byte{content[0] ^ 1}, content[1:]...), ErrContent},
		{"right", content, nil},
		{"again", content, ErrExists},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := b.Put(t.Context(), blob, bytes.NewReader(tt.content), ""); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			held, err := b.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := tt.want == nil || tt.want == ErrExists; (len(held) == 1) != want {
				t.Errorf("the bucket has %v", held)
			}
			uploads, err := s.Client(stack.Regions[0]).ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &b.Name})
			if err != nil || len(uploads.Uploads) != 0 {
				t.Errorf("%d unfinished uploads stay behind (%v)", len(uploads.Uploads), err)
			}
		})
	}
	s.whole(t, b, s.Client(stack.Regions[0]))
}

// An error of S3 is one line that says what to do.
func TestBucketErrors(t *testing.T) {
	s := start(t)
	b := NewBucket("nobody-has-it", s.Client(stack.Regions[0]))
	_, err := b.List(t.Context())
	if err == nil || !strings.Contains(err.Error(), `bucket "nobody-has-it": listing: there is no such bucket`) {
		t.Errorf("error %v", err)
	}
}
