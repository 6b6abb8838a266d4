package relay

import (
	"context"
	"net/http"
	"net/url"

	"archeio/lambda/oci"
)

// exchange sends a request to the upstream, with a token if that wants one. A Response
// says what failed; without it, the result is a 200, a redirect or another status that
// its caller handles.
func (r *Relay) exchange(ctx context.Context, q *Request) (result, *Response) {
	t, failure := r.tokens.get(ctx, q.Name)
	if failure != nil {
		return result{}, failure
	}
	for attempt := 0; ; attempt++ {
		got, ok := r.ask(ctx, q, t)
		if !ok {
			resp := unavailable("the upstream is unavailable")
			return result{}, &resp
		}
		// Some registries respond 400 or 403 to a token that expired.
		refused := got.status == http.StatusUnauthorized || t != nil && (got.status == http.StatusBadRequest || got.status == http.StatusForbidden)
		if !refused || attempt > 0 {
			return got, r.check(q, &got)
		}
		c, failure := r.tokens.hosts.choose(got.header, q.Name)
		switch {
		case failure == nil:
		case t != nil && failure.Outcome == Denied && len(got.header.Values("Www-Authenticate")) == 0:
			c = t.challenge
		case got.status == http.StatusUnauthorized:
			return result{}, failure
		default:
			return got, r.check(q, &got)
		}
		if t, failure = r.tokens.renew(ctx, q.Name, c, t); failure != nil {
			return result{}, failure
		}
		r.limit.Owe() // for the next request
	}
}

// ask sends one request to the upstream. It reports false while the breaker is open.
func (r *Relay) ask(ctx context.Context, q *Request, t *token) (got result, ok bool) {
	header := http.Header{}
	switch q.Kind {
	case oci.Manifest, oci.Referrers:
		header.Set("Accept", oci.ManifestTypes)
	case oci.Tags:
		header.Set("Accept", "application/json")
	}
	if t != nil {
		header.Set("Authorization", "Bearer "+t.text)
	}
	ok = r.origin.Do(ctx, func() (int, bool) {
		got = r.send(ctx, r.method(q), r.base+q.Path(), header, MaxBody)
		return got.status, got.interrupted
	})
	return got, ok
}

// check returns the failure that a status stands for, nil for 200 and redirects.
func (r *Relay) check(q *Request, got *result) *Response {
	var resp Response
	switch status := got.status; {
	case status == http.StatusOK && got.tooLarge:
		resp = r.tooLarge(q)
	case status == http.StatusOK, redirected(status):
		return nil
	case status == 0:
		resp = unavailable("the upstream did not respond in time, or not completely")
	case status == http.StatusNotFound:
		resp = absent(q)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		resp = denied("the upstream does not serve this to anonymous clients")
	case status == http.StatusTooManyRequests:
		resp = limited("the upstream limits requests, try again later", retryAfter(got.header))
	case status >= 400 && status < 500:
		resp = failure(Rejected, status, oci.Unsupported, "the upstream rejected the request")
	case status >= 500:
		resp = unavailable("the upstream is unavailable")
	default:
		resp = invalid("the response of the upstream is not valid")
	}
	return &resp
}

func redirected(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// address returns the validated address of a redirect.
func (r *Relay) address(header http.Header) (*url.URL, string, *Response) {
	resp := invalid("the upstream redirects to a host that is not allowed, see UPSTREAM_BLOB_HOSTS")
	values := header.Values("Location")
	if len(values) != 1 {
		return nil, "", &resp
	}
	u, ok := r.storage.parse(values[0])
	if !ok {
		return nil, "", &resp
	}
	return u, values[0], nil
}

// maxRedirects limits how many redirects of content are followed.
const maxRedirects = 3

// follow follows the redirects of content that is relayed, without the token.
func (r *Relay) follow(ctx context.Context, q *Request, got result) (result, *Response) {
	for range maxRedirects {
		_, location, failure := r.address(got.header)
		if failure != nil {
			return result{}, failure
		}
		got = r.send(ctx, http.MethodGet, location, http.Header{}, MaxBody)
		if failure := r.check(q, &got); failure != nil {
			return result{}, failure
		}
		if !redirected(got.status) {
			return got, nil
		}
	}
	resp := invalid("the upstream redirects too often")
	return result{}, &resp
}
