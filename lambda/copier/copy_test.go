package copier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"archeio/lambda/config"
	"archeio/lambda/registry"
	"archeio/scripts/lab/system"
)

// planInMemory is NewPlan without a temporary file, as workers plan a few images.
func planInMemory(ctx context.Context, o Options) (*Plan, error) {
	o.fill()
	ctx, stop := o.beginListing(ctx)
	defer stop()
	w := newWalk(o)
	if err := errors.Join(w.source(ctx), w.awaitListing()); err != nil {
		return nil, err
	}
	return w.plan, w.compare(ctx)
}

// samePlan tests that NewPlan returns what was planned in memory, and the same missing blobs.
// Which of the repositories that have a blob is named depends on what was read first.
func samePlan(t *testing.T, o Options, plan *Plan) {
	t.Helper()
	rows := func(p *Plan) (rows []string) {
		err := p.EachMissing(func(b MissingBlob, buckets []int) error {
			rows = append(rows, fmt.Sprint(b.Digest, b.Size, buckets))
			return nil
		})
		if err != nil || len(rows) == 0 {
			t.Errorf("%d missing blobs, error %v", len(rows), err)
		}
		return rows
	}
	o.TempDir = t.TempDir()
	inFile, err := NewPlan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if inFile.Missing != nil || inFile.Blobs != plan.Blobs || inFile.Bytes != plan.Bytes || !slices.Equal(inFile.Unmirrored, plan.Unmirrored) {
		t.Errorf("plan %+v, in memory %+v", inFile, plan)
	}
	if got, want := rows(inFile), rows(plan); !slices.Equal(got, want) {
		t.Errorf("missing:\n%q\nin memory:\n%q", got, want)
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.fill(t)
	var requests counter
	o := s.options(t, &requests)
	plan, err := planInMemory(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Repositories != 3 || plan.Manifests != 6 || plan.Fetched != 6 || plan.Blobs != len(s.blobs) ||
		len(plan.Missing[0]) != len(s.blobs) || len(plan.Errors) != 0 {
		t.Errorf("plan %+v of %d blobs", plan, len(s.blobs))
	}
	samePlan(t, o, plan)
	result, err := Copy(t.Context(), o, plan)
	if err != nil || len(result.Errors) != 0 || result.Copied != 2*len(s.blobs) {
		t.Errorf("result %+v, error %v, want %d copies", result, err, 2*len(s.blobs))
	}
	s.allWhole(t)

	// The second run fetches no manifest and no blob.
	requests.fetched.Store(0)
	plan, err = planInMemory(t.Context(), o)
	if err != nil || plan.Fetched != 0 || len(plan.Missing[0])+len(plan.Missing[1]) != 0 {
		t.Errorf("second plan %+v, error %v", plan, err)
	}
	if n := requests.fetched.Load(); n != 0 {
		t.Errorf("the second run fetched %d manifests and blobs", n)
	}

	// A deleted blob is copied again, although all manifests are cached.
	lost := config.BlobPrefix + anyOf(s.blobs)
	if _, err := s.S3(system.Regions[1]).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &s.buckets[1].Name, Key: &lost}); err != nil {
		t.Fatal(err)
	}
	plan, err = planInMemory(t.Context(), o)
	if err != nil || len(plan.Missing[0]) != 0 || len(plan.Missing[1]) != 1 {
		t.Fatalf("after a loss the plan is %+v, error %v", plan, err)
	}
	samePlan(t, o, plan)
	if result, err := Copy(t.Context(), o, plan); err != nil || result.Copied != 1 {
		t.Errorf("result %+v, error %v", result, err)
	}
	s.allWhole(t)

	// A moved tag is detected.
	s.push(t, "team/app:v1", image(t, 3000, 1))
	plan, err = planInMemory(t.Context(), o)
	if err != nil || plan.Fetched != 1 || len(plan.Missing[0]) != 2 {
		t.Errorf("after a moved tag the plan is %+v, error %v", plan, err)
	}
}

// TestTwoRuns tests that concurrent runs are safe.
func TestTwoRuns(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.fill(t)
	results := make(chan error, 2)
	for range 2 {
		o := s.options(t, nil)
		plan, err := planInMemory(t.Context(), o)
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

// oneBlob returns a hub with a manifest of one blob, and a plan in which it is
// missing from all buckets.
func oneBlob(t *testing.T, data []byte, buckets ...*Bucket) (*hub, Options, *Plan, string) {
	t.Helper()
	h := startHub(t)
	blob := h.blob(t, "app", data)
	h.manifest(t, "app", "v1", "application/vnd.oci.image.manifest.v1+json",
		fmt.Sprintf(`{"schemaVersion":2,"layers":[{"mediaType":"application/octet-stream","digest":%q,"size":%d}]}`, blob.Digest, blob.Size))
	o := Options{Source: h.source(t, "", registry.Options{}), Buckets: buckets, Inventory: &holdings{}, Manifests: &ManifestCache{}}
	plan, err := planInMemory(t.Context(), o)
	if err != nil || len(plan.Errors) != 0 {
		t.Fatalf("plan %+v, error %v", plan, err)
	}
	h.requests()
	return h, o, plan, blob.Digest
}

// TestCopyFromBucket tests that a blob is copied from the primary if its checksum
// is verified or its writer has hashed it, and from the source otherwise.
func TestCopyFromBucket(t *testing.T) {
	t.Parallel()
	s := start(t)
	here, there := system.Regions[0], system.Regions[1]
	small, _ := noise(1, 1000)
	large, _ := noise(2, 12<<20)
	other, _ := noise(3, 1000)
	tiny := func(b *Bucket) *Bucket {
		b.maxPutSize, b.partSize = 6<<20, 5<<20
		return b
	}
	// putVerified writes it with a checksum, as a copy does.
	putVerified := func(t *testing.T, b *Bucket, data []byte) {
		if _, err := b.Put(t.Context(), blobOf(data), bytes.NewReader(data), ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name       string
		data       []byte
		region     string // of the replica
		before     func(t *testing.T, primary *Bucket, digest string)
		fromBucket int
		atReplica  string
	}{
		{"put-by-this-run", small, here, nil, 1, "copy:1"},
		{"put-before-with-checksum", small, here, func(t *testing.T, b *Bucket, _ string) { putVerified(t, b, small) }, 1, "copy:1"},
		{"right-without-checksum", small, here, func(t *testing.T, b *Bucket, digest string) { put(t, b, digest, small) }, 0, "put:1"},
		{"wrong-without-checksum", small, here, func(t *testing.T, b *Bucket, digest string) { put(t, b, digest, other) }, 0, "put:1"},
		{"other-server", small, there, nil, 0, "copy:1 put:1"},
		{"large-put-by-this-run", large, here, nil, 1, "copy:2 upload:2"},
		{"large-put-before", large, here, func(t *testing.T, b *Bucket, _ string) { putVerified(t, b, large) }, 1, "copy:2 upload:2"},
		{"large-without-checksum", large, here, func(t *testing.T, b *Bucket, digest string) { put(t, b, digest, large) }, 0, "upload:5"},
		{"large-other-server", large, there, nil, 0, "copy:1 upload:7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			primary, replica := tiny(s.bucket(t, here)), tiny(s.bucket(t, tt.region))
			requests := newTally(http.DefaultTransport, atBucket)
			h, o, plan, digest := oneBlob(t, tt.data, primary, through(replica, requests))
			before := 0
			if tt.before != nil {
				tt.before(t, primary, digest)
				plan.Missing[0], before = nil, 1
			}
			result, err := Copy(t.Context(), o, plan)
			if err != nil || len(result.Errors) != 0 || result.Copied != 2-before || result.FromBucket != tt.fromBucket {
				t.Errorf("result %+v, error %v", result, err)
			}
			if got := content(t, replica, digest); !bytes.Equal(got, tt.data) {
				t.Errorf("the replica has %d bytes", len(got))
			}
			if got := requests.take(); got != tt.atReplica {
				t.Errorf("requests to the replica: %s, want %s", got, tt.atReplica)
			}
			fetches := slices.DeleteFunc(h.requests(), func(r string) bool { return !strings.Contains(r, "/blobs/") })
			if want := 2 - before - tt.fromBucket; len(fetches) != want {
				t.Errorf("requests to the source: %q, want %d", fetches, want)
			}
			o2, err := replica.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &replica.Name, Key: key(digest)})
			if err != nil || o2.CacheControl == nil || *o2.CacheControl != cacheControl {
				t.Errorf("Cache-Control %v, error %v", o2.CacheControl, err)
			}
			noUploads(t, replica)
		})
	}
}

// TestReplication tests that blobs that S3 is replicating are skipped, and that
// lost ones are copied.
func TestReplication(t *testing.T) {
	t.Parallel()
	s := start(t)
	data, blob := noise(1, 1000)
	for _, tt := range []struct {
		name                                 string
		status                               s3types.ReplicationStatus
		arrived                              bool
		copied, fromBucket, pending, existed int
	}{
		{"none", "", false, 1, 1, 0, 0},
		{"pending", s3types.ReplicationStatusPending, false, 0, 0, 1, 0},
		{"failed", s3types.ReplicationStatusFailed, false, 1, 1, 0, 0},
		{"completed-elsewhere", s3types.ReplicationStatusCompleted, false, 1, 1, 0, 0},
		{"complete-and-lost", s3types.ReplicationStatusComplete, false, 1, 1, 0, 0},
		{"completed-since-the-listing", s3types.ReplicationStatusCompleted, true, 0, 0, 0, 1},
		{"a-replica-itself", s3types.ReplicationStatusReplica, false, 1, 1, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			primary, replica := s.bucket(t, system.Regions[0]), s.bucket(t, system.Regions[0])
			for _, b := range []*Bucket{primary, replica} {
				if b == primary || tt.arrived {
					if _, err := b.Put(t.Context(), blob, bytes.NewReader(data), ""); err != nil {
						t.Fatal(err)
					}
				}
			}
			_, o, plan, _ := oneBlob(t, data, replicating(primary, tt.status), replica)
			plan.Missing[0] = nil
			result, err := Copy(t.Context(), o, plan)
			if err != nil || len(result.Errors) != 0 || result.Copied != tt.copied || result.FromBucket != tt.fromBucket || result.Pending != tt.pending || result.Existed != tt.existed {
				t.Errorf("result %+v, error %v", result, err)
			}
			if got := content(t, replica, blob.Digest); (tt.pending == 0) != bytes.Equal(got, data) || tt.pending == 1 && got != nil {
				t.Errorf("the replica has %d bytes", len(got))
			}
		})
	}
}

// TestExisted tests that a blob that another run has written since the listing
// stays, without an error.
func TestExisted(t *testing.T) {
	t.Parallel()
	s := start(t)
	data, blob := noise(1, 8<<20) // more than fits into the buffers
	for _, tt := range []struct {
		name    string
		check   bool
		fetched bool
	}{
		{"put", false, true},
		{"checked-first", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 3 {
				b, replica := s.bucket(t, system.Regions[0]), s.bucket(t, system.Regions[1])
				h, o, plan, _ := oneBlob(t, data, b, replica)
				o.CheckExisting = tt.check
				put(t, b, blob.Digest, []byte("first"))
				put(t, replica, blob.Digest, []byte("first"))
				result, err := Copy(t.Context(), o, plan)
				if err != nil || len(result.Errors) != 0 || result.Existed != 2 || result.Copied != 0 {
					t.Errorf("result %+v, error %v", result, err)
				}
				if string(content(t, b, blob.Digest)) != "first" || string(content(t, replica, blob.Digest)) != "first" {
					t.Error("it was overwritten")
				}
				if got := h.requests(); (len(got) > 0) != tt.fetched {
					t.Errorf("requests to the source: %q", got)
				}
			}
		})
	}
}

// TestHungUp tests an S3 server that closes the connection of a PUT of an existing
// object before it has read the body.
func TestHungUp(t *testing.T) {
	t.Parallel()
	data, blob := noise(1, 1000)
	b := start(t).bucket(t, system.Regions[0])
	put(t, b, blob.Digest, []byte("first"))
	requests := newTally(wire(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut {
			r.Body.Close()
			return nil, errReset
		}
		return http.DefaultTransport.RoundTrip(r)
	}), atBucket)
	_, o, plan, _ := oneBlob(t, data, through(b, requests))
	result, err := Copy(t.Context(), o, plan)
	if err != nil || len(result.Errors) != 0 || result.Existed != 1 {
		t.Errorf("result %+v, error %v", result, err)
	}
	if got := requests.take(); got != "head:1 put:1" {
		t.Errorf("requests %s", got)
	}
}

// TestRetried tests that temporary errors are retried within the run.
func TestRetried(t *testing.T) {
	t.Parallel()
	s := start(t)
	data, blob := noise(1, 1000)
	for _, tt := range []struct {
		name    string
		respond func(r *http.Request) (*http.Response, error)
		copied  int
	}{
		{"conflict", func(r *http.Request) (*http.Response, error) {
			return refuse(r, http.StatusConflict, "ConditionalRequestConflict")
		}, 1},
		{"slow-down", func(r *http.Request) (*http.Response, error) {
			return refuse(r, http.StatusServiceUnavailable, "SlowDown")
		}, 1},
		{"reset", func(r *http.Request) (*http.Response, error) { r.Body.Close(); return nil, errReset }, 1},
		// The object was written, but the response was lost.
		{"response-lost", func(r *http.Request) (*http.Response, error) {
			if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
				resp.Body.Close()
			}
			return nil, errReset
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := s.bucket(t, system.Regions[0])
			var did atomic.Bool
			w := wire(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPut && did.CompareAndSwap(false, true) {
					return tt.respond(r)
				}
				return http.DefaultTransport.RoundTrip(r)
			})
			_, o, plan, _ := oneBlob(t, data, through(b, w))
			result, err := Copy(t.Context(), o, plan)
			if err != nil || len(result.Errors) != 0 || result.Copied != tt.copied || result.Existed != 1-tt.copied {
				t.Errorf("result %+v, error %v", result, err)
			}
			if !bytes.Equal(content(t, b, blob.Digest), data) {
				t.Error("it was not copied")
			}
		})
	}
}

// TestCutOff tests that an interrupted run returns the unfinished blobs, and that
// the next run continues.
func TestCutOff(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.fill(t)
	o := s.options(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("interrupted by the test")
	o.Parallel = 1
	o.Progress = func(p Progress) {
		if strings.HasPrefix(p.Phase, "copying") && p.Done == 3 {
			cancel(over)
		}
	}
	plan, err := planInMemory(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	result, err := Copy(ctx, o, plan)
	if !errors.Is(err, over) || len(result.Errors) != 0 || result.Copied != 3 ||
		len(result.Unfinished[0]) != len(s.blobs)-3 || len(result.Unfinished[1]) != len(s.blobs) {
		t.Errorf("result %+v, error %v", result, err)
	}
	if _, err := NewPlan(ctx, o); !errors.Is(err, over) && !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	o.Progress = nil
	if _, result := planAndCopy(t.Context(), t, o); result.Copied != 2*len(s.blobs)-3 || len(result.Errors) != 0 {
		t.Errorf("result %+v", result)
	}
	s.allWhole(t)
}

// TestTwice tests a list with a duplicate repository.
func TestTwice(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	h.push(t, "app:v1", image(t, 10, 1))
	plan, err := NewPlan(t.Context(), Options{Source: h.source(t, "", registry.Options{}), Filter: Filter{Repositories: []string{"app", "app"}}})
	if err != nil || plan.Repositories != 1 || plan.Manifests != 1 {
		t.Errorf("plan %+v, error %v", plan, err)
	}
}

// TestRequestsPerBlob tests that a blob costs at most two requests per bucket without
// replication, in addition to the parts of a large one, and how many requests to the state,
// which do not depend on the number of buckets unless a worker copies it in parts.
func TestRequestsPerBlob(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		size    int
		buckets int
		copying func(context.Context, Options, *Plan) error
		want    string
	}{
		{"one-bucket", 1000, 1, nil, "head:1 put:1 state:2"},
		{"two-buckets", 1000, 2, nil, "copy:1 head:2 put:1 state:4"},
		{"thirty-buckets", 1000, 30, nil, "copy:29 head:2 put:1 state:4"},
		// Three parts to the primary and to each replica.
		{"large", 2500, 30, nil, "complete:30 copy:87 head:2 part:3 state:4 upload:30"},
		{"large-by-a-worker", 2500, 30, copyMessage, "complete:30 copy:87 head:31 part:3 state:122 upload:30"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			requests := newTally(wire(m.Do), step)
			var buckets []*Bucket
			for i := range tt.buckets {
				b := m.bucket(fmt.Sprintf("mirror-%d", i), "us-east-1")
				b.maxPutSize, b.partSize = 1000, 1000
				buckets = append(buckets, through(b, requests))
			}
			data, _ := noise(1, tt.size)
			_, o, plan, digest := oneBlob(t, data, buckets...)
			o.CheckExisting, o.State = true, countedState{Folder(t.TempDir()), requests}
			copying := tt.copying
			if copying == nil {
				copying = func(ctx context.Context, o Options, plan *Plan) error {
					result, err := Copy(ctx, o, plan)
					return errors.Join(append(result.Errors, err)...)
				}
			}
			if err := copying(t.Context(), o, plan); err != nil {
				t.Fatal(err)
			}
			if got := requests.take(); got != tt.want {
				t.Errorf("requests %s, want %s", got, tt.want)
			}
			for _, b := range buckets {
				if !bytes.Equal(content(t, b, digest), data) {
					t.Errorf("%s does not have the blob", b.Name)
				}
			}
		})
	}
}

// countedState counts requests in a tally.
type countedState struct {
	State
	tally *tally
}

func (s countedState) Get(ctx context.Context, name string) ([]byte, error) {
	s.tally.count("state")
	return s.State.Get(ctx, name)
}

func (s countedState) Put(ctx context.Context, name string, data []byte) error {
	s.tally.count("state")
	return s.State.Put(ctx, name, data)
}

func (s countedState) Create(ctx context.Context, name string, data []byte) (bool, error) {
	s.tally.count("state")
	return s.State.Create(ctx, name, data)
}

func (s countedState) Delete(ctx context.Context, name string) error {
	s.tally.count("state")
	return s.State.Delete(ctx, name)
}

func (s countedState) Names(ctx context.Context, prefix string) ([]string, error) {
	s.tally.count("state")
	return s.State.Names(ctx, prefix)
}
