package compile

import (
	"fmt"
	"net/netip"
)

// Bounds of a document. They are several times what the providers publish, so
// that a hostile or damaged document costs little time and memory.
const (
	// maxSize is in bytes, decompressed. No document is larger than 6 MB.
	maxSize = 16 << 20
	// maxValues is the number of JSON values. The largest document, that of Azure
	// with all its service tags, has about 150,000.
	maxValues = 500_000
	maxDepth  = 16
	// maxPrefixes counts entries. AWS has 16,424 of them, more than any other.
	maxPrefixes = 100_000
	// The shortest published prefixes are an IPv4 /11 and an IPv6 /32.
	minBits4, minBits6 = 8, 20
)

// checkForm counts the values of a JSON text and the depth of their nesting, before
// the text is decoded: decoded values take many times the memory of their text. It
// does not check the syntax.
func checkForm(data []byte) error {
	values, depth, quoted := 1, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			values++
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		}
		if values > maxValues {
			return fmt.Errorf("more than %d values", maxValues)
		}
		if depth > maxDepth {
			return fmt.Errorf("nested more than %d deep", maxDepth)
		}
	}
	return nil
}

// problemOf returns what is wrong with a published prefix, empty if nothing is.
func problemOf(p netip.Prefix) string {
	a, least := p.Addr(), minBits6
	if a.Is4() {
		least = minBits4
	}
	switch {
	case p != p.Masked():
		return "host bits are set"
	case a.Is4In6():
		return "IPv4 written as IPv6"
	case p.Bits() < least:
		return fmt.Sprintf("too short, want at least /%d", least)
	case a.IsPrivate(), a.IsLoopback(), a.IsMulticast(), a.IsLinkLocalUnicast(), a.IsUnspecified():
		return "not a public address"
	}
	return ""
}
