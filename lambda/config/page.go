package config

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest title and paragraph of the page, in characters, and the longest
// contact, in bytes.
const (
	maxTitle   = 80
	maxText    = 600
	maxContact = 254
)

// plainText reads a text for the page. It is escaped there in any case; markup is an
// error because it would not be what it looks like.
func (l *loader) plainText(name string, limit int) string {
	v := l.get(name)
	switch n := utf8.RuneCountInString(v); {
	case n > limit:
		l.problems = append(l.problems, fmt.Sprintf("%s=%.40q: too long: want at most %d characters, got %d", name, v, limit, n))
		return ""
	case !utf8.ValidString(v) || strings.ContainsAny(v, "<>") || strings.ContainsFunc(v, unprintable):
		l.invalid(name, "has markup, line breaks or control characters: want plain text without < and >")
	case strings.TrimSpace(v) != v:
		l.invalid(name, "has spaces at the beginning or end: want text without them")
	}
	return v
}

// unprintable reports whether a character is neither a space nor visible; those that
// change the direction of text are not.
func unprintable(r rune) bool {
	return r != ' ' && !unicode.IsGraphic(r) || r == '\u2028' || r == '\u2029'
}

// contact reads an email address or the URL of a page.
func (l *loader) contact(name string) string {
	v := l.get(name)
	if len(v) > maxContact {
		l.problems = append(l.problems, fmt.Sprintf("%s=%.40q: too long: want at most %d bytes, got %d", name, v, maxContact, len(v)))
		return ""
	}
	if user, host, ok := strings.Cut(v, "@"); ok && !strings.Contains(v, "/") {
		if user == "" || !only(user, ".!#$%&'*+-=?^_`{|}~") || !validHostName(strings.ToLower(host)) {
			l.invalid(name, "invalid email address: want for example registry@example.com")
		}
		return v
	}
	if v != "" && !strings.Contains(v, "://") {
		l.invalid(name, "neither an email address nor a URL: want for example registry@example.com")
		return v
	}
	return l.page(name)
}

// registryHost reads a host name, or a loopback address with a port.
func (l *loader) registryHost(name string) string {
	v := l.get(name)
	if at, err := netip.ParseAddrPort(v); v != "" && !validHostName(v) && (err != nil || !at.Addr().IsLoopback()) {
		l.invalid(name, "invalid host name: want a DNS name in lower case without scheme, port or path, for example registry.example.com")
	}
	return v
}
