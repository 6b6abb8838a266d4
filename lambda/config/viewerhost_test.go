package config

import (
	"strings"
	"testing"
)

func TestIsViewerHost(t *testing.T) {
	t.Parallel()
	c := load(t, environment("VIEWER_HOSTS", "registry.example.com,xn--bcher-kva.example"))
	for _, tt := range []struct {
		name, host string
		want       bool
	}{
		{"configured", "registry.example.com", true},
		{"configured-punycode", "xn--bcher-kva.example", true},
		{"distribution", "d111111abcdef8.cloudfront.net", true},
		{"distribution-longest", strings.Repeat("a", 63) + ".cloudfront.net", true},
		{"none", "", false},
		{"foreign", "attacker.example", false},
		{"below", "a.registry.example.com", false},
		{"above", "example.com", false},
		{"longer", "registry.example.com.attacker.example", false},
		{"alike", "xregistry.example.com", false},
		{"two", "registry.example.com,registry.example.com", false},
		{"list", "registry.example.com,xn--bcher-kva.example", false},
		{"upper-case", "Registry.example.com", false},
		{"final-dot", "registry.example.com.", false},
		{"port", "registry.example.com:443", false},
		{"user", "a@registry.example.com", false},
		{"user-before", "registry.example.com@attacker.example", false},
		{"path", "registry.example.com/", false},
		{"space", " registry.example.com", false},
		{"line", "registry.example.com\n", false},
		{"cloudfront", "cloudfront.net", false},
		{"cloudfront-no-label", ".cloudfront.net", false},
		{"cloudfront-two-labels", "a.d111111abcdef8.cloudfront.net", false},
		{"cloudfront-alike", "attacker-cloudfront.net", false},
		{"cloudfront-longer", "d111111abcdef8.cloudfront.net.attacker.example", false},
		{"cloudfront-upper-case", "D111111ABCDEF8.cloudfront.net", false},
		{"cloudfront-domain-upper-case", "d111111abcdef8.CloudFront.net", false},
		{"cloudfront-final-dot", "d111111abcdef8.cloudfront.net.", false},
		{"cloudfront-port", "d111111abcdef8.cloudfront.net:443", false},
		{"cloudfront-port-inside", "attacker:443.cloudfront.net", false},
		{"cloudfront-user", "attacker.example@d111111abcdef8.cloudfront.net", false},
		{"cloudfront-path", "attacker/.cloudfront.net", false},
		{"cloudfront-backslash", `attacker\.cloudfront.net`, false},
		{"cloudfront-query", "attacker?.cloudfront.net", false},
		{"cloudfront-fragment", "attacker#.cloudfront.net", false},
		{"cloudfront-escape", "attacker%2f.cloudfront.net", false},
		{"cloudfront-line", "a\r\n.cloudfront.net", false},
		{"cloudfront-nul", "a\x00.cloudfront.net", false},
		{"cloudfront-punycode", "xn--d111111abcdef8-x.cloudfront.net", false},
		{"cloudfront-not-ascii", "d\u0131.cloudfront.net", false},
		{"cloudfront-fullwidth-dot", "d111111abcdef8\uff0ecloudfront.net", false},
		{"cloudfront-label-too-long", strings.Repeat("a", 64) + ".cloudfront.net", false},
		{"cloudfront-very-long", strings.Repeat("a", 1<<20) + ".cloudfront.net", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := c.IsViewerHost(tt.host); got != tt.want {
				t.Errorf("IsViewerHost(%.100q) = %v, want %v", tt.host, got, tt.want)
			}
		})
	}
}

// TestIsViewerHostAllocations is part of every blob request.
func TestIsViewerHostAllocations(t *testing.T) {
	c := load(t, environment("VIEWER_HOSTS", "registry.example.com"))
	if n := testing.AllocsPerRun(100, func() {
		c.IsViewerHost("d111111abcdef8.cloudfront.net")
		c.IsViewerHost("attacker.example")
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
