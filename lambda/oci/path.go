// Package oci parses request paths of the OCI distribution API into the kind of
// request, the repository name, and the tag or digest. It also writes the error
// bodies of that API.
//
// Parse is pure and total: for every string it returns a Path or an Error. It
// allocates only for errors.
//
// The sources are the OCI distribution specification 1.1,
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md,
// and the digest grammar of the OCI image specification,
// https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
package oci

import "strings"

// Kind is the kind of request that a path is for. The zero value is a path
// outside the API.
type Kind uint8

// The kinds of paths.
const (
	Unknown   Kind = iota
	Info           // "/", a page for browsers
	Privacy        // "/privacy", a page for browsers
	Where          // "/where", where the client is sent, as JSON
	Hosts          // "/hosts.json", the hosts that clients may be sent to
	Ping           // "/v2/", the API version check
	Catalog        // "/v2/_catalog"
	Blob           // "/v2/<name>/blobs/<digest>"
	Manifest       // "/v2/<name>/manifests/<tag or digest>"
	Tags           // "/v2/<name>/tags/list"
	Referrers      // "/v2/<name>/referrers/<digest>"
)

// Kinds is the number of kinds, for arrays that are indexed by Kind.
const Kinds = int(Referrers) + 1

var kindNames = [Kinds]string{"", "info", "privacy", "where", "hosts", "ping", "catalog", "blob", "manifest", "tags", "referrers"}

// String returns the kind's name in metrics and logs; it is empty for Unknown.
func (k Kind) String() string { return kindNames[k] }

// Path is a parsed path. Its strings are substrings of the path and match the
// grammar.
type Path struct {
	Kind Kind
	// Name is the repository name; it is empty if the kind has none.
	Name string
	// Reference is a tag or a digest; it is empty if the kind has none.
	Reference string
	// Digest reports whether Reference is a digest.
	Digest bool
}

// Parse parses a path; its percent-escapes must be decoded already. The Path next
// to an error has the kind and the valid parts, for metrics and logs.
func Parse(path string) (Path, *Error) {
	switch path {
	case "/":
		return Path{Kind: Info}, nil
	case "/privacy":
		return Path{Kind: Privacy}, nil
	case "/where":
		return Path{Kind: Where}, nil
	case "/hosts.json":
		return Path{Kind: Hosts}, nil
	case "/v2", "/v2/":
		return Path{Kind: Ping}, nil
	case "/v2/_catalog":
		return Path{Kind: Catalog}, unsupported(404, "the catalog is not served", "")
	}
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return Path{}, unsupported(404, "no such page", path)
	}
	// Search from the right: a repository may itself be named "blobs".
	before, last, ok := cutLast(rest)
	if !ok {
		return Path{}, unsupported(404, "no such endpoint", path)
	}
	name, keyword, ok := cutLast(before)
	if !ok {
		return Path{}, unsupported(404, "no such endpoint", path)
	}
	p := Path{}
	switch {
	case keyword == "blobs":
		p.Kind = Blob
	case keyword == "manifests":
		p.Kind = Manifest
	case keyword == "referrers":
		p.Kind = Referrers
	case keyword == "tags" && last == "list":
		p.Kind = Tags
	default:
		return Path{}, unsupported(404, "no such endpoint", path)
	}
	if !ValidName(name) {
		return p, &Error{400, NameInvalid, "invalid repository name", excerpt(name)}
	}
	p.Name = name
	switch {
	case p.Kind == Tags:
		return p, nil
	case p.Kind == Manifest && strings.IndexByte(last, ':') < 0:
		if !validTag(last) {
			return p, &Error{400, TagInvalid, "invalid tag", excerpt(last)}
		}
	case !ValidDigest(last):
		return p, &Error{400, DigestInvalid, "invalid digest", excerpt(last)}
	default:
		p.Digest = true
	}
	p.Reference = last
	return p, nil
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}
