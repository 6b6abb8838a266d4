package relay

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"

	"archeio/lambda/field"
	"archeio/lambda/oci"
)

// content fetches a manifest or a list.
func (r *Relay) content(ctx context.Context, q *Request) (Response, *entry) {
	got, failure := r.whole(ctx, q)
	if failure != nil {
		return *failure, r.negative(failure)
	}
	resp := Response{
		Status: http.StatusOK, Outcome: Fetched,
		ContentType: mediaType(got.header), ETag: etag(got.header),
		Body: string(got.body), Length: len(got.body),
	}
	fresh := r.tagMaxAge
	switch q.Kind {
	case oci.Manifest:
		if html(resp.ContentType) || len(got.body) == 0 {
			return invalid("the upstream sent a page instead of a manifest"), nil
		}
		var ok bool
		if resp.Digest, ok = digestOf(q, got); !ok {
			return invalid("the manifest of the upstream does not match its digest"), nil
		}
		if q.Digest {
			fresh = freshFor
		}
	default:
		if q.Kind == oci.Referrers && !strings.HasPrefix(resp.ContentType, oci.IndexType) {
			resp = absent(q) // clients then look for a tag
			return resp, r.negative(&resp)
		}
		if q.Kind == oci.Referrers {
			resp.Filters = filters(got.header)
		}
		var ok bool
		if resp.Link, ok = q.nextPage(got.header, r.base); !ok {
			return invalid("the link of the upstream to the next page is not valid"), nil
		}
	}
	now := r.options.Now()
	return resp, &entry{fresh: now.Add(fresh), stale: now.Add(staleFor)}
}

// whole fetches content whose body is needed, wherever the upstream has it.
func (r *Relay) whole(ctx context.Context, q *Request) (result, *Response) {
	got, failure := r.exchange(ctx, q)
	if failure == nil && redirected(got.status) {
		got, failure = r.follow(ctx, q, got)
	}
	// A hash decides for itself: some storage states the compression of a layer as a coding.
	hashed := q.Kind == oci.Blob || q.Kind == oci.Manifest && q.Digest
	if coding := got.header.Get("Content-Encoding"); failure == nil && !hashed && coding != "" && !strings.EqualFold(coding, "identity") {
		resp := invalid("the upstream sent a content coding that was not accepted")
		failure = &resp
	}
	return got, failure
}

// negative returns the entry of a failure that may be cached, nil for others.
func (r *Relay) negative(failure *Response) *entry {
	if failure.Outcome != Absent && failure.Outcome != Denied {
		return nil
	}
	until := r.options.Now().Add(absentFor)
	return &entry{fresh: until, stale: until}
}

// digestOf returns the digest of a manifest, and whether it is the one that was
// requested and that the upstream states.
func digestOf(q *Request, got result) (string, bool) {
	stated := strings.Join(got.header.Values("Docker-Content-Digest"), ",")
	if q.Digest {
		return q.Reference, digest(q.Reference, got.body) == q.Reference
	}
	if oci.Supported(stated) && oci.ValidDigest(stated) {
		return stated, digest(stated, got.body) == stated
	}
	return digest("", got.body), true
}

// digest returns the digest of content with the algorithm of another digest.
func digest(like string, content []byte) string {
	if strings.HasPrefix(like, "sha512:") {
		sum := sha512.Sum512(content)
		return "sha512:" + hex.EncodeToString(sum[:])
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// maxField limits a header field that is passed on, in bytes.
const maxField = 1 << 10

// mediaType returns the Content-Type of a response, if it can be passed on.
func mediaType(header http.Header) string {
	v := header.Get("Content-Type")
	if v == "" || len(v) > maxField || !printable(v) {
		return "application/octet-stream"
	}
	return v
}

func html(mediaType string) bool {
	return strings.HasPrefix(strings.ToLower(mediaType), "text/html")
}

// etag returns the ETag of a response, if it can be passed on. RFC 9110, section 8.8.3.
func etag(header http.Header) string {
	v := header.Get("Etag")
	opaque := strings.TrimPrefix(v, "W/")
	if len(v) > maxField || len(opaque) < 2 || opaque[0] != '"' || strings.IndexByte(opaque[1:], '"') != len(opaque)-2 || !visible(v) {
		return ""
	}
	return v
}

// filters returns the OCI-Filters-Applied of a response, if it can be passed on. Without
// it a client filters the list itself.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
func filters(header http.Header) string {
	v := strings.Join(header.Values("Oci-Filters-Applied"), ", ")
	if len(v) > maxField || !printable(v) {
		return ""
	}
	return v
}

// nextPage returns the link to the next page of a list as a Link header of this host,
// empty if there is none. Only the query of the upstream's link is used. It reports false
// if there is a link that cannot be followed: without it the list would seem complete.
func (q *Request) nextPage(header http.Header, base string) (string, bool) {
	asked, err := url.Parse(base + q.Path())
	if err != nil {
		return "", false
	}
	tail := "/tags/list"
	if q.Kind == oci.Referrers {
		tail = "/referrers/" + q.Reference
	}
	next := ""
	for _, text := range header.Values("Link") {
		all, ok := field.Links(text)
		if !ok {
			return "", false
		}
		for _, l := range all {
			if l.HasRel && !l.Is("next") {
				continue
			}
			u, err := asked.Parse(l.Target)
			if err != nil || u.Opaque != "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" ||
				!strings.EqualFold(u.Hostname(), asked.Hostname()) || !strings.HasSuffix(u.Path, tail) ||
				len(u.RawQuery) > maxURL || !oci.ValidQuery(u.RawQuery) {
				return "", false
			}
			link := "</v2/" + q.ClientName + tail
			if u.RawQuery != "" {
				link += "?" + u.RawQuery
			}
			link += `>; rel="next"`
			if next != "" && next != link {
				return "", false
			}
			next = link
		}
	}
	return next, true
}

// withoutNamespace returns a query without the parameter ns, which containerd adds for
// this host.
func withoutNamespace(query string) string {
	if !strings.Contains(query, "ns=") {
		return query
	}
	var rest []string
	for _, p := range strings.Split(query, "&") {
		if !strings.HasPrefix(p, "ns=") {
			rest = append(rest, p)
		}
	}
	return strings.Join(rest, "&")
}
