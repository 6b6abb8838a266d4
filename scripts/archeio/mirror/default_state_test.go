package mirror

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archeio/lambda/registry"
	"archeio/scripts/archeio/cli"
)

func TestStateName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, source, want string }{
		{"host", "registry.example.com", "registry.example.com%2F"},
		{"port", "registry.example.com:5000", "registry.example.com%3A5000%2F"},
		{"prefix", "us-docker.pkg.dev/project/images", "us-docker.pkg.dev%2Fproject%2Fimages%2F"},
		{"slash-at-the-end", "us-docker.pkg.dev/project/images/", "us-docker.pkg.dev%2Fproject%2Fimages%2F"},
		{"dots", "registry.example.com/../..", "registry.example.com%2F..%2F..%2F"},
		{"long", "registry.example.com/" + strings.Repeat("a/", 100) + "a", "registry.example.com" + strings.Repeat("%2Fa", 40) + "%2F-094c0dd580b15c5d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source, err := registry.New(tt.source, registry.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := stateName(source)
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if len(got) > 255 || strings.ContainsAny(got, "/\\:") || !filepath.IsLocal(got) {
				t.Errorf("%q is no safe file name", got)
			}
		})
	}
}

// Without -state, a second run fetches no manifest again. Another source has another
// state, and an empty -state has none.
func TestDefaultState(t *testing.T) {
	t.Parallel()
	s := start(t, "default-state", "default-state")
	s.push(t, "one:v1", 1000, 1)
	cache := t.TempDir()
	file := filepath.Join(cache, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, source, cache string
		flags               []string
		fetched             int
		stderr              string
	}{
		{"first", s.source, cache, nil, 1, ""},
		{"second", s.source, cache, nil, 0, ""},
		{"slash-at-the-end", s.source + "/", cache, nil, 0, ""},
		{"prefix", s.source + "/one", cache, nil, 1, ""},
		{"none", s.source, cache, []string{"-state", ""}, 1, ""},
		{"set", s.source, cache, []string{"-state", t.TempDir()}, 1, ""},
		{"not-writable", s.source, file, nil, 1, "archeio mirror copy: nothing is cached for the next run: mkdir " + file + ": not a directory: set -state\n"},
		{"no-cache-folder", s.source, "", nil, 1, "archeio mirror copy: nothing is cached for the next run: neither $XDG_CACHE_HOME nor $HOME are defined: set -state\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd, stdout, stderr := child(t, []string{"HOME=", "XDG_CACHE_HOME=" + tt.cache}, append([]string{"copy", "-source", tt.source, "-bucket", "default-state", "-json"}, tt.flags...)...)
			exit := code(t, cmd.Run())
			var got copyReport
			if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || exit != cli.ExitDone || stderr.String() != tt.stderr {
				t.Fatalf("exit code %d, %v: %s%s", exit, err, stdout, stderr)
			}
			if got.Fetched != tt.fetched {
				t.Errorf("%d manifests fetched, want %d", got.Fetched, tt.fetched)
			}
		})
	}
}
