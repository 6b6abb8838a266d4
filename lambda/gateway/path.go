package gateway

import (
	"bytes"
	"slices"
	"strings"

	"archeio/lambda/redirect"
)

// DecodePath sets r.Path to the path with its percent-escapes decoded once, or
// r.Malformed if an escape is invalid.
func DecodePath(r *redirect.Request, path []byte) { decodePath(r, path, nil) }

// decodePath is DecodePath, and sets r.ViewerHost to host unless an escape is
// invalid. Both are parts of one string, so the host costs no allocation.
func decodePath(r *redirect.Request, path, host []byte) {
	var b strings.Builder
	b.Grow(len(path) + len(host))
	for {
		i := bytes.IndexByte(path, '%')
		if i < 0 {
			break
		}
		if i+2 >= len(path) || unhex(path[i+1]) < 0 || unhex(path[i+2]) < 0 {
			r.Malformed = true
			return
		}
		b.Write(path[:i])
		b.WriteByte(byte(unhex(path[i+1])<<4 | unhex(path[i+2])))
		path = path[i+3:]
	}
	b.Write(path)
	n := b.Len()
	b.Write(host)
	r.Path, r.ViewerHost = b.String()[:n], b.String()[n:]
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// joinQuery returns the query string of a JSON object of parameters. Keys are
// sorted; the values of a key keep their order. encode appends a key or a value.
func joinQuery(v []byte, multi bool, encode func([]byte, string) []byte) (string, error) {
	if len(v) <= len("{}") || v[0] == 'n' {
		return "", nil
	}
	type parameter struct {
		key    string
		values []string
	}
	var all []parameter
	s := scanner{text: v}
	for name, ok := s.member('{'); ok; name, ok = s.member(',') {
		p := parameter{key: string(name)}
		if multi {
			for ok := s.element('['); ok; ok = s.element(',') {
				p.values = append(p.values, string(s.value()))
			}
		} else {
			p.values = []string{string(s.value())}
		}
		all = append(all, p)
	}
	if s.err != nil {
		return "", s.err
	}
	slices.SortStableFunc(all, func(a, b parameter) int { return strings.Compare(a.key, b.key) })
	var out []byte
	for _, p := range all {
		for _, value := range p.values {
			if len(out) > 0 {
				out = append(out, '&')
			}
			out = encode(append(encode(out, p.key), '='), value)
		}
	}
	return string(out), nil
}

func verbatim(out []byte, s string) []byte { return append(out, s...) }

// escape percent-encodes all but the unreserved characters of RFC 3986.
func escape(out []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			out = append(out, c)
		default:
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return out
}
