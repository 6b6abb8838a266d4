package config

import (
	"strings"
	"testing"
)

// TestTooLong checks that texts for the page are bounded, and errors about them too.
func TestTooLong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, variable, value, want string
	}{
		{"title", "PAGE_TITLE", strings.Repeat("ü", 81), "too long: want at most 80 characters, got 81"},
		{"text", "PAGE_TEXT", strings.Repeat("a", 601), "too long: want at most 600 characters, got 601"},
		{"megabyte", "PAGE_TEXT", strings.Repeat("<", 1<<20), "too long: want at most 600 characters, got 1048576"},
		{"contact", "PAGE_CONTACT", strings.Repeat("a", 255), "too long: want at most 254 bytes, got 255"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(with(environment(tt.variable, tt.value)))
			if err == nil || !strings.Contains(err.Error(), tt.variable+`="`) || !strings.HasSuffix(err.Error(), tt.want) || len(err.Error()) > 300 {
				t.Errorf("error %.400q, want a short one that ends with %q", err, tt.want)
			}
		})
	}
}
