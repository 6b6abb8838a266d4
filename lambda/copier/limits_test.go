package copier

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"archeio/lambda/registry"
)

// TestDecodingLimit tests that at most four lines of a cache are decoded at the same time.
// It replaces a variable of the package, so it is not parallel.
func TestDecodingLimit(t *testing.T) {
	cache := NewShellCache(t.TempDir())
	cache.Put(a, &registry.Contents{Blobs: []registry.Blob{{Digest: b, Size: 1}}})
	if cap(decoding) != 4 {
		t.Fatalf("%d lines are decoded at the same time, want 4", cap(decoding))
	}
	defer func(old chan struct{}) { decoding = old }(decoding)
	synctest.Test(t, func(t *testing.T) {
		decoding = make(chan struct{}, cap(decoding))
		for range cap(decoding) {
			decoding <- struct{}{}
		}
		decoded := make(chan struct{})
		go func() {
			if cache.Get(a) == nil {
				t.Error("the manifest is not cached")
			}
			close(decoded)
		}()
		synctest.Wait()
		select {
		case <-decoded:
			t.Error("a line is decoded while four others are")
		default:
		}
		<-decoding
		<-decoded
	})
}

// slowState is a State that needs a second for each manifest cache. most is the highest
// number of caches that were read at the same time.
type slowState struct {
	State
	mu           sync.Mutex
	read, active int
	most         int
}

func (s *slowState) Get(ctx context.Context, name string) ([]byte, error) {
	if strings.HasPrefix(name, cachePrefix) {
		s.change(1)
		time.Sleep(time.Second)
		defer s.change(-1)
	}
	return s.State.Get(ctx, name)
}

func (s *slowState) change(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active += n
	s.read += max(n, 0)
	s.most = max(s.most, s.active)
}

// TestStatusCaches tests that status reads two manifest caches at a time.
func TestStatusCaches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const caches = 9
		d := deploy(t, nil, &Filler{})
		var failed error
		for i := range caches {
			var m ManifestCache
			m.Put(a, &registry.Contents{Blobs: []registry.Blob{{Digest: b, Size: 1}}})
			failed = errors.Join(failed, m.Save(t.Context(), d.State, cacheName(fmt.Sprint("app-", i), 0, 1)))
		}
		s := &slowState{State: d.State}
		d.State = s
		ctx, cancel := context.WithTimeout(t.Context(), invocation)
		defer cancel()
		result, err := d.Status(ctx)
		if err := errors.Join(failed, err); err != nil || !result.Done {
			t.Fatalf("%+v, error %v, log %s", result, err, d.log)
		}
		if s.most != 2 || s.read != caches {
			t.Errorf("%d caches were read, at most %d at the same time, want %d and 2", s.read, s.most, caches)
		}
	})
}
