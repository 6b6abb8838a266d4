package oci

import (
	"regexp"
	"strings"
	"testing"
)

// The regular expressions of the specifications are the oracle.
var (
	nameExpression   = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagExpression    = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digestExpression = regexp.MustCompile(`^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$`)
	sha256Expression = regexp.MustCompile(`^sha256:[a-f0-9]{64}$`)
	sha512Expression = regexp.MustCompile(`^sha512:[a-f0-9]{128}$`)
)

// matches excludes a trailing newline, before which $ matches.
func matches(e *regexp.Regexp, s string) bool { return e.MatchString(s) && !strings.HasSuffix(s, "\n") }

func nameOracle(s string) bool { return len(s) <= 255 && matches(nameExpression, s) }

func digestOracle(s string) bool {
	switch {
	case len(s) > 255:
		return false
	case strings.HasPrefix(s, "sha256:"):
		return matches(sha256Expression, s)
	case strings.HasPrefix(s, "sha512:"):
		return matches(sha512Expression, s)
	}
	return matches(digestExpression, s)
}

// pieces are parts of valid and invalid names, tags and digests.
var pieces = []string{
	"", "a", "0", "z9", ".", "..", "_", "__", "___", "-", "--", "/", "//", "A", ":", "+", "=", "\n", " ", "é", "%",
	"sha256:", "sha512:", hex64, hex64[:63], strings.ToUpper(hex64), hex128, strings.Repeat("a", 127), strings.Repeat("b/", 63),
}

func TestGrammarAgainstOracle(t *testing.T) {
	t.Parallel()
	check := func(s string) {
		if got, want := ValidName(s), nameOracle(s); got != want {
			t.Errorf("ValidName(%q) = %v, want %v", s, got, want)
		}
		if got, want := validTag(s), matches(tagExpression, s); got != want {
			t.Errorf("validTag(%q) = %v, want %v", s, got, want)
		}
		if got, want := ValidDigest(s), digestOracle(s); got != want {
			t.Errorf("ValidDigest(%q) = %v, want %v", s, got, want)
		}
	}
	for _, a := range pieces {
		for _, b := range pieces {
			for _, c := range pieces {
				check(a + b + c)
				check("a" + a + b + c + "a")
				check("a:" + a + b + c)
			}
		}
	}
	for _, n := range []int{127, 128, 129, 254, 255, 256} {
		check(strings.Repeat("a", n))
		check(strings.Repeat("a", n-2) + ":a")
	}
}

func TestMirrored(t *testing.T) {
	t.Parallel()
	for digest, want := range map[string]bool{
		"sha256:" + hex64: true, "sha512:" + hex128: false, "blake3:00": false, "sha2567:00": false, "sha384:00": false,
	} {
		if got := Mirrored(digest); got != want {
			t.Errorf("Mirrored(%q) = %v, want %v", digest, got, want)
		}
	}
}

func TestSupported(t *testing.T) {
	t.Parallel()
	for digest, want := range map[string]bool{
		"sha256:" + hex64: true, "sha512:" + hex128: true, "blake3:00": false, "sha2567:00": false, "sha384:00": false, "md5:abc": false, "sha256": false, "": false,
	} {
		if got := Supported(digest); got != want {
			t.Errorf("Supported(%q) = %v, want %v", digest, got, want)
		}
	}
}

func TestSignatureTag(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]bool{
		"sha256-" + hex64:                  true,
		"sha256-" + hex64 + ".sig":         true,
		"sha256-" + hex64 + ".att":         true,
		"sha256-" + hex64 + ".sbom":        true,
		"sha256-" + hex64 + ".":            false,
		"sha256-" + hex64 + ".sigs":        false,
		"sha256-" + hex64 + "0":            false,
		"sha256-" + hex64[:63]:             false,
		"sha256-" + strings.ToUpper(hex64): false,
		"sha512-" + hex64:                  true,
		"sha512-" + hex64 + ".sig":         true,
		"sha512-" + hex64 + ".att":         true,
		"sha512-" + hex64 + ".sbom":        true,
		"sha512-" + hex64 + ".txt":         false,
		"sha512-" + hex64[:63]:             false,
		"sha512-" + hex64 + "0":            false,
		"sha512-" + hex128:                 false,
		"sha384-" + hex64:                  false,
		"main-" + hex64:                    false,
		"main-0a1b2c3":                     false,
		"sha256." + hex64:                  false,
		"v1.sig":                           false,
		"":                                 false,
	} {
		if got := SignatureTag(tag); got != want {
			t.Errorf("SignatureTag(%q) = %v, want %v", tag, got, want)
		}
	}
}
