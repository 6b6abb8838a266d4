// Package oci reads the paths of the OCI distribution API: which kind of
// request one is, of which repository, and of which tag or digest. It also
// writes the error bodies of that API.
//
// Parse is pure and total: every string gets an answer or a typed error. It
// does not allocate where there is no error.
//
// The facts are those of the OCI distribution specification 1.1,
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md,
// and of the digest grammar in the OCI image specification,
// https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
package oci

import "strings"

// Kind is what a path asks for. The zero value is a path that is no part of
// the API.
type Kind uint8

// The kinds of paths.
const (
	Unknown   Kind = iota
	Info           // "/", for people
	Privacy        // "/privacy", for people
	Ping           // "/v2/", does the registry speak this API
	Catalog        // "/v2/_catalog"
	Blob           // "/v2/<name>/blobs/<digest>"
	Manifest       // "/v2/<name>/manifests/<tag or digest>"
	Tags           // "/v2/<name>/tags/list"
	Referrers      // "/v2/<name>/referrers/<digest>"
)

// Kinds is how many kinds there are, for arrays that are indexed by one.
const Kinds = int(Referrers) + 1

var kindNames = [Kinds]string{"", "info", "privacy", "ping", "catalog", "blob", "manifest", "tags", "referrers"}

// String is the kind's name in answers, metrics and logs; empty for Unknown.
func (k Kind) String() string { return kindNames[k] }

// Path is a path that was understood. Its strings are parts of the path that
// was parsed, and follow the grammar.
type Path struct {
	Kind Kind
	// Name is the repository; empty where the kind has none.
	Name string
	// Reference is a tag or a digest; empty where the kind has none.
	Reference string
	// Digest tells that Reference is a digest.
	Digest bool
}

// Parse reads a path whose percent-escapes are decoded. What it answers beside
// an error holds the kind and the parts that are right, for the record.
func Parse(path string) (Path, *Error) {
	switch path {
	case "/":
		return Path{Kind: Info}, nil
	case "/privacy":
		return Path{Kind: Privacy}, nil
	case "/v2", "/v2/":
		return Path{Kind: Ping}, nil
	case "/v2/_catalog":
		return Path{Kind: Catalog}, unsupported(404, "the catalog is not served", "")
	}
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return Path{}, unsupported(404, "no such page", path)
	}
	// The keyword is looked for from the right: a repository may well be
	// called "blobs" itself.
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
