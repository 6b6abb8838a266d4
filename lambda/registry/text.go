package registry

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxQuoted and maxLine in bytes limit the text of a registry in a message.
const (
	maxQuoted = 160
	maxLine   = 1000
)

// quote returns text of a registry in quotes, without control characters and
// shortened, so that it cannot change a terminal or forge a line of a log.
func quote(text string) string {
	return strconv.Quote(shorten(text, maxQuoted))
}

// line returns an error text as one line without control characters, shortened.
func line(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	var out strings.Builder
	for _, r := range shorten(text, maxLine) {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			out.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "..."
}
