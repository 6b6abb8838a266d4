package copier

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
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
	"archeio/lambda/registry"
	"archeio/scripts/lab/system"
)

// running is shared by all tests, as starting it takes more than a second.
var running *system.System

var startOnce = sync.OnceValue(func() (err error) {
	running, err = system.Start(context.Background(), system.Options{Log: io.Discard})
	return err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if running != nil {
		running.Stop()
	}
	os.Exit(code)
}

// servers are a prefix of the registry and two empty buckets of one test.
type servers struct {
	*system.System
	source  string
	buckets []*Bucket
	// blobs are the digests of all blobs of the images.
	blobs map[string]bool
}

var fresh atomic.Int64

func start(t *testing.T) *servers {
	t.Helper()
	if err := startOnce(); err != nil {
		t.Fatal(err)
	}
	out := &servers{System: running, blobs: map[string]bool{},
		source: fmt.Sprintf("%s/test-%d/images", strings.TrimPrefix(running.Upstream, "http://"), fresh.Add(1))}
	for _, region := range system.Regions {
		out.buckets = append(out.buckets, out.bucket(t, region))
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

// push publishes an image.
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

// fill publishes images of several kinds, some with a common layer.
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
	source, err := registry.New(s.source, registry.Options{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return Options{Source: source, Buckets: s.buckets, Manifests: &ManifestCache{}}
}

// whole checks that every object of a bucket matches its digest, and that no blob
// is missing.
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
			t.Errorf("%s: %s does not match its digest (%v)", b.Name, digest, err)
		}
		if aws.ToString(o.CacheControl) != cacheControl {
			t.Errorf("%s: %s has Cache-Control %q", b.Name, digest, aws.ToString(o.CacheControl))
		}
		if !s.blobs[digest.String()] {
			t.Errorf("%s: no image has %s", b.Name, digest)
		}
	}
	if len(held) != len(s.blobs) {
		t.Errorf("%s has %d blobs, want %d", b.Name, len(held), len(s.blobs))
	}
}

func (s *servers) allWhole(t *testing.T) {
	t.Helper()
	for _, b := range s.buckets {
		s.whole(t, b, b.client)
	}
}

func anyOf(set map[string]bool) string {
	for key := range set {
		return key
	}
	return ""
}

// counter counts fetched manifests and blobs.
type counter struct{ fetched atomic.Int64 }

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet && (strings.Contains(r.URL.Path, "/manifests/") || strings.Contains(r.URL.Path, "/blobs/")) {
		c.fetched.Add(1)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// bucket creates an empty bucket on the server of a region.
func (s *servers) bucket(t *testing.T, region string) *Bucket {
	t.Helper()
	name := fmt.Sprintf("fresh-%d", fresh.Add(1))
	client := s.S3(region)
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	return NewBucket(name, client)
}

// put writes an object without verifying it and returns its ETag.
func put(t *testing.T, b *Bucket, digest string, content []byte) string {
	t.Helper()
	o, err := b.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b.Name, Key: key(digest), Body: strings.NewReader(string(content))})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(o.ETag)
}

// content returns the content of an object, nil if it does not exist.
func content(t *testing.T, b *Bucket, digest string) []byte {
	t.Helper()
	o, err := b.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b.Name, Key: key(digest)})
	if code(err) == "NoSuchKey" {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer o.Body.Close()
	data, err := io.ReadAll(o.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// held lists a bucket.
func held(t *testing.T, b *Bucket) map[Digest]int64 {
	t.Helper()
	held, err := b.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// noUploads checks that no multipart upload is left.
func noUploads(t *testing.T, b *Bucket) {
	t.Helper()
	uploads, err := b.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &b.Name})
	if err != nil || len(uploads.Uploads) != 0 {
		t.Errorf("%d unfinished uploads in %s (%v)", len(uploads.Uploads), b.Name, err)
	}
}

// noise returns reproducible random content and its blob.
func noise(seed byte, size int) ([]byte, registry.Blob) {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	return data, blobOf(data)
}

func blobOf(data []byte) registry.Blob {
	return registry.Blob{Digest: Digest(sha256.Sum256(data)).String(), Size: int64(len(data))}
}

// wire is between a client and a server, and can respond itself.
type wire func(r *http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

// respond returns a response that a wire sends itself.
func respond(r *http.Request, status int, header http.Header, body string) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Header: header,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}, nil
}

// refuse returns an error response of S3.
func refuse(r *http.Request, status int, code string) (*http.Response, error) {
	return respond(r, status, http.Header{"Content-Type": {"application/xml"}}, "<Error><Code>"+code+"</Code><Message>refused by the test</Message></Error>")
}

// through is a bucket with a transport.
func through(b *Bucket, w http.RoundTripper) *Bucket {
	o := b.client.Options()
	o.HTTPClient = &http.Client{Transport: w}
	out := *b
	out.client = s3.New(o)
	return &out
}

// tally counts requests by kind.
type tally struct {
	next http.RoundTripper
	kind func(*http.Request) string

	mu sync.Mutex
	n  map[string]int
}

func newTally(next http.RoundTripper, kind func(*http.Request) string) *tally {
	return &tally{next: next, kind: kind, n: map[string]int{}}
}

func (c *tally) RoundTrip(r *http.Request) (*http.Response, error) {
	c.count(c.kind(r))
	return c.next.RoundTrip(r)
}

func (c *tally) count(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[kind]++
}

// take returns the counts, sorted by kind, and resets them.
func (c *tally) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(c.n), "map["), "]")
	c.n = map[string]int{}
	return text
}

// atSource returns the kind of a request to a registry.
func atSource(r *http.Request) string {
	switch path := r.URL.Path; {
	case path == "/v2/":
		return "ping-" + r.URL.Scheme
	case path == "/v2/_catalog":
		return "catalog"
	case strings.HasSuffix(path, "/tags/list"):
		return "tags"
	case strings.Contains(path, "/manifests/") && r.Method == http.MethodHead:
		return "head"
	case strings.Contains(path, "/manifests/"):
		return "manifest"
	case strings.Contains(path, "/referrers/"):
		return "referrers"
	case strings.Contains(path, "/blobs/"):
		return "blob"
	default:
		return r.Method + " " + path
	}
}

// atBucket returns the kind of a request to S3.
func atBucket(r *http.Request) string {
	switch q := r.URL.Query(); {
	case q.Has("list-type"):
		return "list"
	case r.Header.Get("X-Amz-Copy-Source") != "":
		return "copy"
	case q.Has("uploads"), q.Has("uploadId"):
		return "upload"
	default:
		return strings.ToLower(r.Method)
	}
}

// oneLineOf checks that an error is one line with all of some words.
func oneLineOf(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", words)
		return
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q has several lines", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not contain %q", err, word)
		}
	}
}

// planAndCopy does what a shell command does.
func planAndCopy(ctx context.Context, t *testing.T, o Options) (*Plan, *Result) {
	t.Helper()
	o.group = 1 // each part by itself
	plan, result, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return plan, result
}

// Digests in the order of their names.
var (
	a = "sha256:" + strings.Repeat("a", 64)
	b = "sha256:" + strings.Repeat("b", 64)
)

var errReset = errors.New("connection reset by peer")
