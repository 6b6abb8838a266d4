package redirect

import "strings"

// validQuery reports whether a query consists of pchar, "/" and "?", as RFC 3986,
// section 3.4, requires. It is appended to a Location unchanged.
func validQuery(q string) bool {
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
