package blobs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"archeio/lambda/index"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestCacheAllocatesNothing(t *testing.T) {
	n, mirror := stub(Options{HealthInterval: time.Hour})
	for _, tt := range []struct {
		path  string
		reply reply
		want  Answer
	}{
		{digest, status(200), Present},
		{"library/x/manifests/latest", status(404), Absent},
	} {
		n.set("mirror", tt.reply)
		has(t, mirror, tt.path, tt.want)
		n.expect(t, "first request", 1)
		ctx := t.Context()
		allocations := testing.AllocsPerRun(1000, func() {
			var limit Limit
			if mirror.Has(ctx, &limit, tt.path) != tt.want {
				t.Errorf("Has is not %v any more", tt.want)
			}
		})
		if allocations != 0 {
			t.Errorf("cached %v: %v allocations, want 0", tt.want, allocations)
		}
		n.expect(t, "cached", 0)
	}
	// An open breaker allocates nothing either.
	fail(mirror, breakAfter)
	ctx := t.Context()
	if allocations := testing.AllocsPerRun(1000, func() { mirror.Has(ctx, new(Limit), digest) }); allocations != 0 {
		t.Errorf("open breaker: %v allocations, want 0", allocations)
	}
}

func BenchmarkCache(b *testing.B) {
	n, mirror := stub(Options{HealthInterval: time.Hour})
	n.set("mirror", status(200))
	ctx := b.Context()
	mirror.Has(ctx, new(Limit), digest)
	b.ReportAllocs()
	for b.Loop() {
		var limit Limit
		if mirror.Has(ctx, &limit, digest) != Present {
			b.Fatal("Has is not present any more")
		}
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	const workers, requests = 8, 200
	n, mirror := stub(Options{Timeout: 2 * time.Millisecond, HealthInterval: time.Millisecond})
	other := mirror.checker.Origin("other", "https://other/", Registry)
	chance := func(r *http.Request) (int, error) {
		return after(rand.N(3*time.Millisecond), []int{200, 200, 200, 404, 500}[rand.IntN(5)])(r)
	}
	n.set("mirror", chance)
	n.set("other", chance)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range requests {
				invocation, cancel := context.WithTimeout(t.Context(), responseMargin+rand.N(5*time.Millisecond))
				var limit Limit
				path := fmt.Sprint(rand.IntN(20))
				mirror.Has(invocation, &limit, path)
				other.Has(invocation, &limit, path)
				cancel()
			}
		})
	}
	all.Wait()
	mirror.checker.mu.Lock()
	defer mirror.checker.mu.Unlock()
	// Only background checks may be in progress, which are not flights.
	if left := len(mirror.checker.flights); left != 0 {
		t.Errorf("%d flights, want 0", left)
	}
}

// BenchmarkIndexed looks up a blob of an index of a million.
func BenchmarkIndexed(b *testing.B) {
	n := &network{replies: map[string]reply{"mirror": status(200)}}
	c := New(Options{Timeout: time.Second, HealthInterval: time.Hour, Transport: n, Index: IndexOptions{URL: "https://index/", Refresh: time.Hour, MaxAge: time.Hour}})
	mirror := c.Mirror("mirror", "https://mirror/", region)
	data := manyBlobs(b, time.Now(), 1_000_000)
	x, err := index.Parse(data)
	if err != nil {
		b.Fatal(err)
	}
	c.index.tried.Store(time.Now().UnixNano())
	c.index.use(x, "")
	d := firstOf(data)
	mirror.Has(b.Context(), new(Limit), d)
	b.ReportAllocs()
	for b.Loop() {
		var limit Limit
		if mirror.Has(b.Context(), &limit, d) != Present {
			b.Fatal("Has is not present any more")
		}
	}
}
