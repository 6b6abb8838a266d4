package gateway

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	errTrailing = errors.New("data behind the event")
	errType     = errors.New("a member has another type")
	errSyntax   = errors.New("broken JSON")
)

// deepest is how far values may be nested, the limit of encoding/json.
const deepest = 10000

// scanner walks through a JSON text, once, and refuses exactly what
// encoding/json refuses. What it answers are parts of the text. After an error
// it stands at the end, and finds nothing more.
//
// It is written by hand because the tokens of a JSON library, read into a buffer
// of its own and kept account of by level, took half of an event's time.
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

// peek answers the first byte of what comes next, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.text); s.at++ {
		if c := s.text[s.at]; c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
	}
	return 0
}

// member goes to a member of an object and answers its name: to the first with
// '{' before it, to the next with ','. The value must be read, or skipped, before
// the next. null is an object without members.
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

// element goes to an element of an array, as member does: to the first with '['
// before it, to the next with ','.
func (s *scanner) element(before byte) bool { return s.more(before, ']') }

// more tells whether a member or an element comes, and stands before it. If not,
// it has left the object or the array.
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

// enter goes into an object or an array; false for null, and for another type.
func (s *scanner) enter(bracket byte) bool {
	switch s.peek() {
	case bracket:
		s.at++
		if s.depth++; s.depth > deepest {
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

// value reads a string, nil for null.
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

// raw reads a value as it stands there.
func (s *scanner) raw() []byte {
	s.peek()
	begin := s.at
	s.skip()
	return s.text[begin:s.at]
}

// skip goes behind a value of any kind.
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

func (s *scanner) literal(word string) {
	if len(s.text)-s.at < len(word) || string(s.text[s.at:s.at+len(word)]) != word {
		s.fail(errSyntax)
		return
	}
	s.at += len(word)
}

// number: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
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

// one goes behind one of some bytes, if it stands here.
func (s *scanner) one(of string) bool {
	if s.at == len(s.text) || strings.IndexByte(of, s.text[s.at]) < 0 {
		return false
	}
	s.at++
	return true
}

func (s *scanner) digits() {
	begin := s.at
	for s.one("0123456789") {
	}
	if s.at == begin {
		s.fail(errSyntax)
	}
}

// quoted reads a string that begins here: a part of the text, unless it has
// escapes.
func (s *scanner) quoted() []byte {
	begin := s.at
	if end := begin + 1 + plain(s.text[begin+1:]); end < len(s.text) && s.text[end] == '"' { // nearly all
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

// pass goes behind a string that begins here, and tells whether it has escapes.
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

// plain is how many bytes stand before the first that does not stand for itself
// in a JSON string, or is not ASCII. It looks at eight at once.
func plain(text []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(text); i += 8 {
		w := binary.LittleEndian.Uint64(text[i:])
		// The high bit of a byte is set here if it is looked for. It may be set
		// of others behind that one too, so the first counts.
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

// escapeLength is the length of the escape that a text begins with, 0 for none.
func escapeLength(text []byte) int {
	switch {
	case len(text) >= 2 && strings.IndexByte(`"\/bfnrt`, text[1]) >= 0:
		return 2
	case len(text) >= 6 && text[1] == 'u' && unhex(text[2])|unhex(text[3])|unhex(text[4])|unhex(text[5]) >= 0:
		return 6
	}
	return 0
}
