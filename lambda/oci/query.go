package oci

import "strings"

// ValidQuery reports whether a query consists of pchar, "/" and "?", as RFC 3986,
// section 3.4, requires, so that it can be appended to a URL unchanged.
func ValidQuery(q string) bool {
	for i := 0; i < len(q); i++ {
		switch c := q[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '%' && i+2 < len(q) && hexDigit(q[i+1]) && hexDigit(q[i+2]):
			i += 2
		case c != '%' && strings.IndexByte("-._~!$&'()*+,;=:@/?", c) >= 0:
		default:
			return false
		}
	}
	return true
}

func hexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
