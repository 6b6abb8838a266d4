package copier

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/registry"
)

// pause stops the first request of a kind to a bucket, before it arrives or after its
// response, until it is released.
type pause struct {
	next             http.RoundTripper
	kind             string
	after            bool
	reached, release chan struct{}
	once             sync.Once
}

func newPause(m *memory, kind string, after bool) *pause {
	return &pause{next: wire(m.Do), kind: kind, after: after, reached: make(chan struct{}), release: make(chan struct{})}
}

func (p *pause) RoundTrip(r *http.Request) (*http.Response, error) {
	stop := func() {}
	if step(r) == p.kind {
		stop = func() { p.once.Do(func() { close(p.reached); <-p.release }) }
	}
	if !p.after {
		stop()
		return p.next.RoundTrip(r)
	}
	resp, err := p.next.RoundTrip(r)
	stop()
	return resp, err
}

// step is atBucket with the steps of an upload.
func step(r *http.Request) string {
	kind := atBucket(r)
	if kind == "upload" && r.URL.Query().Has("uploadId") {
		kind = map[string]string{http.MethodPost: "complete", http.MethodPut: "part"}[r.Method]
	}
	return kind
}

// moments are moments of a copy: before the first request of a kind arrives, and
// after its response.
var moments = []struct {
	name   string
	size   int
	bucket int
	kind   string
}{
	{"check-of-the-primary", 1000, 0, "head"},
	{"put-to-the-primary", 1000, 0, "put"},
	{"copy-to-the-replica", 1000, 1, "copy"},
	{"part-to-the-primary", 2500, 0, "part"},
	{"completion-in-the-primary", 2500, 0, "complete"},
	{"part-from-bucket-to-bucket", 2500, 1, "copy"},
	{"completion-in-the-replica", 2500, 1, "complete"},
}

// TestWithdrawWhileCopying tests that a blob that is withdrawn at any moment of a copy
// is in no bucket afterwards.
func TestWithdrawWhileCopying(t *testing.T) {
	t.Parallel()
	for name, copying := range map[string]func(context.Context, Options, *Plan) error{"copy": copyPlan, "worker": copyMessage} {
		for _, tt := range moments {
			for _, after := range []bool{false, true} {
				if name == "worker" && tt.kind == "put" {
					continue // it uploads in parts
				}
				t.Run(fmt.Sprintf("%s/%s/after-%v", name, tt.name, after), func(t *testing.T) {
					t.Parallel()
					m := newMemory()
					buckets := []*Bucket{m.bucket("primary", "us-east-1"), m.bucket("replica", "eu-central-1")}
					for _, x := range buckets {
						x.maxPutSize, x.partSize = 1000, 1000
					}
					paused := append([]*Bucket{}, buckets...)
					p := newPause(m, tt.kind, after)
					paused[tt.bucket] = through(buckets[tt.bucket], p)
					data, _ := noise(1, tt.size)
					_, o, plan, digest := oneBlob(t, data, paused...)
					o.State, o.CheckExisting = Folder(t.TempDir()), true
					var group errgroup.Group
					group.Go(func() error { return copying(t.Context(), o, plan) })
					<-p.reached
					if r, err := Withdraw(t.Context(), o.State, buckets, digest); err != nil || len(r.Errors) != 0 {
						t.Errorf("%+v, %v", r, err)
					}
					close(p.release)
					if err := group.Wait(); err != nil {
						t.Error(err)
					}
					for _, x := range buckets {
						if content(t, x, digest) != nil {
							t.Errorf("%s has the blob", x.Name)
						}
					}
					if len(m.uploads) != 0 {
						t.Errorf("%d unfinished uploads", len(m.uploads))
					}
				})
			}
		}
	}
}

// copyPlan copies as a shell command does.
func copyPlan(ctx context.Context, o Options, plan *Plan) error {
	result, err := Copy(ctx, o, plan)
	if err != nil || len(result.Errors) != 0 || result.Withdrawn != 1 {
		return fmt.Errorf("result %+v, error %w", result, err)
	}
	return nil
}

// copyMessage copies as a worker does that received the blob a second time.
func copyMessage(ctx context.Context, o Options, plan *Plan) error {
	f := &Filler{Source: o.Source, Buckets: o.Buckets, State: o.State, Queue: &sent{}, Log: slog.New(slog.DiscardHandler), Metrics: io.Discard}
	blob := plan.Missing[0][0]
	body, err := json.Marshal(Message{Do: doBlob, Run: "x", Repository: blob.Repository, Image: blob.Image, Blob: &blob.Blob, Requeues: 1})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	return f.Work(ctx, string(body))
}

// TestWithdrawStress withdraws half of the blobs while two runs copy all of them.
func TestWithdrawStress(t *testing.T) {
	t.Parallel()
	m := newMemory()
	h := startHub(t)
	buckets := []*Bucket{m.bucket("primary", "us-east-1"), m.bucket("replica", "eu-central-1")}
	var blobs []registry.Blob
	for i := range 60 {
		blobs = append(blobs, h.blob(t, "app", fmt.Appendf(nil, "blob %d", i)))
	}
	h.manifest(t, "app", "v1", ociManifest, manifestOf(blobs...))
	state := Folder(t.TempDir())
	var group errgroup.Group
	for range 2 {
		o := Options{Source: h.source(t, "", registry.Options{}), Buckets: buckets, State: state, CheckExisting: true}
		plan, err := NewPlan(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() error {
			result, err := Copy(t.Context(), o, plan)
			if err == nil && len(result.Errors) > 0 {
				err = result.Errors[0]
			}
			return err
		})
	}
	for _, blob := range blobs[:30] {
		group.Go(func() error {
			_, err := Withdraw(t.Context(), state, buckets, blob.Digest)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, blob := range blobs {
		for _, x := range buckets {
			if has := content(t, x, blob.Digest) != nil; has != (i >= 30) {
				t.Errorf("%s has blob %d: %v", x.Name, i, has)
			}
		}
	}
}

// TestRemoveWithdrawn tests that the planner deletes what is withdrawn and still there:
// what buckets have according to their listings, what was withdrawn recently from all
// buckets, and nothing that is to stay for now.
func TestRemoveWithdrawn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, tt := range []struct {
		name        string
		record      *Withdrawal // nil for none
		recent      bool
		listed      []Leftover
		there       [2]bool // in the buckets
		removed     int
		stays       [2]bool
		staysRecent bool
	}{
		{"listed-in-one", &Withdrawal{Since: now.Add(-72 * time.Hour)}, false, []Leftover{{Digest: a, Bucket: 1}}, [2]bool{true, true}, 1, [2]bool{true, false}, false},
		{"recent", &Withdrawal{Since: now.Add(-time.Hour)}, true, nil, [2]bool{true, true}, 2, [2]bool{}, true},
		{"recent-and-not-there", &Withdrawal{Since: now.Add(-time.Hour)}, true, nil, [2]bool{}, 0, [2]bool{}, true},
		{"no-longer-recent", &Withdrawal{Since: now.Add(-72 * time.Hour)}, true, nil, [2]bool{false, true}, 1, [2]bool{}, false},
		{"deferred", &Withdrawal{Since: now.Add(-72 * time.Hour), RemoveAfter: now.Add(time.Hour)}, true, []Leftover{{Digest: a}}, [2]bool{true, true}, 0, [2]bool{true, true}, true},
		{"deferred-until-now", &Withdrawal{Since: now.Add(-72 * time.Hour), RemoveAfter: now.Add(-time.Hour)}, true, []Leftover{{Digest: a}}, [2]bool{true, true}, 2, [2]bool{}, true},
		{"undone-since", nil, true, []Leftover{{Digest: a}}, [2]bool{true, true}, 0, [2]bool{true, true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			buckets := []*Bucket{m.bucket("primary", "us-east-1"), m.bucket("replica", "eu-central-1")}
			state := Folder(t.TempDir())
			if tt.record != nil {
				tt.record.Digest = a
				if _, err := createWithdrawal(t.Context(), state, *tt.record); err != nil {
					t.Fatal(err)
				}
			}
			if tt.recent {
				if err := state.Put(t.Context(), recheckPrefix+a, nil); err != nil {
					t.Fatal(err)
				}
			}
			for i, x := range buckets {
				if tt.there[i] {
					put(t, x, a, []byte("1"))
				}
			}
			removed, err := RemoveWithdrawn(t.Context(), state, buckets, tt.listed, now)
			if err != nil || len(removed) != tt.removed {
				t.Errorf("removed %+v, error %v", removed, err)
			}
			for i, x := range buckets {
				if there := content(t, x, a) != nil; there != tt.stays[i] {
					t.Errorf("%s has it: %v", x.Name, there)
				}
			}
			if recent, err := recentlyWithdrawn(t.Context(), state); err != nil || recent[a] != tt.staysRecent {
				t.Errorf("recently withdrawn: %v, error %v", recent, err)
			}
		})
	}
}

// TestWithdrawnBlobsMetric tests that the planner counts the withdrawn blobs that it could
// not delete, and no others.
func TestWithdrawnBlobsMetric(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		refused bool
		want    string
	}{"deleted": {false, ""}, "refused": {true, `"WithdrawnBlobs":1`}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			primary, replica := m.bucket("primary", "us-east-1"), m.bucket("replica", "eu-central-1")
			put(t, replica, a, []byte("1"))
			if tt.refused {
				next := replica.client.Options().HTTPClient
				replica = through(replica, wire(func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodDelete {
						return refuse(r, http.StatusForbidden, "AccessDenied")
					}
					return next.Do(r)
				}))
			}
			state := newMemoryState()
			if err := recordWithdrawal(t.Context(), state, Withdrawal{Digest: a, Since: time.Now()}); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			f := &Filler{Buckets: []*Bucket{primary, replica}, Regions: []string{"us-east-1", "eu-central-1"}, State: state, Log: slog.New(slog.DiscardHandler), Metrics: &out}
			(&planRun{filler: f}).removeWithdrawn(t.Context())
			if got := out.String(); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("metrics %q, want %q", got, tt.want)
			}
		})
	}
}
