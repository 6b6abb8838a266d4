package oci

import "strings"

// longestName is the bound that distribution's own reference grammar sets,
// and that the specification warns clients have.
const longestName = 255

// ValidName tells whether a repository name follows the grammar
//
//	[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*
//
// and has at most 255 bytes.
func ValidName(name string) bool {
	if len(name) > longestName {
		return false
	}
	separator := 0 // how many bytes of a separator stand before this one
	start := true  // of a path component
	var last byte
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			start, separator = false, 0
		case start:
			return false
		case c == '/':
			if separator > 0 {
				return false
			}
			start = true
		case c == '-' && (separator == 0 || last == '-'),
			c == '.' && separator == 0,
			c == '_' && (separator == 0 || separator == 1 && last == '_'):
			separator++
			last = c
		default:
			return false
		}
	}
	return !start && separator == 0
}

// validTag: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}
func validTag(tag string) bool {
	if tag == "" || len(tag) > 128 || tag[0] == '.' || tag[0] == '-' {
		return false
	}
	for i := range len(tag) {
		switch c := tag[i]; {
		case alphanumeric(c), c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return true
}

// ValidDigest tells whether a digest follows the grammar of the OCI image
// specification: the registered algorithms have their exact form, another one
// needs only to follow the grammar, as the specification asks.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
func ValidDigest(digest string) bool {
	algorithm, encoded, ok := strings.Cut(digest, ":")
	switch {
	case !ok || len(digest) > longestName:
		return false
	case algorithm == "sha256":
		return len(encoded) == 64 && lowerHex(encoded)
	case algorithm == "sha512":
		return len(encoded) == 128 && lowerHex(encoded)
	}
	component := false // does a component end here
	for i := range len(algorithm) {
		switch c := algorithm[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			component = true
		case component && (c == '+' || c == '.' || c == '_' || c == '-'):
			component = false
		default:
			return false
		}
	}
	if !component || encoded == "" {
		return false
	}
	for i := range len(encoded) {
		if c := encoded[i]; !alphanumeric(c) && c != '=' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// Mirrored tells whether blobs of this digest's algorithm can be in a mirror:
// only the two that every client can check.
func Mirrored(digest string) bool {
	return strings.HasPrefix(digest, "sha256:") || strings.HasPrefix(digest, "sha512:")
}

// SignatureTag tells whether a tag is one under which signatures and the like
// of a manifest are kept: sha256-<64 hex>, bare (the referrers tag schema of
// the specification) or with one of the endings that cosign gives it.
func SignatureTag(tag string) bool {
	rest, ok := strings.CutPrefix(tag, "sha256-")
	if !ok || len(rest) < 64 || !lowerHex(rest[:64]) {
		return false
	}
	switch rest[64:] {
	case "", ".sig", ".att", ".sbom":
		return true
	}
	return false
}

// hexDigits are the lower-case ones. Comparing digits that are random, as those
// of a digest are, is a branch that the processor guesses wrong half the time.
var hexDigits = [256]bool{
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'a': true, 'b': true, 'c': true, 'd': true, 'e': true, 'f': true,
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if !hexDigits[s[i]] {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
