package verify

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"archeio/lambda/config"
	"archeio/lambda/route"
	"archeio/scripts/archeio/cli"
)

func noResponse(err error) outcome { return fail("no response: %s", cli.OneLine(err)) }

// reason returns the reason of a response of the redirector.
func reason(r *response) string { return r.header.Get("X-Redirect-Reason") }

// signedOrigin requests the API version check past the caches.
func (d *deployment) signedOrigin(ctx context.Context, _ string) outcome {
	r, err := d.get(ctx, "/v2/?verify="+d.nonce, nil)
	switch {
	case err != nil:
		return noResponse(err)
	case r.status == http.StatusForbidden:
		return fail("the function URL refuses the distribution with 403; check that the alias grants lambda:InvokeFunctionUrl and lambda:InvokeFunction to cloudfront.amazonaws.com, and that the origin has an origin access control")
	case r.status >= 500:
		return fail("status %d; the redirector fails or is not reachable: check its log group", r.status)
	case r.status != http.StatusOK || reason(r) != route.Ping.String() || r.header.Get("Docker-Distribution-Api-Version") != "registry/2.0":
		return fail("status %d with the reason %q, want 200 with %q: the distribution does not lead to the redirector", r.status, reason(r), route.Ping)
	}
	return pass("the distribution reaches the redirector")
}

func (d *deployment) escapedPath(ctx context.Context, _ string) outcome {
	return d.sameEscaped(ctx, d.edge, "")
}

// sameEscaped compares the responses to a path with ":" and with "%3A".
func (d *deployment) sameEscaped(ctx context.Context, host, connect string) outcome {
	path := "/v2/" + name + "/blobs/" + randomDigest()
	var got [2]*response
	for i, path := range []string{path, strings.Replace(path, ":", "%3A", 1)} {
		var err error
		if got[i], err = d.send(ctx, request{url: "https://" + host + path, connect: connect}); err != nil {
			return noResponse(err)
		}
	}
	a, b := got[0], got[1]
	switch {
	case d.stage.Relays() && a.status == http.StatusNotFound: // the upstream does not have it
	case a.status != http.StatusTemporaryRedirect:
		return fail("a blob returns status %d and the reason %q, want 307", a.status, reason(a))
	}
	switch {
	case b.status != a.status || b.header.Get("Location") != a.header.Get("Location"):
		return fail("with %%3A in the path the status is %d and Location %q, want %d and %q: the path does not reach the redirector as the client sent it",
			b.status, b.header.Get("Location"), a.status, a.header.Get("Location"))
	}
	return pass("both spellings get the same response")
}

func (d *deployment) otherSpellings(ctx context.Context, _ string) outcome {
	for _, path := range []string{
		"/" + config.BlobPrefix + "/" + randomDigest(),
		"/v2//" + name + "/manifests/latest",
		"/" + config.BlobPrefix + "sha256%253A" + strings.TrimPrefix(randomDigest(), "sha256:"),
	} {
		r, err := d.get(ctx, path, nil)
		if err != nil {
			return noResponse(err)
		}
		if r.status != http.StatusNotFound {
			return fail("%s returns status %d, want 404 by the edge function: one object must have one path, or an invalidation leaves copies in the caches; deploy the edge stack", path, r.status)
		}
	}
	return pass("paths with another spelling are refused")
}

func (d *deployment) methods(ctx context.Context, _ string) outcome {
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		r, err := d.send(ctx, request{method: method, url: "https://" + d.edge + "/v2/" + name + "/blobs/uploads/", body: "x"})
		switch {
		case err != nil:
			return noResponse(err)
		case r.status != http.StatusMethodNotAllowed:
			return fail("%s returns status %d, want 405 by the edge function; check that the function is associated with every cache behavior", method, r.status)
		case r.header.Get("Allow") != "GET, HEAD" || !strings.Contains(r.body, "UNSUPPORTED"):
			return fail("%s returns Allow %q and the body %q, want the OCI error UNSUPPORTED", method, r.header.Get("Allow"), shortened(r.body))
		}
	}
	return pass("POST, PUT and DELETE are refused with 405")
}

func (d *deployment) plainHTTP(ctx context.Context, _ string) outcome {
	r, err := d.send(ctx, request{url: "http://" + d.edge + "/v2/"})
	if err != nil {
		return noResponse(err)
	}
	if to := r.header.Get("Location"); r.status/100 != 3 || !strings.HasPrefix(to, "https://") {
		return fail("status %d with Location %q, want a redirect to HTTPS", r.status, to)
	}
	return pass("plain HTTP is redirected to HTTPS")
}

func (d *deployment) cachedRedirect(ctx context.Context, _ string) outcome {
	if d.stage.Relays() {
		return skip("the stage relays manifests")
	}
	path := "/v2/" + name + "/manifests/latest?verify=" + d.nonce
	var last *response
	hit, err := d.repeat(ctx, func() (_ bool, err error) {
		last, err = d.get(ctx, path, nil)
		return err == nil && last.cached(), err
	})
	switch {
	case err != nil:
		return noResponse(err)
	case last.status != http.StatusTemporaryRedirect:
		return fail("a manifest returns status %d and the reason %q, want 307", last.status, reason(last))
	case !hit:
		return fail("five requests for one manifest were not served from a cache: X-Cache %q, Cache-Control %q; check the cache policy of the default behavior", last.header.Get("X-Cache"), last.header.Get("Cache-Control"))
	}
	return pass("the redirect of a manifest is served from a cache")
}

func (d *deployment) uncachedRedirect(ctx context.Context, _ string) outcome {
	path := "/v2/" + name + "/blobs/" + randomDigest()
	for range 3 {
		r, err := d.get(ctx, path, nil)
		switch {
		case err != nil:
			return noResponse(err)
		case r.cached():
			return fail("the redirect of a blob was served from a cache: X-Cache %q; clients would get each other's mirror: check the cache policy of /v2/*/blobs/*", r.header.Get("X-Cache"))
		case !strings.Contains(r.header.Get("Cache-Control"), "no-store"):
			return fail("the redirect of a blob has Cache-Control %q, want no-store", r.header.Get("Cache-Control"))
		}
	}
	return pass("the redirect of a blob is not cached")
}

// absoluteLocation requests a blob as a client that sends Authorization, which only the
// default mirror can serve.
func (d *deployment) absoluteLocation(ctx context.Context, _ string) outcome {
	b, none := d.anyBlob(d.stage.Primary)
	if none != nil {
		return *none
	}
	r, err := d.get(ctx, "/v2/"+name+"/blobs/"+b.digest, map[string]string{"Authorization": "Bearer archeio-verify"})
	if err != nil {
		return noResponse(err)
	}
	switch got := reason(r); {
	case got == route.UpstreamCloud.String():
		return skip("clients of this machine's cloud are sent to the upstream")
	// The second one is for clients without a regional mirror.
	case r.status != http.StatusTemporaryRedirect || got != route.Authorization.String() && got != route.DefaultMirror.String():
		return fail("a blob for a client that sends Authorization returns status %d and the reason %q, want 307 to the default mirror: S3 would reject the client, or the mirror near the function does not have %s",
			r.status, got, b.digest)
	}
	host := d.edge
	if d.stage.HasLoadBalancers() && !d.stage.DomainPending {
		host = d.stage.Domain
	}
	if want, got := "https://"+host+"/"+config.BlobPrefix+b.digest, r.header.Get("Location"); got != want {
		return fail("Location %q, want %q; check that the origin request policy forwards X-Viewer-Host", got, want)
	}
	return pass("the redirect leads to the distribution by its absolute URL")
}

func (d *deployment) edgeBlob(ctx context.Context, _ string) outcome {
	b, none := d.anyBlob(d.stage.Primary)
	if none != nil {
		return *none
	}
	url := "https://" + d.edge + "/" + config.BlobPrefix + b.digest
	if o := d.readable(ctx, url, b); o.result != cli.Pass {
		return o
	}
	if r, err := d.send(ctx, request{method: http.MethodHead, url: strings.Replace(url, "sha256:", "sha256%3A", 1)}); err != nil {
		return noResponse(err)
	} else if r.status != http.StatusOK {
		return fail("with %%3A in the path the status is %d, want 200", r.status)
	}
	hit, err := d.repeat(ctx, func() (bool, error) {
		r, err := d.send(ctx, request{url: url, header: map[string]string{"Range": "bytes=0-0"}})
		return err == nil && r.cached(), err
	})
	switch {
	case err != nil:
		return noResponse(err)
	case !hit:
		return fail("five requests for one blob were not served from a cache; check the cache policy of /%s*", config.BlobPrefix)
	}
	return pass("HEAD, GET and Range work, and the blob is cached")
}

// readable checks HEAD, Range and, for a small blob, GET.
func (d *deployment) readable(ctx context.Context, url string, b blob) outcome {
	const remedy = "check the bucket policy and the blocks of public access of bucket, account and organization"
	head, err := d.send(ctx, request{method: http.MethodHead, url: url})
	switch {
	case err != nil:
		return noResponse(err)
	case head.status != http.StatusOK:
		return fail("%s is in the bucket, but HEAD returns %d, want 200; %s", b.digest, head.status, remedy)
	}
	part, err := d.send(ctx, request{url: url, header: map[string]string{"Range": "bytes=0-0"}})
	switch {
	case err != nil:
		return noResponse(err)
	case part.status != http.StatusPartialContent || len(part.body) != 1:
		return fail("a GET with Range: bytes=0-0 returns status %d and %d bytes, want 206 and 1", part.status, len(part.body))
	}
	if b.size > maxBody {
		return pass("HEAD and Range work")
	}
	whole, err := d.send(ctx, request{url: url})
	switch {
	case err != nil:
		return noResponse(err)
	case whole.status != http.StatusOK:
		return fail("GET returns status %d, want 200; %s", whole.status, remedy)
	case digestOf(whole.body) != b.digest:
		return fail("the content of %s has the digest %s; replace it with archeio mirror verify -replace", b.digest, digestOf(whole.body))
	}
	return pass("HEAD, GET and Range work")
}

func (d *deployment) edgeMissingBlob(ctx context.Context, _ string) outcome {
	path := "/" + config.BlobPrefix + randomDigest()
	for range 2 {
		r, err := d.get(ctx, path, nil)
		switch {
		case err != nil:
			return noResponse(err)
		case r.status != http.StatusForbidden:
			return fail("status %d, want 403", r.status)
		case r.header.Get("Age") != "":
			return fail("the response was cached for %s s; a blob that arrives later would not be found: check the custom error responses", r.header.Get("Age"))
		}
	}
	return pass("a missing blob is a 403, which is not cached")
}

func (d *deployment) distribution(ctx context.Context, _ string) outcome {
	got, err := d.cloud.distribution(ctx, d.edge)
	switch {
	case err != nil:
		return unknown(err)
	case got == nil:
		return fail("there is no distribution %s; run make deploy STAGE=%s", d.edge, d.stage.Name)
	case got.status != "Deployed":
		return pending("the distribution is in the status %s; its changes take minutes to reach all edge locations", got.status)
	case !got.enabled:
		return fail("the distribution is disabled; enable it, or run make deploy STAGE=%s", d.stage.Name)
	case !strings.EqualFold(got.httpVersion, "http2and3") || !got.ipv6:
		return fail("HTTP versions %q, IPv6 %t, want http2and3 and true; run make deploy STAGE=%s", got.httpVersion, got.ipv6, d.stage.Name)
	case !strings.EqualFold(got.priceClass, "PriceClass_"+d.stage.PriceClass):
		return fail("price class %q, want %q; run make deploy STAGE=%s", got.priceClass, "PriceClass_"+d.stage.PriceClass, d.stage.Name)
	}
	for _, host := range d.stage.Hosts() {
		if !slices.Contains(got.aliases, host) {
			return fail("the distribution does not have the name %s; run make deploy STAGE=%s", host, d.stage.Name)
		}
	}
	return pass("%s, %s, IPv6", got.priceClass, got.httpVersion)
}

// shortened returns at most the first 100 bytes of a text.
func shortened(text string) string {
	if len(text) > 100 {
		return text[:100] + "..."
	}
	return text
}
