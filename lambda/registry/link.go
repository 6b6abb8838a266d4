package registry

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// link is one of a Link header. RFC 8288, section 3.
type link struct {
	target string
	rel    string // in lower case
	hasRel bool
}

// maxLinks limits how many links of a response are read.
const maxLinks = 64

// links parses the Link headers of a response: several fields, and several links
// in a field. The error is an ErrIncomplete if it cannot be read.
func links(header http.Header) ([]link, error) {
	var out []link
	for _, field := range header.Values("Link") {
		for p := (scanner{field}); ; {
			p.skip(" \t,")
			if p.rest == "" {
				break
			}
			end := strings.IndexByte(p.rest, '>')
			if p.rest[0] != '<' || end < 0 || len(out) == maxLinks {
				return nil, incomplete("the Link header %s cannot be read", quote(field))
			}
			l := link{target: strings.TrimSpace(p.rest[1:end])}
			p.rest = p.rest[end+1:]
			for p.skip(" \t"); strings.HasPrefix(p.rest, ";"); p.skip(" \t") {
				p.skip("; \t")
				key := strings.ToLower(p.token())
				p.skip(" \t")
				text := ""
				if strings.HasPrefix(p.rest, "=") {
					p.drop()
					p.skip(" \t")
					text = p.value(",;")
				}
				if key == "rel" && !l.hasRel { // the first one counts
					l.rel, l.hasRel = strings.ToLower(text), true
				}
			}
			if p.rest != "" && p.rest[0] != ',' {
				return nil, incomplete("the Link header %s cannot be read", quote(field))
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// nextPage returns the path and query of the next page of a listing, empty if
// this is the last one. asked is the URL of this page. A link without rel counts
// if there is no other. The error is an ErrIncomplete for a link that cannot be
// read or that leads to another host.
func nextPage(header http.Header, asked *url.URL) (string, error) {
	all, err := links(header)
	if err != nil {
		return "", err
	}
	next, bare := "", ""
	for _, l := range all {
		to := &bare
		switch {
		case strings.Contains(" "+strings.Join(strings.Fields(l.rel), " ")+" ", " next "):
			to = &next
		case l.hasRel:
			continue
		}
		address, err := pageAddress(l.target, asked)
		if err != nil {
			return "", err
		}
		if *to != "" && *to != address {
			return "", incomplete("two links to the next page: %s and %s", quote(*to), quote(address))
		}
		*to = address
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
