package copier

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"archeio/lambda/registry"
)

// TestRunStartsEarly tests that a blob is in the primary before all manifests are read:
// the last manifest is held until then.
func TestRunStartsEarly(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.fill(t)
	const manifests = 6
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	written := make(chan struct{})
	once := sync.OnceFunc(func() { close(written) })
	var asked atomic.Int64
	o := s.options(t, wire(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") && asked.Add(1) == manifests {
			select {
			case <-written:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return http.DefaultTransport.RoundTrip(r)
	}))
	o.Buckets = []*Bucket{through(s.buckets[0], wire(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if r.Method == http.MethodPut && err == nil && resp.StatusCode == http.StatusOK {
			once()
		}
		return resp, err
	})), s.buckets[1]}
	plan, result, err := Run(ctx, o)
	if err != nil || len(result.Errors) != 0 {
		t.Fatalf("%v, errors %v", err, result)
	}
	if n := len(s.blobs); plan.Blobs != n || plan.Unmirrored[0].Count != n || result.Copied != 2*n || result.Existed != 0 {
		t.Errorf("plan of %d blobs with %d missing, copied %d, existed %d, want %d blobs twice", plan.Blobs, plan.Unmirrored[0].Count, result.Copied, result.Existed, n)
	}
	s.allWhole(t)
}

// TestRunWaits tests that the source is not read further while too many blobs wait.
func TestRunWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		o := Options{Buckets: []*Bucket{{}}, Inventory: &holdings{}}
		o.fill()
		e := &early{c: newCopying(o), waiting: map[Digest]bool{}, copying: map[Digest]bool{}} // nothing copies
		e.changed = sync.NewCond(&e.mu)
		for i := range maxEarly {
			e.ready(ctx)
			digest := Digest{byte(i), byte(i >> 8)}
			e.found(digest, MissingBlob{Blob: registry.Blob{Digest: digest.String(), Size: 1}})
		}
		ready := make(chan struct{})
		go func() {
			e.ready(ctx)
			close(ready)
		}()
		synctest.Wait()
		select {
		case <-ready:
			t.Fatal("the source is read further")
		default:
		}
		if _, _, ok := e.next(); !ok {
			t.Fatal("no blob is queued")
		}
		<-ready
		digest := Digest{31: 1}
		e.found(digest, MissingBlob{Blob: registry.Blob{Digest: digest.String(), Size: 1}})
		cancel()
		e.ready(ctx) // returns, although the queue is full again
		if bytes := e.c.meter.TotalBytes; bytes != maxEarly+1 {
			t.Errorf("%d bytes are known, want %d", bytes, maxEarly+1)
		}
	})
}

// TestRunAfterFailures tests what the copy does with blobs that could not be copied
// early, and how often the source is asked for them.
func TestRunAfterFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		fail   int // requests
		status int
		asked  int64
		absent int
	}{
		{"absent", 1000, http.StatusNotFound, 1, 1},
		// The rest of content that is shorter than in the manifest is requested too.
		{"wrong-content", 1, http.StatusOK, 3, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			one := s.push(t, "one:v1", image(t, 1000, 1))
			layers, err := one.Layers()
			if err != nil {
				t.Fatal(err)
			}
			digest, err := layers[0].Digest()
			if err != nil {
				t.Fatal(err)
			}
			var asked atomic.Int64
			o := s.options(t, wire(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/blobs/"+digest.String()) && asked.Add(1) <= int64(tt.fail) {
					return respond(r, tt.status, nil, "{}")
				}
				return http.DefaultTransport.RoundTrip(r)
			}))
			o.Buckets = s.buckets[:1]
			_, result, err := Run(t.Context(), o)
			if err != nil || len(result.Errors) != 0 || len(result.Absent) != tt.absent || result.Copied != 2-tt.absent {
				t.Errorf("%v, result %+v", err, result)
			}
			if n := asked.Load(); n != tt.asked {
				t.Errorf("asked %d times for the blob, want %d", n, tt.asked)
			}
		})
	}
}

// TestRunStopsEarly tests that nothing more is copied early after too many failures.
func TestRunStopsEarly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := Options{Buckets: []*Bucket{{}}, Inventory: &holdings{}}
	o.fill()
	e := newCopying(o).startEarly(ctx)
	defer e.wait()
	find := func(i int) {
		digest := Digest{1: byte(i), 2: byte(i >> 8), 3: byte(i >> 16)}
		e.found(digest, MissingBlob{Blob: registry.Blob{Digest: digest.String(), Size: 1}})
	}
	for i := range maxTried {
		find(i)
	}
	e.mu.Lock()
	for len(e.tried) < maxTried {
		e.changed.Wait()
	}
	e.mu.Unlock()
	find(maxTried)
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.stopped || len(e.queue) != 0 || e.waiting[Digest{1: maxTried & 0xff, 2: maxTried >> 8}] {
		t.Errorf("after %d failures: stopped %t, %d blobs are queued", len(e.tried), e.stopped, len(e.queue))
	}
}

// TestSettled tests the next attempt for a blob by what was tried early.
func TestSettled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		tried   error
		others  int // repositories that were known then
		next    int
		isError bool
	}{
		{"not-tried", nil, 0, 1, false},
		{"passing-error", errReset, 1, 2, false},
		{"absent", registry.ErrAbsent, 1, 0, true},
		{"absent-in-fewer-repositories", registry.ErrAbsent, 0, 1, false},
		{"too-large", errTooLarge, 0, 0, true},
		{"canceled", context.Canceled, 1, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := &early{tried: map[Digest]attempted{}}
			if tt.tried != nil {
				key, _ := ParseDigest(a)
				e.tried[key] = attempted{fmt.Errorf("blob: %w", tt.tried), tt.others}
			}
			copied, next, err := e.settled(MissingBlob{Blob: registry.Blob{Digest: a}, Others: []string{"other"}})
			if copied || next != tt.next || (err != nil) != tt.isError || tt.isError && !errors.Is(err, tt.tried) {
				t.Errorf("copied %v, next attempt %d, error %v, want attempt %d", copied, next, err, tt.next)
			}
		})
	}
}

// TestRunProgress tests that the bytes move within a blob, never beyond what is missing,
// and reach it.
func TestRunProgress(t *testing.T) {
	t.Parallel()
	s := start(t)
	const size = 4 << 20
	s.push(t, "one:v1", image(t, size, 1))
	o := s.options(t, nil)
	var last Progress
	within := false
	o.Progress = func(p Progress) {
		if p.Bytes > size/4 && p.Bytes < size {
			within = true
		}
		if p.TotalBytes > 0 && p.Bytes > p.TotalBytes {
			t.Errorf("%d of %d bytes", p.Bytes, p.TotalBytes)
		}
		last = p
	}
	if _, _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if !within || last.Done != 4 || last.Total != 4 || last.Bytes != last.TotalBytes || last.Bytes < 2*size || last.Growing {
		t.Errorf("within a blob: %v, at the end %+v", within, last)
	}
}
