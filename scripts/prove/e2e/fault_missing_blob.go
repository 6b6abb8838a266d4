package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"archeio/lambda/blobs"
	"archeio/scripts/prove/cli"
)

// missingBlobInIndex: a blob goes missing that is in the index and was never
// requested. Clients get a 404 until the index is too old, or until a newer index
// does not list it.
func (f *faultTest) missingBlobInIndex(ctx context.Context) (string, error) {
	observed, err := f.untilIndexExpires(ctx, 6*time.Second)
	if err != nil {
		return observed, err
	}
	next, err := f.untilIndexReplaced(ctx)
	return observed + "; " + next, err
}

// indexRefresh is MIRROR_INDEX_REFRESH of the testbeds that use an index.
const indexRefresh = time.Second

// missingLastBlob returns a testbed whose index lists all blobs, and whose last
// blob goes missing once the index is used. listed is the time of the index.
func (f *faultTest) missingLastBlob(ctx context.Context, maxAge time.Duration) (t *indexedTestbed, missing string, listed time.Time, err error) {
	if t, err = f.indexedTestbed(ctx, maxAge); err != nil {
		return nil, "", listed, err
	}
	index, listed, err := buildIndex(t.blobs)
	if err != nil {
		t.stop()
		return nil, "", listed, err
	}
	t.index.Store(index)
	all := t.blobs
	t.blobs = all[:1]
	t.watchFor(ctx, 20*time.Millisecond, listed, indexRefresh+500*time.Millisecond) // until the index is used
	t.blobs, missing = all, all[len(all)-1]
	t.missing.Store(&missing)
	return t, missing, listed, nil
}

func (f *faultTest) untilIndexExpires(ctx context.Context, maxAge time.Duration) (string, error) {
	t, missing, listed, err := f.missingLastBlob(ctx, maxAge)
	if err != nil {
		return "", err
	}
	defer t.stop()
	t.blobs = []string{missing}
	s := summarize(t.watch(ctx, 50*time.Millisecond, maxAge+5*time.Second, func(s []sample) bool {
		return s[len(s)-1].err == nil && time.Since(listed) > maxAge
	}))
	failedFor := s.failedFor(listed)
	observed := fmt.Sprintf("MIRROR_INDEX_MAX_AGE=%s: 404 until the index is %s old, then %s", maxAge, seconds(failedFor), counted(s.reasons))
	switch {
	case s.failed == 0:
		return observed, errors.New("the index was not used")
	case s.ok == 0 || failedFor > maxAge+slack:
		return observed, fmt.Errorf("the index was used for %s", failedFor)
	}
	return observed, nil
}

func (f *faultTest) untilIndexReplaced(ctx context.Context) (string, error) {
	t, missing, _, err := f.missingLastBlob(ctx, time.Hour)
	if err != nil {
		return "", err
	}
	defer t.stop()
	index, _, err := buildIndex(t.blobs[:len(t.blobs)-1])
	if err != nil {
		return "", err
	}
	began := time.Now()
	t.index.Store(index)
	t.blobs = []string{missing, t.blobs[0]}
	s := t.watchFor(ctx, 50*time.Millisecond, began, 4*time.Second)
	failedFor := s.failedFor(began)
	observed := fmt.Sprintf("a new index without it ends that after %s (refresh %s)", seconds(failedFor), indexRefresh)
	if failedFor > 2*indexRefresh+slack {
		return observed, fmt.Errorf("the old index was used for %s", failedFor)
	}
	return observed, nil
}

// missingBlobInCache: a blob goes missing that is cached as present, and is always
// requested after another blob of the same mirror. A health check may detect it, and
// did in every run so far; the bound is how long a blob is cached as present.
func (f *faultTest) missingBlobInCache(ctx context.Context) (string, error) {
	if !f.slow {
		return "", fmt.Errorf("%w: a blob is cached as present for up to %s: use -full", cli.ErrSkipped, blobs.PresentFor)
	}
	t, err := f.testbed(ctx, nil)
	if err != nil {
		return "", err
	}
	defer t.stop()
	present, missing := t.blobs[0], t.blobs[1]
	t.blobs = []string{present, missing}
	t.watchN(ctx, time.Millisecond, 4)
	t.near.inject(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, missing) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		t.near.handler.ServeHTTP(w, r)
	})
	began := time.Now()
	var samples []sample
	for ctx.Err() == nil && time.Since(began) < blobs.PresentFor+time.Minute {
		for range 2 {
			if s := t.download(ctx, present); s.err != nil {
				return "", fmt.Errorf("the other blob: %w", s.err)
			}
		}
		s := t.download(ctx, missing)
		if samples = append(samples, s); s.err == nil {
			break
		}
		pause(ctx, 100*time.Millisecond)
	}
	s := summarize(samples)
	failedFor := s.failedFor(began)
	observed := fmt.Sprintf("404 for %s (bound %s), then %s", seconds(failedFor), blobs.PresentFor, counted(s.reasons))
	if s.ok == 0 || s.failed == 0 || failedFor > blobs.PresentFor+slack {
		return observed, fmt.Errorf("the blob was cached as present for %s", failedFor)
	}
	return observed, nil
}
