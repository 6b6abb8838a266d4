package gateway

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	errTrailing = errors.New("data after the event")
	errType     = errors.New("a member has the wrong type")
	errSyntax   = errors.New("invalid JSON")
)

// maxDepth is the maximum nesting of values, the same as in encoding/json.
const maxDepth = 10000

// scanner reads a JSON text in one pass and rejects exactly what encoding/json
// rejects. The values that it returns are parts of the text. After an error it is
// at the end of the text and returns no more values.
//
// It is written by hand because half of the time of an event was spent in the
// tokenizer of a JSON library.
type scanner struct {
	text  []byte
	at    int
	depth int
	err   error
}

func (s *scanner) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.at = len(s.text)
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.text); s.at++ {
		if c := s.text[s.at]; c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
	}
	return 0
}

// member moves to a member of an object and returns its name: before is '{' for the
// first member, ',' for the next. The value must be read or skipped before the
// next call. null is an object without members.
//
//	for name, ok := s.member('{'); ok; name, ok = s.member(',') {
func (s *scanner) member(before byte) (name []byte, ok bool) {
	if !s.more(before, '}') {
		return nil, false
	}
	if s.peek() != '"' {
		s.fail(errSyntax)
		return nil, false
	}
	name = s.quoted()
	if s.peek() != ':' {
		s.fail(errSyntax)
		return nil, false
	}
	s.at++
	return name, true
}

// element moves to an element of an array, like member: before is '[' for the first
// element, ',' for the next.
func (s *scanner) element(before byte) bool { return s.more(before, ']') }

// more moves to the next member or element and reports whether there is one. If
// not, the scanner is past the end of the object or the array.
func (s *scanner) more(before, end byte) bool {
	first := before != ','
	if first && !s.enter(before) {
		return false
	}
	switch c := s.peek(); {
	case c == end:
		s.at++
		s.depth--
		return false
	case first:
		return true
	case c == ',':
		s.at++
		return true
	}
	s.fail(errSyntax)
	return false
}

// enter moves into an object or an array. It reports false for null and for other
// types, which are an error.
func (s *scanner) enter(bracket byte) bool {
	switch s.peek() {
	case bracket:
		s.at++
		if s.depth++; s.depth > maxDepth {
			s.fail(errSyntax)
		}
		return true
	case 'n':
		s.literal("null")
	default:
		s.skip()
		s.fail(errType)
	}
	return false
}

// value returns a string, nil for null.
func (s *scanner) value() []byte {
	switch s.peek() {
	case '"':
		return s.quoted()
	case 'n':
		s.literal("null")
	default:
		s.skip()
		s.fail(errType)
	}
	return nil
}

// raw returns a value of any type, unparsed.
func (s *scanner) raw() []byte {
	s.peek()
	begin := s.at
	s.skip()
	return s.text[begin:s.at]
}

// skip moves past a value of any type.
func (s *scanner) skip() {
	switch s.peek() {
	case '"':
		s.pass()
	case '{':
		for _, ok := s.member('{'); ok; _, ok = s.member(',') {
			s.skip()
		}
	case '[':
		for ok := s.element('['); ok; ok = s.element(',') {
			s.skip()
		}
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

// literal moves past null, true or false.
func (s *scanner) literal(word string) {
	if len(s.text)-s.at < len(word) || string(s.text[s.at:s.at+len(word)]) != word {
		s.fail(errSyntax)
		return
	}
	s.at += len(word)
}

// number moves past a number: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *scanner) number() {
	s.one("-")
	if !s.one("0") {
		s.digits()
	}
	if s.one(".") {
		s.digits()
	}
	if s.one("eE") {
		s.one("+-")
		s.digits()
	}
}

// one moves past one byte if it is in a set, and reports whether it is.
func (s *scanner) one(of string) bool {
	if s.at == len(s.text) || strings.IndexByte(of, s.text[s.at]) < 0 {
		return false
	}
	s.at++
	return true
}

// digits moves past one or more digits.
func (s *scanner) digits() {
	begin := s.at
	for s.one("0123456789") {
	}
	if s.at == begin {
		s.fail(errSyntax)
	}
}

// quoted returns the string that begins here. It is a part of the text unless it
// has escapes.
func (s *scanner) quoted() []byte {
	begin := s.at
	if end := begin + 1 + plain(s.text[begin+1:]); end < len(s.text) && s.text[end] == '"' { // most strings
		s.at = end + 1
		return s.text[begin+1 : end]
	}
	escaped := s.pass()
	switch {
	case s.err != nil:
		return nil
	case escaped:
		out, _ := jsontext.AppendUnquote(nil, s.text[begin:s.at]) // invalid UTF-8 is replaced
		return out
	}
	return s.text[begin+1 : s.at-1]
}

// pass moves past the string that begins here and reports whether it has escapes.
func (s *scanner) pass() (escaped bool) {
	for i := s.at + 1; ; {
		i += plain(s.text[i:])
		switch {
		case i == len(s.text) || s.text[i] < ' ':
			s.fail(errSyntax)
			return false
		case s.text[i] == '"':
			s.at = i + 1
			return escaped
		case s.text[i] != '\\':
			i++ // not ASCII
		default:
			n := escapeLength(s.text[i:])
			if n == 0 {
				s.fail(errSyntax)
				return false
			}
			escaped = true
			i += n
		}
	}
}

// plain returns the number of bytes before the first one that is not ASCII or that
// must be escaped in a JSON string. It compares eight bytes at a time.
func plain(text []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(text); i += 8 {
		w := binary.LittleEndian.Uint64(text[i:])
		// The high bit of each such byte is set here. It may be set in later
		// bytes too, so only the first one counts.
		quote, slash := w^ones*'"', w^ones*'\\'
		if found := (w | (w - ones*' ') | (quote - ones) | (slash - ones)) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(text) && text[i] >= ' ' && text[i] < 0x80 && text[i] != '"' && text[i] != '\\' {
		i++
	}
	return i
}

// escapeLength returns the length of the escape at the start of a text, 0 if it is
// invalid.
func escapeLength(text []byte) int {
	switch {
	case len(text) >= 2 && strings.IndexByte(`"\/bfnrt`, text[1]) >= 0:
		return 2
	case len(text) >= 6 && text[1] == 'u' && unhex(text[2])|unhex(text[3])|unhex(text[4])|unhex(text[5]) >= 0:
		return 6
	}
	return 0
}
