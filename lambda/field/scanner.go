package field

import "strings"

// scanner reads the parts of a structured header field. Every method but skip
// with nothing to skip, and token without one, makes rest shorter.
type scanner struct{ rest string }

// skip skips characters.
func (s *scanner) skip(characters string) { s.rest = strings.TrimLeft(s.rest, characters) }

// drop skips a byte.
func (s *scanner) drop() { s.rest = s.rest[min(1, len(s.rest)):] }

// token reads a token, empty if there is none. RFC 9110, section 5.6.2.
func (s *scanner) token() string {
	n := 0
	for n < len(s.rest) && (s.rest[n] >= '0' && s.rest[n] <= '9' || s.rest[n]|0x20 >= 'a' && s.rest[n]|0x20 <= 'z' || strings.IndexByte("!#$%&'*+-.^_`|~", s.rest[n]) >= 0) {
		n++
	}
	out := s.rest[:n]
	s.rest = s.rest[n:]
	return out
}

// value reads a quoted string, or text up to a space or one of some characters.
func (s *scanner) value(until string) string {
	if !strings.HasPrefix(s.rest, `"`) {
		n := strings.IndexAny(s.rest, until+" \t")
		if n < 0 {
			n = len(s.rest)
		}
		out := s.rest[:n]
		s.rest = s.rest[n:]
		return out
	}
	var out strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '"':
			s.rest = s.rest[i+1:]
			return out.String()
		case '\\':
			if i++; i == len(s.rest) {
				continue
			}
		}
		out.WriteByte(s.rest[i])
	}
	s.rest = ""
	return out.String()
}
