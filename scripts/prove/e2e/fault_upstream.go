package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// slowUpstream: a slow upstream delays manifests, but no blobs of the mirrors.
func (f *faultTest) slowUpstream(ctx context.Context) (string, error) {
	const delay = 2 * time.Second
	t, err := f.testbed(ctx, nil)
	if err != nil {
		return "", err
	}
	defer t.stop()
	t.upstream.inject(func(w http.ResponseWriter, r *http.Request) {
		pause(r.Context(), delay)
		if r.Context().Err() == nil {
			t.upstream.handler.ServeHTTP(w, r)
		}
	})
	began := time.Now()
	a, err := fetch(ctx, t.transport, http.MethodGet, t.entryPoint.url+"/v2/"+singleRepository+"/manifests/"+tag, map[string]string{"Accept": "application/vnd.oci.image.manifest.v1+json"})
	took := time.Since(began)
	if err != nil {
		return "", err
	}
	s := t.watchN(ctx, time.Millisecond, 30)
	observed := fmt.Sprintf("the upstream responds after %s: a manifest takes %s; blobs from mirrors: %d errors, slowest response %dms", delay, seconds(took), s.failed, s.slowest.Milliseconds())
	switch {
	case a.last.StatusCode != http.StatusOK:
		return observed, fmt.Errorf("the manifest's status is %s", a.last.Status)
	case s.failed > 0 || s.slowest > slack:
		return observed, fmt.Errorf("%d downloads of blobs failed (%v), the slowest response took %s", s.failed, s.err, s.slowest)
	}
	return observed, checkDigest(a.body, f.images.single.digest.String())
}
