package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"archeio/scripts/lab/system"
)

// signatureClient is a client that requests signatures through a cache.
type signatureClient struct {
	*ruleTest
	bed  *testbed
	base string // URL of the repository at the cache
	// found is how many requests found what an earlier one had not.
	found int
}

// earlySignature requests signatures before they can be found, and again when they can.
// A redirect that depends on whether the upstream has them must not be cached.
func (t *ruleTest) earlySignature(ctx context.Context) (string, error) {
	// Two processes get the requests in turns, so the second one has not cached what
	// the first one has.
	bed, err := t.newTestbed(ctx, t.images, t.at.kind, 2, map[string]string{
		"SIGNATURE_UPSTREAM_ENDPOINT": t.signatures.url, "MIRROR_CHECK_TIMEOUT": "1s",
	})
	if err != nil {
		return "", err
	}
	defer bed.stop()
	cache, err := bed.listen(newEdgeCache(t.entryPointHandler(t.at.kind, bed.api.Invoke, netip.Addr{})))
	if err != nil {
		return "", err
	}
	x := &signatureClient{ruleTest: t, bed: bed, base: cache.url + "/v2/" + singleRepository}
	for _, step := range []struct {
		name string
		run  func(context.Context, v1.Descriptor, *attachments) error
	}{
		{"pushed to the signature upstream", x.toSignatures},
		{"pushed to the upstream", x.toUpstream},
		{"upstream unavailable", x.unavailable},
	} {
		// An image of its own, which need not exist.
		text := t.at.kind + ", " + step.name
		sum := sha256.Sum256([]byte(text))
		image := v1.Descriptor{MediaType: types.OCIManifestSchema1, Size: 1, Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}}
		a, err := newAttachments(image, text)
		if err == nil {
			err = step.run(ctx, image, a)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return fmt.Sprintf("%d requests found at once what an earlier one had not", x.found), nil
}

// toSignatures requests everything before and after it is pushed to the signature
// upstream.
func (x *signatureClient) toSignatures(ctx context.Context, image v1.Descriptor, a *attachments) error {
	paths := []string{
		"/manifests/" + signatureTag(image.Digest), "/manifests/" + a.signature.String(), "/manifests/" + a.referrer.String(),
		"/blobs/" + a.signatureBlobs[0].String(), "/blobs/" + a.referrerBlobs[0].String(),
	}
	referrers := "/referrers/" + image.Digest.String()
	for _, path := range paths {
		if err := x.expect(ctx, path, x.signatures, http.StatusNotFound); err != nil {
			return err
		}
	}
	if found, err := x.lists(ctx, referrers, a.referrer); found || err != nil {
		return fmt.Errorf("the referrer is listed before it is pushed: %v, %w", found, err)
	}
	if err := a.push(ctx, x.signatures.address+"/"+system.Prefix+"/"); err != nil {
		return err
	}
	for _, path := range paths {
		if err := x.expect(ctx, path, x.signatures, http.StatusOK); err != nil {
			return err
		}
	}
	if found, err := x.lists(ctx, referrers, a.referrer); !found || err != nil {
		return fmt.Errorf("the referrer is listed after it is pushed: %v, %w", found, err)
	}
	x.found++
	return nil
}

// toUpstream requests a manifest by its digest before and after it is pushed to the
// upstream. Until then the upstream does not have it, and the redirect leads to the
// signature upstream.
func (x *signatureClient) toUpstream(ctx context.Context, _ v1.Descriptor, a *attachments) error {
	path := "/manifests/" + a.signature.String()
	if err := x.expect(ctx, path, x.signatures, http.StatusNotFound); err != nil {
		return err
	}
	if err := a.push(ctx, x.local.Publisher()+"/"); err != nil {
		return err
	}
	return x.expect(ctx, path, x.bed.upstream, http.StatusOK)
}

// unavailable requests a manifest that the signature upstream has by its digest, while
// the upstream is unavailable and after that. The first redirect leads to the upstream.
func (x *signatureClient) unavailable(ctx context.Context, _ v1.Descriptor, a *attachments) error {
	if err := a.push(ctx, x.signatures.address+"/"+system.Prefix+"/"); err != nil {
		return err
	}
	path := "/manifests/" + a.signature.String()
	x.bed.upstream.injectStatus(http.StatusServiceUnavailable)
	if err := x.expect(ctx, path, x.bed.upstream, http.StatusServiceUnavailable); err != nil {
		return err
	}
	x.bed.upstream.restore()
	return x.expect(ctx, path, x.signatures, http.StatusOK)
}

// expect returns an error unless a request is redirected to a server and gets a status
// there.
func (x *signatureClient) expect(ctx context.Context, path string, at *server, status int) error {
	a, err := fetch(ctx, x.transport, http.MethodGet, x.base+path, manifestTypes)
	if err != nil {
		return err
	}
	location := a.first.Header.Get("Location")
	if !strings.HasPrefix(location, at.url+"/") || a.last.StatusCode != status {
		return fmt.Errorf("%s: %s, Location %q, want one at %q with %d", shortDigest(path), a, shortDigest(location), at.url, status)
	}
	if status == http.StatusOK {
		x.found++
	}
	return nil
}

// lists reports whether a list of referrers has one.
func (x *signatureClient) lists(ctx context.Context, path string, referrer v1.Hash) (bool, error) {
	a, err := fetch(ctx, x.transport, http.MethodGet, x.base+path, nil)
	return strings.Contains(string(a.body), referrer.String()), err
}
