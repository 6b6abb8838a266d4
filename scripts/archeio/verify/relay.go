package verify

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"archeio/lambda/oci"
)

// relays is the edge of a stage that relays what the upstream responds with.
var relays = &scope{"edge", func(d *deployment) ([]string, string) {
	if !d.stage.Relays() || !d.stage.HasDistribution() {
		return nil, "the stage does not relay through a distribution"
	}
	return []string{"edge"}, ""
}}

var acceptManifests = map[string]string{"Accept": oci.ManifestTypes}

// manifest requests the manifest of the image, and returns its path by digest and its
// size, or why there is none.
func (d *deployment) manifest(ctx context.Context) (path string, size int, none *outcome) {
	because := func(o outcome) (string, int, *outcome) { return "", 0, &o }
	if d.image.Name == "" {
		return because(skip("pass -image to request its manifest"))
	}
	r, err := d.get(ctx, "/v2/"+d.image.Name+"/manifests/"+d.image.Reference, acceptManifests)
	switch {
	case err != nil:
		return because(noResponse(err))
	case r.status != http.StatusOK:
		return because(fail("a manifest returns status %d and the reason %q, want 200; check the upstream with archeio preflight", r.status, reason(r)))
	}
	return "/v2/" + d.image.Name + "/manifests/" + digestOf(r.body), len(r.body), nil
}

// relayedManifest requests a manifest by its digest until an edge cache serves it. The
// edge function must drop the query, which would bypass the cache.
func (d *deployment) relayedManifest(ctx context.Context, _ string) outcome {
	path, _, none := d.manifest(ctx)
	if none != nil {
		return *none
	}
	n, last := 0, (*response)(nil)
	hit, err := d.repeat(ctx, func() (_ bool, err error) {
		n++
		last, err = d.get(ctx, path+"?verify="+d.nonce+strconv.Itoa(n), acceptManifests)
		return err == nil && last.cached(), err
	})
	switch {
	case err != nil:
		return noResponse(err)
	case last.status != http.StatusOK || !strings.HasSuffix(path, digestOf(last.body)):
		return fail("a manifest by digest returns status %d and the digest %s", last.status, digestOf(last.body))
	case !strings.Contains(last.header.Get("Cache-Control"), "stale-if-error"):
		return fail("a manifest by digest has Cache-Control %q, want stale-if-error: clients would not be served while the upstream fails", last.header.Get("Cache-Control"))
	case !hit:
		return fail("five requests for one manifest were not served from a cache: X-Cache %q, Cache-Control %q; check the cache policy of the default behavior", last.header.Get("X-Cache"), last.header.Get("Cache-Control"))
	}
	return pass("a relayed manifest is served from a cache, whatever its query")
}

// relayedHEAD compares HEAD of a manifest with GET. If the length is wrong, clients do not
// pull by digest: containerd, for example, refuses an empty manifest.
func (d *deployment) relayedHEAD(ctx context.Context, _ string) outcome {
	path, size, none := d.manifest(ctx)
	if none != nil {
		return *none
	}
	r, err := d.send(ctx, request{method: http.MethodHead, url: "https://" + d.edge + path + "?verify=head" + d.nonce, header: acceptManifests})
	if err != nil {
		return noResponse(err)
	}
	length, digest := r.header.Get("Content-Length"), r.header.Get("Docker-Content-Digest")
	switch {
	case r.status != http.StatusOK:
		return fail("HEAD of a manifest returns status %d, want 200", r.status)
	case length != "" && length != strconv.Itoa(size), length == "" && digest != "":
		return fail("HEAD of a manifest of %d bytes has Content-Length %q and the digest %q; containerd and Docker cannot pull it", size, length, digest)
	case digest == "":
		return pass("HEAD names no digest, so clients use GET")
	}
	return pass("HEAD has the size and the digest of the manifest")
}
