package relay

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"archeio/lambda/config"
	"archeio/lambda/upstreams"
)

// maxURL is the length of the longest address of a token server or a storage, in bytes.
const maxURL = 8 << 10

// hosts are the hosts that requests and clients may be sent to.
type hosts struct {
	// own is a scheme and host that is allowed with its port.
	own      string
	patterns []string
}

// parse parses an address that a server sent, and reports whether it may be used: https
// with the default port, without user info, to an allowed host that is not an address.
// http and other ports are allowed for loopback addresses that the patterns have.
func (h hosts) parse(text string) (*url.URL, bool) {
	if len(text) > maxURL || !visible(text) || strings.ContainsAny(text, `\#`) {
		return nil, false
	}
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Opaque != "" || u.Host == "" || !hostCharacters(u.Host) {
		return nil, false
	}
	host := strings.ToLower(u.Host)
	if h.own != "" && strings.EqualFold(u.Scheme+"://"+host, h.own) {
		return u, true
	}
	if config.Loopback(host) {
		return u, (u.Scheme == "http" || u.Scheme == "https") && slices.Contains(h.patterns, host)
	}
	name, port, found := strings.Cut(host, ":")
	if u.Scheme != "https" || found && port != "443" {
		return nil, false
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return nil, false
	}
	return u, upstreams.MatchAny(h.patterns, name)
}

// visible reports whether a text has only visible ASCII characters.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// hostCharacters reports whether a host, with or without a port, has only the characters
// of one.
func hostCharacters(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', strings.IndexByte("-._:[]", c) >= 0:
		default:
			return false
		}
	}
	return true
}
