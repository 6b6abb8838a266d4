package gateway

import (
	"bytes"
	"slices"
	"strings"

	"archeio/lambda/redirect"
)

// DecodePath sets r.Path to the path with its percent-escapes decoded once, or
// r.Malformed if an escape is invalid.
func DecodePath(r *redirect.Request, path []byte) {
	if bytes.IndexByte(path, '%') < 0 {
		r.Path = string(path)
		return
	}
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			out = append(out, path[i])
			continue
		}
		if i+2 >= len(path) || unhex(path[i+1]) < 0 || unhex(path[i+2]) < 0 {
			r.Malformed = true
			return
		}
		out = append(out, byte(unhex(path[i+1])<<4|unhex(path[i+2])))
		i += 2
	}
	r.Path = string(out)
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
