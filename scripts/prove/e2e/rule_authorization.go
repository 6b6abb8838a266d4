package main

import (
	"context"
	"fmt"
	"net/http"

	"archeio/lambda/config"
)

// authorization: a client that forwards Authorization across redirects would
// get a 400 from S3, so it is redirected elsewhere.
func (t *ruleTest) authorization(ctx context.Context) (string, error) {
	t.mirror.inject(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" { // as S3 does
			http.Error(w, "InvalidArgument: Unsupported Authorization Type", http.StatusBadRequest)
			return
		}
		t.mirror.handler.ServeHTTP(w, r)
	})
	defer t.mirror.restore()
	bearer := map[string]string{"Authorization": "Bearer e2e"}
	direct, err := fetch(ctx, t.transport, http.MethodGet, t.mirror.url+"/mirror-us-east-1/"+config.BlobPrefix+t.digest, bearer)
	if err != nil {
		return "", err
	}
	if direct.last.StatusCode != http.StatusBadRequest {
		return "", fmt.Errorf("the mirror returned %s, want 400", direct.last.Status)
	}
	a, err := t.getBlob(ctx, t.transport, t.at.url+t.path, bearer, "authorization")
	if err != nil {
		return "", err
	}
	return a.String() + " (the bucket itself: 400)", nil
}
