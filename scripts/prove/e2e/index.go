package main

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"archeio/lambda/index"
	"archeio/scripts/lab/system"
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
	return f.indexedTestbedOf(ctx, 1, map[string]string{"MIRROR_INDEX_REFRESH": indexRefresh.String(), "MIRROR_INDEX_MAX_AGE": maxAge.String()})
}

// indexedTestbedOf starts one with n processes, and env laid over their environment.
func (f *faultTest) indexedTestbedOf(ctx context.Context, n int, env map[string]string) (*indexedTestbed, error) {
	t, err := f.newTestbed(ctx, f.images, f.kind, n, env)
	if err != nil {
		return nil, err
	}
	x := &indexedTestbed{t, &atomic.Pointer[[]byte]{}, &atomic.Pointer[string]{}}
	for _, m := range t.allMirrors() {
		m.injectIndex(x.index, x.missing)
	}
	return x, nil
}

// injectIndex makes a mirror serve an index and have its witnesses, and return 404 for
// a missing blob.
func (s *server) injectIndex(data *atomic.Pointer[[]byte], missing *atomic.Pointer[string]) {
	s.inject(func(w http.ResponseWriter, r *http.Request) {
		if d := missing.Load(); d != nil && strings.HasSuffix(r.URL.Path, *d) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if b := data.Load(); b != nil {
			if strings.HasSuffix(r.URL.Path, "/"+index.Name) {
				w.Write(*b)
				s.indexes.Add(1)
				return
			}
			h, err := index.ParseHeader(*b)
			if err == nil && r.Method == http.MethodHead && slices.Contains(h.Witnesses, path.Base(r.URL.Path)) {
				return
			}
		}
		s.handler.ServeHTTP(w, r)
	})
}

// buildIndex returns an index of digests and of those that onlyInIndex returns, and its
// time. It covers the regional mirrors.
func buildIndex(digests []string) (*[]byte, time.Time, error) {
	now := time.Now()
	b, err := buildIndexAt(now, digests)
	return b, now, err
}

func buildIndexAt(at time.Time, digests []string) (*[]byte, error) {
	return buildIndexOf(at, system.Regions, digests)
}

// buildIndexOf is buildIndexAt for an index that covers the mirrors in some regions.
func buildIndexOf(at time.Time, covered, digests []string) (*[]byte, error) {
	b, err := index.Encode(at, covered, func(yield func(index.Digest) bool) {
		for _, text := range digests {
			if d, ok := index.ParseDigest(text); ok && !yield(d) {
				return
			}
		}
		for i := range int64(onlyInIndexBlobs) {
			if d, _ := index.ParseDigest(onlyInIndex(i)); !yield(d) {
				return
			}
		}
	})
	return &b, err
}

// onlyInIndex returns one of some blobs that no mirror has: the reason of its redirect
// shows once whether the index is used; then it is known to be missing. They are next
// to each other, so that at most the first one is a witness.
func onlyInIndex(i int64) string { return fmt.Sprintf("sha256:%016x%048x", uint64(i)-1<<16, 0) }

const onlyInIndexBlobs = 1000

var onlyInIndexRequests atomic.Int64

// nextOnlyInIndex returns one that was not requested lately.
func nextOnlyInIndex() string {
	return onlyInIndex(1 + onlyInIndexRequests.Add(1)%(onlyInIndexBlobs-1))
}

// loadIndex makes each of n processes load the index. A process does that after its
// first response.
func (t *indexedTestbed) loadIndex(ctx context.Context, n int64) error {
	for began := time.Now(); t.bucket.indexes.Load() < n; pause(ctx, 10*time.Millisecond) {
		resp, err := t.request(ctx, t.entryPoint.url+"/v2/")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if took := time.Since(began); took > downloadTimeout {
			return fmt.Errorf("%d of %d processes have loaded the index after %s", t.bucket.indexes.Load(), n, seconds(took))
		}
	}
	pause(ctx, 100*time.Millisecond) // they have its last byte, and decode it
	return nil
}

// untilIndexUsed requests blobs of onlyInIndex until the index is used, for limit at most.
// It returns how long that took.
func (t *testbed) untilIndexUsed(ctx context.Context, limit time.Duration) (after time.Duration, used bool) {
	began := time.Now()
	for ctx.Err() == nil && time.Since(began) < limit {
		if t.download(ctx, nextOnlyInIndex()).reason == "aws-region" {
			return time.Since(began), true
		}
		pause(ctx, 20*time.Millisecond)
	}
	return time.Since(began), false
}
