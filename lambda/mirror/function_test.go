package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"archeio/lambda/build"
	"archeio/lambda/config"
	"archeio/lambda/copier"
	"archeio/lambda/index"
	"archeio/lambda/registry"
	"archeio/scripts/lab/queue"
	"archeio/scripts/lab/rude"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/system"
)

// lines is a buffer that a process may write to while a test reads it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestMain stops the servers after the tests.
func TestMain(m *testing.M) {
	// Most tests wait for a deadline and not for a processor.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	code := m.Run()
	if started != nil {
		started.Stop()
	}
	os.Exit(code)
}

// started is the system that the tests share.
var started *system.System

var startOnce = sync.OnceValue(func() (err error) {
	started, err = system.Start(context.Background(), system.Options{Log: io.Discard})
	return err
})

// deployment is a repository prefix of the registry, two buckets, and the functions
// that copy from one to the other.
type deployment struct {
	*system.System
	Queue   *queue.Queue
	api     *runtimeapi.API
	source  string
	buckets []string
	state   copier.StateBucket
	log     *lines
	blobs   map[string]bool
	// bootstrap, env and process are the functions.
	bootstrap string
	env       map[string]string
	process   *runtimeapi.Process
	// limit is the time limit of one invocation with a payload that limited matches; nil
	// for any. Another has a minute.
	limit   time.Duration
	limited *regexp.Regexp
}

// deploy starts the functions with buckets and a prefix of that name, in the system
// that the tests share. front wraps the registry as the functions see it; nil for
// nothing.
func deploy(t *testing.T, name string, limit time.Duration, front func(upstream http.Handler) http.Handler) *deployment {
	t.Helper()
	if err := startOnce(); err != nil {
		t.Fatal(err)
	}
	return deployIn(t, started, name, limit, "", front)
}

// deployIn does so in a system, with a source other than its registry if there is one.
func deployIn(t *testing.T, s *system.System, name string, limit time.Duration, source string, front func(upstream http.Handler) http.Handler) *deployment {
	t.Helper()
	client := s.S3(system.Regions[0])
	d := &deployment{System: s, log: &lines{}, blobs: map[string]bool{}, limit: limit}
	d.source = cmp.Or(source, d.Source()+"/"+name)
	d.buckets = []string{name + "-primary", name + "-replica"}
	d.state = copier.StateBucket{Name: name + "-state", Client: client}
	for _, bucket := range append(d.buckets, d.state.Name) {
		if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if d.Queue, err = queue.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Queue.Close() })
	c := config.Fill{Source: d.source, State: config.Bucket{Name: d.state.Name}, Queue: d.Queue.URL(), Referrers: true}
	for _, bucket := range d.buckets {
		c.Buckets = append(c.Buckets, config.Bucket{Name: bucket, Region: system.Regions[0]})
	}
	if front != nil {
		u, err := url.Parse(d.Upstream)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(front(httputil.NewSingleHostReverseProxy(u)))
		t.Cleanup(server.Close)
		c.Source = strings.TrimPrefix(server.URL, "http://") + "/" + system.Prefix + "/" + name
	}
	env := c.Env()
	maps.Copy(env, d.SDKEnv(system.Regions[0]))
	env["AWS_ENDPOINT_URL_SQS"] = d.Queue.Endpoint()
	d.env = env
	if d.bootstrap, err = build.Bootstrap(t.Context(), "mirror"); err != nil {
		t.Fatal(err)
	}
	if d.api, err = runtimeapi.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.api.Close() })
	if d.process, err = d.api.Start(d.bootstrap, env, d.log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.process.Stop)
	return d
}

func (d *deployment) push(t *testing.T, path string, size, layers int64) {
	t.Helper()
	image, err := random.Image(size, layers)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(d.source + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	d.collect(t, image)
}

func (d *deployment) collect(t *testing.T, image v1.Image) {
	t.Helper()
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range append(manifest.Layers, manifest.Config) {
		d.blobs[l.Digest.String()] = true
	}
}

// invoke invokes the function once, with a deadline.
func (d *deployment) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	limit := d.limit
	if d.limited != nil && !d.limited.Match(payload) {
		limit = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return d.api.Invoke(ctx, payload)
}

// work invokes the planner and then lets the workers empty the queue.
func (d *deployment) work(t *testing.T, event string) {
	t.Helper()
	if _, err := d.invoke(t.Context(), []byte(event)); err != nil {
		t.Fatalf("%v\n%s", err, d.log)
	}
	if err := d.Queue.Drain(t.Context(), 2, d.invoke); err != nil {
		t.Fatal(err)
	}
}

// whole checks every object of both buckets.
func (d *deployment) whole(t *testing.T) {
	t.Helper()
	client := d.S3(system.Regions[0])
	for _, bucket := range d.buckets {
		held, err := copier.NewBucket(bucket, client).List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for digest := range held {
			key := config.BlobPrefix + digest.String()
			o, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(o.Body)
			o.Body.Close()
			if err != nil || sha256.Sum256(content) != digest || !d.blobs[digest.String()] {
				t.Errorf("%s: %s does not hash to its key, or no image has it (%v)", bucket, digest, err)
			}
		}
		if len(held) != len(d.blobs) {
			t.Errorf("%s has %d blobs, the images have %d\n%s", bucket, len(held), len(d.blobs), d.log)
		}
	}
}

// remove deletes one blob from a bucket.
func (d *deployment) remove(t *testing.T, bucket string) {
	t.Helper()
	for digest := range d.blobs {
		key := config.BlobPrefix + digest
		if _, err := d.S3(system.Regions[0]).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
		return
	}
}

// TestFunctions fills the mirrors as the deployed functions do: the planner
// enqueues repositories, and the workers copy them.
func TestFunctions(t *testing.T) {
	t.Parallel()
	var fetched lockedCount
	d := deploy(t, "functions", 10*time.Second, func(upstream http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && (strings.Contains(r.URL.Path, "/manifests/") || strings.Contains(r.URL.Path, "/blobs/")) {
				fetched.add()
			}
			upstream.ServeHTTP(w, r)
		})
	})
	for i := range 5 {
		d.push(t, fmt.Sprintf("team-%d/app:v1", i), 1000, 2)
		d.push(t, fmt.Sprintf("team-%d/app:v2", i), 1000, 2)
	}
	d.work(t, `{"mirror":"plan"}`)
	d.whole(t)
	if n := d.Queue.Sent(); n != 7 { // one for the end of the round, one for the index
		t.Errorf("%d messages for 5 repositories, want 7", n)
	}
	d.indexed(t)

	before := fetched.get()
	d.work(t, `{"mirror":"plan"}`)
	if n := fetched.get() - before; n != 0 {
		t.Errorf("a second run fetched %d manifests and blobs", n)
	}

	// A blob that a mirror lost is found by comparing it with the manifest cache,
	// without a request to the registry.
	d.remove(t, d.buckets[1])
	sent := d.Queue.Sent()
	d.work(t, `{"mirror":"status"}`)
	d.whole(t)
	if n := d.Queue.Sent() - sent; n != 2 {
		t.Errorf("%d messages for one repository to repair and the index, want 2", n)
	}
	if !strings.Contains(d.log.String(), `"MissingBlobs":1`) || !strings.Contains(d.log.String(), `"Mirror":"`+system.Regions[0]+`"`) {
		t.Error("no metric has the missing blobs of a mirror")
	}

	// The next run finds what was pushed after the last one.
	d.push(t, "team-1/app:v3", 1000, 1)
	d.work(t, `{"mirror":"plan"}`)
	d.whole(t)
	if dead := d.Queue.DeadLetters(); len(dead) != 0 {
		t.Errorf("dead letters %q", dead)
	}
}

// indexed checks that the index of both buckets has all blobs.
func (d *deployment) indexed(t *testing.T) {
	t.Helper()
	for _, bucket := range d.buckets {
		key := config.BlobPrefix + index.Name
		o, err := d.S3(system.Regions[0]).GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(o.Body)
		o.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		x, err := index.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		for digest := range d.blobs {
			if !x.Has(digest) {
				t.Errorf("%s: the index of %d blobs does not have %s", bucket, x.Len(), digest)
			}
		}
	}
}

type lockedCount struct {
	mu sync.Mutex
	n  int
}

func (c *lockedCount) add()     { c.mu.Lock(); c.n++; c.mu.Unlock() }
func (c *lockedCount) get() int { c.mu.Lock(); defer c.mu.Unlock(); return c.n }

// A message that always fails becomes a dead letter, and the others are processed.
func TestPoisonedMessages(t *testing.T) {
	t.Parallel()
	d := deploy(t, "poisoned", 10*time.Second, nil)
	d.push(t, "team/app:v1", 1000, 2)
	poisoned := []string{
		`not JSON`,
		`{"do":"dance","run":"x"}`,
		`{"do":"repository","run":"x","repository":"team/app","unknown":1}`,
		`{"do":"repository","run":"x"}`,
		`{"do":"repository","run":"x","repository":"team/app","shard":3,"of":2}`,
	}
	if _, err := d.invoke(t.Context(), []byte(`{"mirror":"plan"}`)); err != nil {
		t.Fatal(err)
	}
	for _, body := range poisoned {
		d.Queue.Send(body)
	}
	// No run starts while work of an earlier one is waiting, because the queue would
	// only grow.
	sent := d.Queue.Sent()
	out, err := d.invoke(t.Context(), []byte(`{"mirror":"plan"}`))
	if err != nil || !strings.Contains(string(out), fmt.Sprintf(`"waiting":%d`, sent)) || d.Queue.Sent() != sent {
		t.Errorf("%s, error %v, %d more messages", out, err, d.Queue.Sent()-sent)
	}
	if err := d.Queue.Drain(t.Context(), 2, d.invoke); err != nil {
		t.Fatal(err)
	}
	d.whole(t)
	dead := d.Queue.DeadLetters()
	if len(dead) != len(poisoned) {
		t.Errorf("dead letters %q, want %q", dead, poisoned)
	}
	if n, want := strings.Count(d.log.String(), "processing a message failed"), 5*len(poisoned); n != want {
		t.Errorf("the log has %d failed messages, want %d", n, want)
	}
}

// An image that cannot be read makes its repository a dead letter, one that the source
// does not have is only reported, and all other images of the repositories are copied.
func TestBadImageInARepository(t *testing.T) {
	t.Parallel()
	d := deploy(t, "bad", 10*time.Second, func(upstream http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/manifests/bad"):
				http.Error(w, `{"errors":[{"code":"DENIED"}]}`, http.StatusForbidden)
			case strings.HasSuffix(r.URL.Path, "/manifests/gone"):
				http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
			default:
				upstream.ServeHTTP(w, r)
			}
		})
	})
	for _, path := range []string{"team/app:v1", "team/app:v2", "team/sparse:v1"} {
		d.push(t, path, 1000, 2)
	}
	good := len(d.blobs)
	d.push(t, "team/app:bad", 1000, 1)
	d.push(t, "team/sparse:gone", 1000, 1)
	d.work(t, `{"mirror":"plan"}`)
	held, err := copier.NewBucket(d.buckets[0], d.S3(system.Regions[0])).List(t.Context())
	if err != nil || len(held) != good {
		t.Errorf("the bucket has %d of the %d blobs of valid images, error %v", len(held), good, err)
	}
	if dead := d.Queue.DeadLetters(); len(dead) != 1 || !strings.Contains(dead[0], "team/app") {
		t.Errorf("dead letters %q, want the repository's", dead)
	}
	log := d.log.String()
	for _, want := range []string{"team/app:bad", `"msg":"not in the source"`, "team/sparse:gone", `"AbsentContent":1`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not have %q", want)
		}
	}
}

// The deployed functions, with their queue, fill mirrors from registries with bad
// habits. The engine is tested with all habits.
func TestHabits(t *testing.T) {
	t.Parallel()
	if err := startOnce(); err != nil {
		t.Fatal(err)
	}
	for i, habits := range [][]string{
		{"google-tags", "sparse-index", "tags-404", "tag-404"},
		{"empty-google"},
		{"catalog-token", "tags-403", "blob-404", "cut-ranges"},
		{"empty-prefix"},
	} {
		t.Run(strings.Join(habits, "+"), func(t *testing.T) {
			t.Parallel()
			s, err := rude.New(rude.Base(1), habits...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			want := s.Want(rude.Run{Referrers: true})
			d := deployIn(t, started, fmt.Sprintf("habits-%d", i), time.Minute, s.Source(), nil)
			outcome := rude.Full
			out, err := d.invoke(t.Context(), []byte(`{"mirror":"plan"}`))
			switch {
			case err != nil:
				outcome = rude.Refused
			case strings.Contains(string(out), `"empty":true`):
				outcome = rude.Empty
			}
			if err := d.Queue.Drain(t.Context(), 2, d.invoke); err != nil {
				t.Fatal(err)
			}
			if len(d.Queue.DeadLetters()) > 0 {
				outcome = rude.Incomplete
			}
			if !want.Allows(outcome) {
				t.Errorf("outcome %v, want %v: dead letters %q, %s\n%s", outcome, want.Outcomes, d.Queue.DeadLetters(), out, d.log)
			}
			for _, bucket := range d.buckets {
				held, err := copier.NewBucket(bucket, d.state.Client).List(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for digest := range want.Blobs {
					if key, _ := copier.ParseDigest(digest); held[key] != int64(len(want.Blobs[digest])) {
						t.Fatalf("%s has %d bytes of %s, want %d\n%s", bucket, held[key], digest, len(want.Blobs[digest]), d.log)
					}
				}
			}
			for _, violation := range s.Violations() {
				t.Errorf("violation: %s", violation)
			}
		})
	}
}

// plannerTime returns the time limit of the planner in TestPlannerFinishes. .ci/run
// sets a longer one.
func plannerTime(t *testing.T) time.Duration {
	text := os.Getenv("MIRROR_TEST_PLANNER")
	if text == "" {
		return 3 * time.Second
	}
	limit, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("MIRROR_TEST_PLANNER=%q: want a duration", text)
	}
	return limit
}

// A planner with too little time for the registry finishes in several runs.
func TestPlannerFinishes(t *testing.T) {
	t.Parallel()
	limit := plannerTime(t)
	// The catalog of its own system has no repositories of other tests.
	own, err := system.Start(t.Context(), system.Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Stop)
	var pages lockedCount
	d := deployIn(t, own, "planner", limit, "", func(upstream http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/_catalog") {
				// One repository a page, each after a delay.
				pages.add()
				query := r.URL.Query()
				query.Set("n", "1")
				r.URL.RawQuery = query.Encode()
				select {
				case <-time.After(limit / 5):
				case <-r.Context().Done():
					return
				}
			}
			upstream.ServeHTTP(w, r)
		})
	})
	d.limited = regexp.MustCompile(`"plan\\?"`)
	const repositories = 10
	for i := range repositories {
		d.push(t, fmt.Sprintf("team-%d/app:v1", i), 100, 1)
	}
	d.work(t, `{"mirror":"plan"}`)
	d.whole(t)
	more := d.Queue.Sent() - repositories - 1 // the end of the round
	t.Logf("%d runs of the planner of %s each, %d pages", 1+more, limit, pages.get())
	if more < 1 {
		t.Errorf("it took only one run, which shows nothing")
	}
	if n := pages.get(); n > repositories+2+more {
		t.Errorf("%d pages of the catalog were requested for %d repositories", n, repositories)
	}
	if dead := d.Queue.DeadLetters(); len(dead) != 0 {
		t.Errorf("dead letters %q", dead)
	}
}

// slow limits the bytes of blobs per second.
func slow(perSecond int) func(http.Handler) http.Handler {
	return func(upstream http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/blobs/") {
				w = &slowWriter{w, r.Context(), time.Now(), 0, perSecond}
			}
			upstream.ServeHTTP(w, r)
		})
	}
}

type slowWriter struct {
	http.ResponseWriter
	ctx       context.Context
	start     time.Time
	written   int
	perSecond int
}

func (w *slowWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		var m int
		m, err = w.ResponseWriter.Write(p[:min(len(p), 16<<10)])
		n, p, w.written = n+m, p[m:], w.written+m
		due := w.start.Add(time.Duration(float64(w.written) / float64(w.perSecond) * float64(time.Second)))
		select {
		case <-time.After(time.Until(due)):
		case <-w.ctx.Done():
			return n, w.ctx.Err()
		}
	}
	return n, err
}

// copies matches the payload of a worker that copies blobs.
var copies = regexp.MustCompile(`\\"do\\":\\"(repository|blob)\\"`)

// A blob that takes longer than one run is continued by the next run, from where
// the last one stopped.
func TestBlobOverSeveralRuns(t *testing.T) {
	t.Parallel()
	d := deploy(t, "several", 5*time.Second, slow(4<<20))
	d.limited = copies
	d.push(t, "small/app:v1", 1000, 1)
	d.push(t, "large/app:v1", 24<<20, 1)
	d.work(t, `{"mirror":"plan"}`)
	d.whole(t)
	if !strings.Contains(d.log.String(), "upload did not finish in time, re-queued") {
		t.Errorf("it took only one run, which shows nothing\n%s", d.log)
	}
	if dead := d.Queue.DeadLetters(); len(dead) != 0 {
		t.Errorf("dead letters %q", dead)
	}
	client := d.S3(system.Regions[0])
	for _, bucket := range d.buckets {
		uploads, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
		if err != nil || len(uploads.Uploads) != 0 {
			t.Errorf("%d unfinished uploads are left (%v)", len(uploads.Uploads), err)
		}
	}
}

// A blob that makes no progress is counted as NeedsMirrorCopy and never becomes a
// dead letter. Each status reports it until a mirror copy has copied it.
func TestBlobThatNeedsMirrorCopy(t *testing.T) {
	t.Parallel()
	d := deploy(t, "needs", 5*time.Second, slow(1<<20))
	d.limited = copies
	d.push(t, "large/app:v1", 18<<20, 1)
	d.work(t, `{"mirror":"plan"}`)
	if dead := d.Queue.DeadLetters(); len(dead) != 0 {
		t.Errorf("dead letters %q\n%s", dead, d.log)
	}
	needs, err := copier.NeedsCopy(t.Context(), d.state)
	if err != nil || len(needs) != 1 || !d.blobs[needs[0]] {
		t.Fatalf("NeedsCopy: %q, error %v\n%s", needs, err, d.log)
	}
	if n := strings.Count(d.log.String(), `"NeedsMirrorCopy":1`); n != 1 {
		t.Errorf("the log has the metric %d times, want once", n)
	}
	if _, err := d.invoke(t.Context(), []byte(`{"mirror":"status"}`)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(d.log.String(), `"NeedsMirrorCopy":1`); n != 2 {
		t.Errorf("after a status the log has the metric %d times, want twice", n)
	}
	d.mirrorCopy(t)
	d.Queue.Purge() // the first status has enqueued a repair
	if _, err := d.invoke(t.Context(), []byte(`{"mirror":"status"}`)); err != nil {
		t.Fatal(err)
	}
	if needs, err := copier.NeedsCopy(t.Context(), d.state); err != nil || len(needs) != 0 {
		t.Errorf("NeedsCopy: still %q, error %v", needs, err)
	}
}

// mirrorCopy copies all missing blobs, as archeio mirror copy does.
func (d *deployment) mirrorCopy(t *testing.T) {
	t.Helper()
	source, err := registry.New(d.source, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := copier.Options{Source: source}
	for _, bucket := range d.buckets {
		o.Buckets = append(o.Buckets, copier.NewBucket(bucket, d.state.Client))
	}
	plan, err := copier.NewPlan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	result, err := copier.Copy(t.Context(), o, plan)
	if err := errors.Join(append(result.Errors, err, copier.ClearNeedsCopy(t.Context(), d.state, o.Buckets[0]))...); err != nil {
		t.Fatal(err)
	}
}
