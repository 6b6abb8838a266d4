package main

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"archeio/lambda/index"
)

// indexedTestbed is a testbed whose mirrors serve an index, and do not have one
// of their blobs.
type indexedTestbed struct {
	*testbed
	index   *atomic.Pointer[[]byte] // nil for none
	missing *atomic.Pointer[string] // digest; nil for none
}

// indexedTestbed starts one. It has no index yet, and all its blobs.
func (f *faultTest) indexedTestbed(ctx context.Context, maxAge time.Duration) (*indexedTestbed, error) {
	t, err := f.testbed(ctx, map[string]string{"MIRROR_INDEX_REFRESH": indexRefresh.String(), "MIRROR_INDEX_MAX_AGE": maxAge.String()})
	if err != nil {
		return nil, err
	}
	x := &indexedTestbed{t, &atomic.Pointer[[]byte]{}, &atomic.Pointer[string]{}}
	for _, m := range t.allMirrors() {
		m.injectIndex(x.index, x.missing)
	}
	return x, nil
}

// injectIndex makes a mirror serve an index, and return 404 for a missing blob.
func (s *server) injectIndex(data *atomic.Pointer[[]byte], missing *atomic.Pointer[string]) {
	s.inject(func(w http.ResponseWriter, r *http.Request) {
		if d := missing.Load(); d != nil && strings.HasSuffix(r.URL.Path, *d) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if b := data.Load(); b != nil && strings.HasSuffix(r.URL.Path, "/"+index.Name) {
			w.Write(*b)
			return
		}
		s.handler.ServeHTTP(w, r)
	})
}

// buildIndex returns an index of digests, and its time.
func buildIndex(digests []string) (*[]byte, time.Time, error) {
	now := time.Now()
	b, err := buildIndexAt(now, digests)
	return b, now, err
}

func buildIndexAt(at time.Time, digests []string) (*[]byte, error) {
	var prefixes []uint64
	for _, d := range digests {
		if p, ok := index.Prefix(d); ok {
			prefixes = append(prefixes, p)
		}
	}
	b, err := index.Encode(at, prefixes)
	return &b, err
}

// onlyInIndex is a blob that no mirror has: if the index lists it, the reason of
// its redirect shows whether the index is used.
var onlyInIndex = digestOf([]byte("only in the index"))

// untilIndexUsed requests onlyInIndex until the index is used, for limit at most.
// It returns how long that took.
func (t *testbed) untilIndexUsed(ctx context.Context, limit time.Duration) (after time.Duration, used bool) {
	began := time.Now()
	for ctx.Err() == nil && time.Since(began) < limit {
		if t.download(ctx, onlyInIndex).reason == "aws-region" {
			return time.Since(began), true
		}
		pause(ctx, 20*time.Millisecond)
	}
	return time.Since(began), false
}
