package main

import (
	"context"
	"fmt"
	"net/http"

	"archeio/scripts/lab/system"
)

// manifestTypes is the Accept header of a client that accepts one manifest type.
var manifestTypes = map[string]string{"Accept": "application/vnd.oci.image.manifest.v1+json"}

// prefixedName requests what containerd requests from a mirror of the upstream: names
// with the upstream's prefix, and the upstream's host in the parameter ns. The prefix
// is not added again. Without ns it is, as to any other name.
func (t *ruleTest) prefixedName(ctx context.Context) (string, error) {
	const prefixed = system.Prefix + "/" + singleRepository
	manifest, config := "/manifests/"+t.images.single.digest.String(), ""
	for digest := range t.images.single.unmirrored {
		config = "/blobs/" + digest
	}
	once := t.upstream.url + "/v2/" + prefixed
	twice := t.upstream.url + "/v2/" + system.Prefix + "/" + prefixed
	requests := []struct {
		path, reason string
		location     string // empty for that of a mirror
		status       int    // of the response that it leads to
	}{
		{prefixed + manifest + "?ns=registry.example", "manifest", once + manifest, http.StatusOK},
		{prefixed + "/manifests/" + tag + "?ns=", "manifest", once + "/manifests/" + tag, http.StatusOK},
		{prefixed + config + "?a=b&ns=registry.example", "mirror-absent", once + config, http.StatusOK},
		{prefixed + "/blobs/" + t.digest + "?ns=registry.example", "aws-region", "", http.StatusOK},
		{prefixed + "/tags/list?ns=registry.example", "tags", once + "/tags/list?ns=registry.example", http.StatusOK},
		{singleRepository + manifest + "?ns=registry.example", "manifest", once + manifest, http.StatusOK},
		{prefixed + manifest, "manifest", twice + manifest, http.StatusNotFound},
		{prefixed + manifest + "?ans=registry.example", "manifest", twice + manifest, http.StatusNotFound},
	}
	for _, r := range requests {
		a, err := t.get(ctx, "/v2/"+r.path, manifestTypes)
		if err != nil {
			return "", err
		}
		location := a.first.Header.Get("Location")
		if r.location == "" {
			r.location = location
		}
		if a.reason() != r.reason || location != r.location || a.last.StatusCode != r.status {
			return "", fmt.Errorf("%s: %s, Location %q, want %s, %q, %d", shortDigest(r.path), a, location, r.reason, r.location, r.status)
		}
	}
	return fmt.Sprintf("%d requests", len(requests)), nil
}
