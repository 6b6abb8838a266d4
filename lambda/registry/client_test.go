package registry

import (
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, source, registry, prefix string }{
		{"registry", "registry.example.com", "registry.example.com", ""},
		{"prefix", "us-docker.pkg.dev/project/images", "us-docker.pkg.dev", "project/images"},
		{"slash-at-the-end", "127.0.0.1:5000/a/", "127.0.0.1:5000", "a"},
		{"empty", "", "", ""},
		{"no-host", "/a", "", ""},
		{"scheme", "https://registry.example.com", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(tt.source, Options{})
			if tt.registry == "" {
				if err == nil || !strings.Contains(err.Error(), "source") || !strings.Contains(err.Error(), "want REGISTRY or REGISTRY/PREFIX") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil || s.registry.RegistryStr() != tt.registry || s.prefix != tt.prefix {
				t.Errorf("%+v, error %v", s, err)
			}
		})
	}
}
