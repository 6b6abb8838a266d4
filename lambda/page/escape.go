package page

import (
	"strings"
	"unicode/utf8"
)

// escape appends a text as the content of an element or of a quoted attribute. It
// escapes what html/template escapes there, which is the oracle in tests: linking that
// package would add 1.8 MB to the binary. Invalid UTF-8 becomes U+FFFD.
func escape(out []byte, text string) []byte {
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '&':
			out = append(out, "&amp;"...)
		case c == '<':
			out = append(out, "&lt;"...)
		case c == '>':
			out = append(out, "&gt;"...)
		case c == '"':
			out = append(out, "&#34;"...)
		case c == '\'':
			out = append(out, "&#39;"...)
		case c == '+':
			out = append(out, "&#43;"...)
		case c == 0:
			out = append(out, "\uFFFD"...)
		case c < utf8.RuneSelf:
			out = append(out, c)
		default:
			r, n := utf8.DecodeRuneInString(text[i:])
			out = utf8.AppendRune(out, r)
			i += n
			continue
		}
		i++
	}
	return out
}

// markup builds HTML. Text goes through write, markup of this package through raw.
type markup struct{ out []byte }

func (m *markup) raw(html string)   { m.out = append(m.out, html...) }
func (m *markup) write(text string) { m.out = escape(m.out, text) }

// code writes texts as code, separated by commas.
func (m *markup) code(texts ...string) {
	for i, text := range texts {
		if i > 0 {
			m.raw(", ")
		}
		m.raw("<code>")
		m.write(text)
		m.raw("</code>")
	}
}

// fill returns a skeleton with each {{name}} replaced by what value writes for it.
func fill(skeleton string, m *markup, value func(name string)) {
	for {
		before, rest, ok := strings.Cut(skeleton, "{{")
		m.raw(before)
		if !ok {
			return
		}
		name, after, _ := strings.Cut(rest, "}}")
		value(name)
		skeleton = after
	}
}
