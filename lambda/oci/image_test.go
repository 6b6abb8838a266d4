package oci

import "testing"

func TestImagePath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, image, path, host string
	}{
		{"tag", "pause:3.9", "/v2/pause/manifests/3.9", ""},
		{"no-tag", "a/b", "/v2/a/b/manifests/latest", ""},
		{"host", "registry.example.com/a/b:1", "/v2/a/b/manifests/1", "registry.example.com"},
		{"host-with-port", "localhost:5000/a", "/v2/a/manifests/latest", "localhost:5000"},
		{"digest", "a@sha256:" + hex64, "/v2/a/manifests/sha256:" + hex64, ""},
		{"tag-and-digest", "a:1@sha256:" + hex64, "/v2/a/manifests/sha256:" + hex64, ""},
		{"empty", "", "", ""},
		{"no-name", ":1", "", ""},
		{"no-reference", "a:", "", ""},
		{"no-digest", "a@", "", ""},
		{"host-only", "registry.example.com/", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if path, host, ok := ImagePath(tt.image); path != tt.path || host != tt.host || ok != (tt.path != "") {
				t.Errorf("got %q, host %q, %v; want %q, host %q", path, host, ok, tt.path, tt.host)
			}
		})
	}
}
