package config

import (
	"fmt"
	"slices"
	"strings"
)

// IsViewerHost reports whether a host is a name of the distribution: one of
// ViewerHosts, or the kind of name that CloudFront assigns, a single label of
// letters and digits below cloudfront.net. A name must be in lower case, without a
// port and without a dot at the end.
func (c *Config) IsViewerHost(host string) bool {
	if slices.Contains(c.ViewerHosts, host) {
		return true
	}
	label, ok := strings.CutSuffix(host, ".cloudfront.net")
	return ok && validLabel(label) && strings.IndexByte(label, '-') < 0
}

// hostNames reads DNS names, comma-separated.
func (l *loader) hostNames(name string) []string {
	var all []string
	for host := range list(l.get(name)) {
		switch {
		case !validHostName(host):
			l.invalid(name, fmt.Sprintf("invalid host name %q: want DNS names in lower case without scheme, port or path, comma-separated, for example registry.example.com", host))
			return nil
		case slices.Contains(all, host):
			l.invalid(name, fmt.Sprintf("duplicate host name %q: want each host name once", host))
			return nil
		}
		all = append(all, host)
	}
	return all
}

// validHostName reports whether a name is a fully qualified DNS name in lower case,
// as RFC 1123, section 2.1, allows for hosts. An IPv4 address is not one.
func validHostName(name string) bool {
	const longest = 253 // RFC 1035, section 2.3.4, without the length bytes of a name
	top := name[strings.LastIndexByte(name, '.')+1:]
	if len(name) > longest || len(top) == len(name) || strings.Trim(top, "0123456789") == "" {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return false
		}
	}
	return true
}

// validLabel reports whether a text is a label of a host name in lower case.
func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
