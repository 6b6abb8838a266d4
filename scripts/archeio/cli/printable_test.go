package cli

import "testing"

func TestPrintable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"plain", "team/app:v1", "team/app:v1"},
		{"letters", "größe 図", "größe 図"},
		{"escape-sequence", "a\x1b[31mb", `a\x1b[31mb`},
		{"newline-and-tab", "a\n\tb", `a\n\tb`},
		{"delete", "a\x7fb", `a\x7fb`},
		{"c1-control", "a\u009bb", `a\u009bb`},
		{"right-to-left", "a\u202eb", `a\u202eb`},
		{"not-utf-8", "a\xffb", `a\xffb`},
		{"replacement-character", "a\ufffdb", "a\ufffdb"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Printable(tt.text); got != tt.want {
				t.Errorf("Printable(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}
