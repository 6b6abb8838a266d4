package config

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"archeio/lambda/oci"
)

// upstream reads the endpoint of the upstream registry, which is required.
func (l *loader) upstream(name string) string {
	if l.get(name) == "" {
		l.invalid(name, "required: want scheme and host of the upstream registry, for example https://registry.example.com")
		return ""
	}
	return l.endpoint(name)
}

// endpoint reads scheme and host of a registry.
func (l *loader) endpoint(name string) string {
	v := l.get(name)
	if v == "" {
		return ""
	}
	base, err := baseURL(v)
	if err == nil && strings.Count(base, "/") > 2 {
		err = errors.New("has a path: want scheme and host only, for example https://registry.example.com")
	}
	if err != nil {
		l.invalid(name, err.Error())
	}
	return base
}

func (l *loader) repository(name string) string {
	v := l.get(name)
	if v != "" && !oci.ValidName(v) {
		l.invalid(name, "invalid repository name: want lower case and no slash at the beginning or end, for example project/images")
	}
	return v
}

// prefix requires a prefix for hosts that have no repository without one: an
// Artifact Registry repository is PROJECT/REPOSITORY, and images are below it.
// https://cloud.google.com/artifact-registry/docs/docker/names
func (l *loader) prefix(c *Config) {
	const name = "UPSTREAM_REGISTRY_PATH"
	if l.get(name) == "" && (artifactRegistry(c.Upstream) || artifactRegistry(c.SignatureUpstream)) {
		l.invalid(name, "required for *.pkg.dev endpoints: want PROJECT/REPOSITORY, for example project/images")
	}
}

// artifactRegistry reports whether an endpoint is a Google Artifact Registry.
func artifactRegistry(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && strings.HasSuffix(strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), ".pkg.dev")
}

// page reads the URL of a web page. Unlike a base URL it may have a query and a
// fragment.
func (l *loader) page(name string) string {
	v := l.get(name)
	if v == "" {
		return ""
	}
	switch u, err := url.Parse(v); {
	case err != nil || !printable(v):
		l.invalid(name, "not a URL: want an https URL")
	case u.User != nil:
		l.invalid(name, "has user info: want an https URL without it")
	case !trustedScheme(u):
		l.invalid(name, "not https: want an https URL (http only for loopback addresses)")
	}
	return v
}

// baseURL validates a URL to which a path will be appended, and returns it
// without a trailing slash.
func baseURL(v string) (string, error) {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || !printable(v) || strings.Contains(v, "%"):
		return "", errors.New("not a URL: want https://host or https://host/path")
	case !trustedScheme(u):
		return "", errors.New("not https: want an https URL (http only for loopback addresses)")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(v, "#"):
		return "", errors.New("has user info, a query or a fragment: want a URL without them")
	case strings.Contains(u.Path, "//") || strings.Contains(u.Path+"/", "/./") || strings.Contains(u.Path+"/", "/../"):
		return "", errors.New("has empty, . or .. path segments: want a URL without them")
	}
	return strings.TrimSuffix(v, "/"), nil
}

// trustedScheme reports whether a URL is https, or http to a loopback address.
func trustedScheme(u *url.URL) bool {
	host := u.Hostname()
	switch u.Scheme {
	case "https":
		return host != ""
	case "http":
		addr, err := netip.ParseAddr(host)
		return err == nil && addr.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
	}
	return false
}

// printable reports whether a text can be in a Location header unchanged.
func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return false
		}
	}
	return true
}
