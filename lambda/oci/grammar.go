package oci

import "strings"

// MaxName is the limit for a repository name, in bytes, in the reference grammar of
// the distribution registry. The specification warns that clients may have it too.
const MaxName = 255

// ValidName reports whether a repository name has at most 255 bytes and matches
// the grammar of the distribution specification:
//
//	[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*
func ValidName(name string) bool {
	if len(name) > MaxName {
		return false
	}
	separator := 0 // bytes of the separator before this byte
	start := true  // this byte starts a path component
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

// validTag reports whether a tag matches [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}.
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

// longestDigest is a limit in bytes. The digests of the registered algorithms are
// shorter.
const longestDigest = 255

// ValidDigest reports whether a digest is valid by the OCI image specification:
// digests of the registered algorithms must have the exact length and alphabet,
// those of other algorithms only need to match the grammar.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
func ValidDigest(digest string) bool {
	algorithm, encoded, ok := strings.Cut(digest, ":")
	switch {
	case !ok || len(digest) > longestDigest:
		return false
	case algorithm == "sha256":
		return len(encoded) == 64 && lowerHex(encoded)
	case algorithm == "sha512":
		return len(encoded) == 128 && lowerHex(encoded)
	}
	component := false // a component may end here
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

// Mirrored reports whether mirrors hold blobs with the algorithm of a valid digest:
// sha256 only.
func Mirrored(digest string) bool { return strings.HasPrefix(digest, "sha256:") }

// Supported reports whether registries can hold content with the algorithm of a
// valid digest: sha256 and sha512.
func Supported(digest string) bool {
	return strings.HasPrefix(digest, "sha256:") || strings.HasPrefix(digest, "sha512:")
}

// SignatureTag reports whether a tag is that of a signature, attestation or SBOM:
// sha256-<64 hex digits> or sha512-<64 hex digits> alone, as in the referrers tag
// schema of the distribution specification, which truncates the hex digits to 64,
// or with one of cosign's suffixes.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
func SignatureTag(tag string) bool {
	rest, ok := strings.CutPrefix(tag, "sha256-")
	if !ok {
		rest, ok = strings.CutPrefix(tag, "sha512-")
	}
	if !ok || len(rest) < 64 || !lowerHex(rest[:64]) {
		return false
	}
	switch rest[64:] {
	case "", ".sig", ".att", ".sbom":
		return true
	}
	return false
}

// hexDigits has the lower-case hexadecimal digits. Comparing with 'a' and '9'
// would be a branch that is mispredicted half the time, as digests are random.
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
