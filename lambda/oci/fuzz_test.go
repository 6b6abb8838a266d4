package oci

import (
	"regexp"
	"testing"
)

var pathExpression = regexp.MustCompile(`(?s)^/v2/(.*)/(blobs|manifests|referrers|tags)/([^/]*)$`)

// parseOracle parses a path with the regular expressions of the specification.
func parseOracle(path string) (Path, Code) {
	switch path {
	case "/":
		return Path{Kind: Info}, ""
	case "/privacy":
		return Path{Kind: Privacy}, ""
	case "/where":
		return Path{Kind: Where}, ""
	case "/hosts.json":
		return Path{Kind: Hosts}, ""
	case "/v2", "/v2/":
		return Path{Kind: Ping}, ""
	case "/v2/_catalog":
		return Path{Kind: Catalog}, Unsupported
	}
	m := pathExpression.FindStringSubmatch(path)
	if m == nil || m[2] == "tags" && m[3] != "list" {
		return Path{}, Unsupported
	}
	p := Path{Kind: map[string]Kind{"blobs": Blob, "manifests": Manifest, "referrers": Referrers, "tags": Tags}[m[2]]}
	if !nameOracle(m[1]) {
		return p, NameInvalid
	}
	p.Name = m[1]
	colon := regexp.MustCompile(":").MatchString(m[3])
	switch {
	case p.Kind == Tags:
		return p, ""
	case p.Kind == Manifest && !colon:
		if !matches(tagExpression, m[3]) {
			return p, TagInvalid
		}
	case !digestOracle(m[3]):
		return p, DigestInvalid
	default:
		p.Digest = true
	}
	p.Reference = m[3]
	return p, ""
}

// FuzzParse compares Parse with the oracle, and rebuilds the path from the parsed
// parts.
func FuzzParse(f *testing.F) {
	for _, tt := range parseTests {
		f.Add(tt.path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, err := Parse(path)
		want, code := parseOracle(path)
		var gotCode Code
		if err != nil {
			gotCode = err.Code
		}
		if got != want || gotCode != code {
			t.Fatalf("Parse(%q) = %+v %q, want %+v %q", path, got, gotCode, want, code)
		}
		if err != nil {
			return
		}
		again := map[Kind]string{
			Info: "/", Privacy: "/privacy", Where: "/where", Hosts: "/hosts.json", Ping: "/v2/",
			Blob:      "/v2/" + got.Name + "/blobs/" + got.Reference,
			Manifest:  "/v2/" + got.Name + "/manifests/" + got.Reference,
			Tags:      "/v2/" + got.Name + "/tags/list",
			Referrers: "/v2/" + got.Name + "/referrers/" + got.Reference,
		}[got.Kind]
		if again != path && path != "/v2" {
			t.Errorf("Parse(%q) = %+v, which is the path %q", path, got, again)
		}
	})
}
