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
	"archeio/scripts/lab/system"
)

func TestCopy(t *testing.T) {
	s := start(t)
	s.fill(t)
	var requests counter
	o := s.options(t, &requests)
	plan, err := NewPlan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Repositories != 3 || plan.Manifests != 6 || plan.Fetched != 6 || plan.Blobs != len(s.blobs) ||
		len(plan.Missing[0]) != len(s.blobs) || len(plan.Errors) != 0 {
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
	plan, err = NewPlan(t.Context(), o)
	if err != nil || plan.Fetched != 0 || len(plan.Missing[0])+len(plan.Missing[1]) != 0 {
		t.Errorf("second plan %+v, error %v", plan, err)
	}
	if n := requests.fetched.Load(); n != 0 {
		t.Errorf("the second run fetched %d manifests and blobs", n)
	}

	// What a bucket lost is copied again, although all manifests are known.
	lost := config.BlobPrefix + anyOf(s.blobs)
	if _, err := s.S3(system.Regions[1]).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &s.buckets[1].Name, Key: &lost}); err != nil {
		t.Fatal(err)
	}
	plan, err = NewPlan(t.Context(), o)
	if err != nil || len(plan.Missing[0]) != 0 || len(plan.Missing[1]) != 1 {
		t.Fatalf("after a loss the plan is %+v, error %v", plan, err)
	}
	if result, err := Copy(t.Context(), o, plan); err != nil || result.Copied != 1 {
		t.Errorf("result %+v, error %v", result, err)
	}
	s.allWhole(t)

	// A moved tag is noticed.
	s.push(t, "team/app:v1", image(t, 3000, 1))
	plan, err = NewPlan(t.Context(), o)
	if err != nil || plan.Fetched != 1 || len(plan.Missing[0]) != 2 {
		t.Errorf("after a moved tag the plan is %+v, error %v", plan, err)
	}
}

// Two runs at once do no harm.
func TestTwoRuns(t *testing.T) {
	s := start(t)
	s.fill(t)
	results := make(chan error, 2)
	for range 2 {
		o := s.options(t, nil)
		plan, err := NewPlan(t.Context(), o)
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

// oneBlob is a hub that has a manifest of one blob, and a plan of which the
// buckets lack it.
func oneBlob(t *testing.T, data []byte, buckets ...*Bucket) (*hub, Options, *Plan, string) {
	t.Helper()
	h := startHub(t)
	blob := h.blob(t, "app", data)
	h.manifest(t, "app", "v1", "application/vnd.oci.image.manifest.v1+json",
		fmt.Sprintf(`{"schemaVersion":2,"layers":[{"mediaType":"application/octet-stream","digest":%q,"size":%d}]}`, blob.Digest, blob.Size))
	o := Options{Source: h.source(t, "", SourceOptions{}), Buckets: buckets, Inventory: make(listed, len(buckets)), Manifests: &ManifestCache{}}
	plan, err := NewPlan(t.Context(), o)
	if err != nil || len(plan.Errors) != 0 {
		t.Fatalf("plan %+v, error %v", plan, err)
	}
	h.requests()
	return h, o, plan, blob.Digest
}

// A bucket gets from the primary what S3 says of it that it is right, or what
// this run has put there, and else from the source.
func TestCopyFromBucket(t *testing.T) {
	s := start(t)
	here, there := system.Regions[0], system.Regions[1]
	small, _ := noise(1, 1000)
	large, _ := noise(2, 12<<20)
	other, _ := noise(3, 1000)
	tiny := func(b *Bucket) *Bucket {
		b.maxPutSize, b.partSize = 6<<20, 5<<20
		return b
	}
	// prove puts it as this program does.
	prove := func(t *testing.T, b *Bucket, data []byte) {
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
		{"put-and-proven-before", small, here, func(t *testing.T, b *Bucket, _ string) { prove(t, b, small) }, 1, "copy:1"},
		{"right-but-not-proven", small, here, func(t *testing.T, b *Bucket, digest string) { put(t, b, digest, small) }, 0, "put:1"},
		{"wrong-and-not-proven", small, here, func(t *testing.T, b *Bucket, digest string) { put(t, b, digest, other) }, 0, "put:1"},
		{"other-server", small, there, nil, 0, "copy:1 head:1 put:1"},
		{"large-put-by-this-run", large, here, nil, 1, "copy:2 upload:2"},
		{"large-put-before", large, here, func(t *testing.T, b *Bucket, _ string) { prove(t, b, large) }, 0, "upload:5"},
		{"large-other-server", large, there, nil, 0, "copy:1 head:1 upload:7"},
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
				t.Errorf("asked the replica for %s, want %s", got, tt.atReplica)
			}
			fetches := slices.DeleteFunc(h.requests(), func(r string) bool { return !strings.Contains(r, "/blobs/") })
			if want := 2 - before - tt.fromBucket; len(fetches) != want {
				t.Errorf("the source was asked %q, want %d", fetches, want)
			}
			o2, err := replica.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &replica.Name, Key: key(digest)})
			if err != nil || o2.CacheControl == nil || *o2.CacheControl != cacheControl {
				t.Errorf("Cache-Control %v, error %v", o2.CacheControl, err)
			}
			noUploads(t, replica)
		})
	}
}

// What S3's replication carries on is left to it, and what it lost is not.
func TestReplication(t *testing.T) {
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
		{"completed-meanwhile", s3types.ReplicationStatusCompleted, true, 0, 0, 0, 1},
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

// What another run has put meanwhile is left alone, and is no failure.
func TestExisted(t *testing.T) {
	s := start(t)
	data, blob := noise(1, 8<<20) // more than fits into the buffers between
	for _, tt := range []struct {
		name    string
		ask     bool
		fetched bool
	}{
		{"put", false, true},
		{"asked-first", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 3 {
				b, replica := s.bucket(t, system.Regions[0]), s.bucket(t, system.Regions[1])
				h, o, plan, _ := oneBlob(t, data, b, replica)
				o.CheckExisting = tt.ask
				put(t, b, blob.Digest, []byte("first"))
				put(t, replica, blob.Digest, []byte("first"))
				result, err := Copy(t.Context(), o, plan)
				if err != nil || len(result.Errors) != 0 || result.Existed != 2 || result.Copied != 0 {
					t.Errorf("result %+v, error %v", result, err)
				}
				if string(content(t, b, blob.Digest)) != "first" || string(content(t, replica, blob.Digest)) != "first" {
					t.Error("it was written over")
				}
				if got := h.requests(); (len(got) > 0) != tt.fetched {
					t.Errorf("asked the source for %q", got)
				}
			}
		})
	}
}

// S3 may hang up on a PUT of what is there before it has read it.
func TestHungUp(t *testing.T) {
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
		t.Errorf("asked for %s", got)
	}
}

// What may be right the next time is tried again at once.
func TestTriedAgain(t *testing.T) {
	s := start(t)
	data, blob := noise(1, 1000)
	for _, tt := range []struct {
		name   string
		answer func(r *http.Request) (*http.Response, error)
		copied int
	}{
		{"conflict", func(r *http.Request) (*http.Response, error) {
			return refuse(r, http.StatusConflict, "ConditionalRequestConflict")
		}, 1},
		{"slow-down", func(r *http.Request) (*http.Response, error) {
			return refuse(r, http.StatusServiceUnavailable, "SlowDown")
		}, 1},
		{"reset", func(r *http.Request) (*http.Response, error) { r.Body.Close(); return nil, errReset }, 1},
		// It was put, and nobody heard of it.
		{"answer-lost", func(r *http.Request) (*http.Response, error) {
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
					return tt.answer(r)
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

// A run that is cut off says what is left, and the next one goes on with it.
func TestCutOff(t *testing.T) {
	s := start(t)
	s.fill(t)
	o := s.options(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("it is over")
	o.Parallel = 1
	o.Progress = func(p Progress) {
		if strings.HasPrefix(p.Phase, "copying") && p.Done == 3 {
			cancel(over)
		}
	}
	plan, err := NewPlan(t.Context(), o)
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
	if _, result := makeAndCopy(t.Context(), t, o); result.Copied != 2*len(s.blobs)-3 || len(result.Errors) != 0 {
		t.Errorf("result %+v", result)
	}
	s.allWhole(t)
}

// A list of repositories may name one twice.
func TestTwice(t *testing.T) {
	h := startHub(t)
	h.push(t, "app:v1", image(t, 10, 1))
	plan, err := NewPlan(t.Context(), Options{Source: h.source(t, "", SourceOptions{}), Repositories: []string{"app", "app"}})
	if err != nil || plan.Repositories != 1 || plan.Manifests != 1 {
		t.Errorf("plan %+v, error %v", plan, err)
	}
}
