package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

func (f *atFront) slowUpstream(ctx context.Context) (string, error) {
	const delay = 2 * time.Second
	l, err := f.lab(ctx, 1, nil)
	if err != nil {
		return "", err
	}
	defer l.stop()
	l.upstream.fail(func(w http.ResponseWriter, r *http.Request) {
		late := time.NewTimer(delay)
		defer late.Stop()
		select {
		case <-late.C:
			l.upstream.handler.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
	began := time.Now()
	a, err := fetch(ctx, l.transport, http.MethodGet, l.front.base+"/v2/"+singleRepo+"/manifests/"+tag, map[string]string{"Accept": "application/vnd.oci.image.manifest.v1+json"})
	took := time.Since(began)
	if err != nil {
		return "", err
	}
	s := sum(l.watch(ctx, time.Millisecond, time.Minute, times(30)))
	saw := fmt.Sprintf("upstream answers after %s: a manifest takes %s; blobs from mirrors: %d errors, slowest answer %dms", delay, seconds(took), s.bad, s.slowest.Milliseconds())
	if a.last.StatusCode != http.StatusOK || s.bad > 0 || s.slowest > slack {
		return saw, fmt.Errorf("%s, %v", a.last.Status, s.err)
	}
	return saw, hashes(a.body, f.images.single.digest.String())
}
