package relay

import (
	"context"
	"net/http"
)

// blob returns the address of a blob in the upstream's storage, or its content if the
// upstream sends that itself or if clients may not be redirected.
func (r *Relay) blob(ctx context.Context, q *Request) (Response, *entry) {
	if r.singleHost {
		got, failure := r.whole(ctx, q)
		return r.sent(q, got, failure)
	}
	got, failure := r.exchange(ctx, q)
	if q.Head && failure == nil && got.status == http.StatusOK {
		got, failure = r.head(ctx, q)
	}
	if failure != nil || !redirected(got.status) {
		return r.sent(q, got, failure)
	}
	u, location, failure := r.address(got.header)
	if failure != nil {
		return *failure, nil
	}
	resp := Response{Status: http.StatusTemporaryRedirect, Outcome: Redirected, Location: location}
	now := r.options.Now()
	left := remaining(u, got.header, now)
	if left <= 0 {
		return resp, nil
	}
	return resp, &entry{fresh: now.Add(left), stale: now.Add(left)}
}

// head returns what the upstream responds with to GET of a blob for which it does not
// redirect HEAD, as Quay does not:
// https://github.com/quay/quay/blob/master/endpoints/v2/blob.py
//
// The length in its response to HEAD cannot be passed on: entry points compute the length
// from the content, which may have at most MaxBody bytes. A redirect is passed on unless
// its signature is for GET only. The storage would refuse HEAD then, so the content is
// fetched; what is too large is an error and not a blob of 0 bytes.
func (r *Relay) head(ctx context.Context, q *Request) (result, *Response) {
	get := *q
	get.Head = false
	r.limit.Owe() // for the next request
	got, failure := r.exchange(ctx, &get)
	if failure != nil || !redirected(got.status) {
		return got, failure
	}
	u, _, failure := r.address(got.header)
	if failure != nil || !signsMethod(u) {
		return got, failure
	}
	got, failure = r.follow(ctx, &get, got)
	if failure != nil && failure.Outcome == TooLarge {
		failure.Error.Message = "no mirror has this blob, and the upstream redirects GET only: use GET; HEAD of more than 4 MiB is not relayed"
	}
	return got, failure
}

// sent returns the response for a blob that the upstream sent itself, or failed to.
func (r *Relay) sent(q *Request, got result, failure *Response) (Response, *entry) {
	switch {
	case failure != nil:
		return *failure, r.negative(failure)
	case digest(q.Reference, got.body) != q.Reference:
		return invalid("the blob of the upstream does not match its digest"), nil
	}
	resp := Response{Status: http.StatusOK, Outcome: Fetched, ContentType: "application/octet-stream", Digest: q.Reference}
	resp.Body, resp.Length = string(got.body), len(got.body)
	now := r.options.Now()
	return resp, &entry{fresh: now.Add(freshFor), stale: now.Add(staleFor)}
}
