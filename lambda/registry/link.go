package registry

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"archeio/lambda/field"
)

// nextPage returns the path and query of the next page of a listing, empty if
// this is the last one. asked is the URL of this page. A link without rel counts
// if there is no other. The error is an ErrIncomplete for a link that cannot be
// read or that leads to another host.
func nextPage(header http.Header, asked *url.URL) (string, error) {
	next, bare := "", ""
	for _, text := range header.Values("Link") {
		all, ok := field.Links(text)
		if !ok {
			return "", incomplete("the Link header %s cannot be read", quote(text))
		}
		for _, l := range all {
			to := &bare
			switch {
			case l.Is("next"):
				to = &next
			case l.HasRel:
				continue
			}
			address, err := pageAddress(l.Target, asked)
			if err != nil {
				return "", err
			}
			if *to != "" && *to != address {
				return "", incomplete("two links to the next page: %s and %s", quote(*to), quote(address))
			}
			*to = address
		}
	}
	if next != "" {
		return next, nil
	}
	return bare, nil
}

// pageAddress returns the path and query of a link, which must lead to the same
// registry: another scheme or spelling of its host, for example behind a proxy,
// is the same, and the scheme and host that were asked are used again.
func pageAddress(target string, asked *url.URL) (string, error) {
	u, err := asked.Parse(target)
	switch {
	case err != nil || u.Opaque != "" || target == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", incomplete("the link to the next page cannot be read: %s", quote(target))
	case canonicalHost(u.Host) != canonicalHost(asked.Host):
		return "", incomplete("the link to the next page is on another host: %s", quote(target))
	}
	// Behind a proxy the path may have another start.
	path := asked.EscapedPath()
	if tail := listingTail(asked.Path); tail == "" || !strings.HasSuffix(u.Path, tail) {
		return "", incomplete("the link to the next page is that of something else: %s", quote(target))
	}
	if u.RawQuery == "" {
		return path, nil
	}
	return path + "?" + u.RawQuery, nil
}

// listingTail returns the end of the path of a listing, which says what is listed.
func listingTail(path string) string {
	for _, tail := range []string{"/_catalog", "/tags/list"} {
		if strings.HasSuffix(path, tail) {
			return tail
		}
	}
	if i := strings.LastIndex(path, "/referrers/"); i >= 0 {
		return path[i:]
	}
	return ""
}

// canonicalHost returns one spelling of a host: in lower case, without the
// default port of a scheme and without a dot at its end.
func canonicalHost(host string) string {
	host = strings.ToLower(host)
	if h, port, err := net.SplitHostPort(host); err == nil && (port == "80" || port == "443" || port == "") {
		host = h
	}
	return loginHost(strings.TrimSuffix(host, "."))
}
