package upstreams

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, pattern, host string
		want                bool
	}{
		{"same", "ghcr.io", "ghcr.io", true},
		{"other", "ghcr.io", "ghcr.io.example.com", false},
		{"suffix", "ghcr.io", "aghcr.io", false},
		{"below", "ghcr.io", "a.ghcr.io", false},
		{"wildcard", "*.quay.io", "cdn01.quay.io", true},
		{"wildcard-itself", "*.quay.io", "quay.io", false},
		{"wildcard-deeper", "*.quay.io", "a.b.quay.io", false},
		{"wildcard-empty", "*.quay.io", ".quay.io", false},
		{"middle", "docker-images-prod.*.r2.cloudflarestorage.com", "docker-images-prod.6aa3.r2.cloudflarestorage.com", true},
		{"middle-other", "docker-images-prod.*.r2.cloudflarestorage.com", "other.6aa3.r2.cloudflarestorage.com", false},
		{"empty", "*.quay.io", "", false},
		{"address", "*.0.0.1", "127.0.0.1", true}, // config refuses such a pattern
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Match(tt.pattern, tt.host); got != tt.want {
				t.Errorf("Match(%q, %q) = %v, want %v", tt.pattern, tt.host, got, tt.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]*Registry{
		"ghcr.io":                   GHCR,
		"GHCR.io.":                  GHCR,
		"docker.io":                 DockerHub,
		"registry-1.docker.io":      DockerHub,
		"europe-docker.pkg.dev":     ArtifactRegistry,
		"eu.gcr.io":                 ArtifactRegistry,
		"registry.example.com":      nil,
		"ghcr.io.example.com":       nil,
		"registry.gitlab.com":       GitLab,
		"gitlab.example.com":        nil,
		"public.ecr.aws":            ECRPublic,
		"pkg-containers.ghcr.io":    nil,
		"notdocker.io":              nil,
		"cdn01.quay.io":             nil,
		"quay.io":                   Quay,
		"d111111abcdef8.pkg.dev.me": nil,

		"123456789012.dkr.ecr.eu-west-1.amazonaws.com": ECR,
	} {
		if got := Find(host); got != want {
			t.Errorf("Find(%q) = %v, want %v", host, got, want)
		}
	}
}

// TestKnown tests what the settings of an unknown registry must have too.
func TestKnown(t *testing.T) {
	t.Parallel()
	for _, r := range Known {
		if u, err := url.Parse(r.Endpoint); err != nil || u.Scheme != "https" || Find(strings.ToLower(u.Host)) != r || r.Alias(u.Host) {
			t.Errorf("%s: endpoint %q is not an API host of it", r.Name, r.Endpoint)
		}
		if len(r.Sources) == 0 || r.Limits == "" {
			t.Errorf("%s: no sources or limits", r.Name)
		}
		if r.Access == Login {
			continue
		}
		if len(r.BlobHosts) == 0 || r.TagMaxAge < time.Second || r.Rate <= 0 {
			t.Errorf("%s: no blob hosts, TagMaxAge or Rate", r.Name)
		}
		for _, p := range append(append([]string{}, r.TokenHosts...), r.BlobHosts...) {
			labels := strings.Split(p, ".")
			if len(labels) < 2 || strings.Contains(strings.Join(labels[len(labels)-2:], "."), "*") || p != strings.ToLower(p) || strings.Contains(p, ":") {
				t.Errorf("%s: pattern %q is too wide or not a host", r.Name, p)
			}
		}
	}
}
