package copier

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"archeio/lambda/registry"
	"archeio/scripts/lab/rude"
)

// faulty injects faults of networks and servers into one in three requests and
// responses.
type faulty struct {
	next http.RoundTripper
	// bucket is true for S3, false for a registry.
	bucket bool

	mu     sync.Mutex
	random *rand.Rand
	faults map[string]int
}

func (f *faulty) dice(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.random.IntN(n)
}

func (f *faulty) count(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[kind]++
}

func (f *faulty) total() (n int) {
	for _, kind := range f.faults {
		n += kind
	}
	return n
}

func (f *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.bucket {
		return f.atBucket(r)
	}
	n := f.dice(20)
	switch {
	case n == 0:
		f.count("429")
		return respond(r, http.StatusTooManyRequests, http.Header{"Retry-After": {"0"}}, "")
	case n == 1:
		f.count("500")
		return respond(r, http.StatusInternalServerError, nil, "")
	case n == 2:
		f.count("reset")
		return nil, errReset
	}
	resp, err := f.next.RoundTrip(r)
	if err != nil || n > 7 || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
		return resp, err
	}
	if n == 3 {
		f.count("slow")
		resp.Body = slow{resp.Body}
		return resp, nil
	}
	content, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	switch {
	case n == 4:
		f.count("cut-off")
		content = content[:len(content)/2]
	case n == 5:
		f.count("broken-off")
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(content[:len(content)/2]), broken{}))
		return resp, nil
	case n == 6 && len(content) > 0:
		f.count("other-byte")
		content = bytes.Clone(content)
		content[len(content)/2] ^= 1
	default:
		f.count("longer")
		content = append(content, 'x')
	}
	resp.Body = io.NopCloser(bytes.NewReader(content))
	return resp, nil
}

func (f *faulty) atBucket(r *http.Request) (*http.Response, error) {
	lost := func() (*http.Response, error) {
		if resp, err := f.next.RoundTrip(r); err == nil {
			resp.Body.Close()
		}
		return nil, errReset
	}
	switch n := f.dice(30); {
	case n == 0:
		f.count("s3-503")
		return refuse(r, http.StatusServiceUnavailable, "SlowDown")
	case n == 1:
		f.count("s3-500")
		return refuse(r, http.StatusInternalServerError, "InternalError")
	case n == 2 && r.Method == http.MethodPut:
		f.count("s3-409")
		return refuse(r, http.StatusConflict, "ConditionalRequestConflict")
	case n == 3:
		f.count("s3-reset")
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, errReset
	case n == 4:
		f.count("s3-response-lost")
		return lost()
	}
	return f.next.RoundTrip(r)
}

// slow reads a few bytes at a time.
type slow struct{ io.ReadCloser }

func (s slow) Read(p []byte) (int, error) {
	return s.ReadCloser.Read(p[:min(len(p), 512)])
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errReset }

// TestFaults tests that after the last run every blob matches its digest, and none
// is missing or partial, despite network faults and killed runs. Its waits pass at once;
// real servers have faults in the tests of archeio mirror.
func TestFaults(t *testing.T) {
	t.Parallel()
	content := rudeContent()
	synctest.Test(t, func(t *testing.T) { copyWithFaults(t, content) })
}

func copyWithFaults(t *testing.T, content *rude.Content) {
	s, err := rude.NewInMemory(content)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	transport := s.Transport()
	defer transport.CloseIdleConnections()
	source := &faulty{next: transport, random: rand.New(rand.NewPCG(1, 2)), faults: map[string]int{}}
	client, err := registry.New(s.Source(), registry.Options{Transport: source, Keychain: rudeLogin{s}})
	if err != nil {
		t.Fatal(err)
	}
	memory := newMemory()
	atBuckets := &faulty{next: wire(memory.Do), bucket: true, random: rand.New(rand.NewPCG(3, 4)), faults: map[string]int{}}
	o := Options{Source: client, Referrers: true}
	for _, name := range []string{"primary", "replica"} {
		b := through(memory.bucket(name, "us-east-1"), atBuckets)
		b.maxPutSize, b.partSize = 4_000, 3_000 // the largest blobs are uploaded in parts
		o.Buckets = append(o.Buckets, b)
	}
	want := s.Want(rude.Run{Referrers: true})
	kills := 0
	for run := 1; ; run++ {
		o.Manifests = &ManifestCache{}
		ctx, cancel := context.WithCancel(t.Context())
		if run <= 5 { // killed at a random time
			time.AfterFunc(time.Duration(source.dice(4000))*time.Millisecond, cancel)
		}
		err := oneRun(ctx, o)
		killed := ctx.Err() != nil
		cancel()
		if killed {
			kills++
		} else if err == nil {
			t.Logf("complete after %d runs, %d kills and %d faults: %v %v", run, kills, source.total()+atBuckets.total(), source.faults, atBuckets.faults)
			break
		}
		if run == 20 {
			t.Fatalf("not complete after %d runs: %v", run, err)
		}
	}
	for _, b := range o.Buckets {
		if got := memory.blobs(b); len(got) != len(want.Blobs) {
			t.Errorf("%s has %d blobs, want %d", b.Name, len(got), len(want.Blobs))
		}
		checkBlobs(t, memory.blobs(b), want, rude.Full, "")
	}
	if n := source.total() + atBuckets.total(); n < 50 || kills == 0 {
		t.Errorf("only %d faults and %d kills", n, kills)
	}
}

// oneRun returns the errors of one run.
func oneRun(ctx context.Context, o Options) error {
	plan, err := NewPlan(ctx, o)
	if err != nil {
		return err
	}
	result, err := Copy(ctx, o, plan)
	if err != nil {
		return err
	}
	return errors.Join(result.Errors...)
}
