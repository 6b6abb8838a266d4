package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// userFor returns the user that a keychain has for a repository.
func userFor(t *testing.T, k authn.Keychain, host, path string) string {
	t.Helper()
	login, err := resolve(t.Context(), k, host, path)
	if err != nil {
		t.Fatal(err)
	}
	return login.Username
}

// TestLogins tests that every spelling of a key is matched, the longest one first.
func TestLogins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		keys       []string
		host, path string
		want       string // the key
	}{
		{"host", []string{"ghcr.io"}, "ghcr.io", "org/app", "ghcr.io"},
		{"scheme", []string{"https://ghcr.io"}, "ghcr.io", "org/app", "https://ghcr.io"},
		{"slash", []string{"https://ghcr.io/"}, "ghcr.io", "org/app", "https://ghcr.io/"},
		{"api-v2", []string{"https://ghcr.io/v2/"}, "ghcr.io", "org/app", "https://ghcr.io/v2/"},
		{"api-v1", []string{"ghcr.io/v1"}, "ghcr.io", "org/app", "ghcr.io/v1"},
		{"case-and-port", []string{"GHCR.io:443"}, "ghcr.io", "org/app", "GHCR.io:443"},
		{"port", []string{"registry.example:5000"}, "registry.example:5000", "app", "registry.example:5000"},
		{"another-port", []string{"registry.example:5000"}, "registry.example", "app", ""},
		{"docker-hub", []string{"https://index.docker.io/v1/"}, "index.docker.io", "library/app", "https://index.docker.io/v1/"},
		{"docker-hub-short", []string{"docker.io"}, "index.docker.io", "library/app", "docker.io"},
		{"docker-hub-api", []string{"https://index.docker.io/v1/"}, "registry-1.docker.io", "library/app", "https://index.docker.io/v1/"},
		{"path", []string{"quay.io/org"}, "quay.io", "org/app", "quay.io/org"},
		{"path-of-a-repository", []string{"quay.io/org/app"}, "quay.io", "org/app", "quay.io/org/app"},
		{"other-path", []string{"quay.io/org"}, "quay.io", "organisation/app", ""},
		{"longest", []string{"quay.io", "quay.io/org", "quay.io/org/team"}, "quay.io", "org/team/app", "quay.io/org/team"},
		{"shorter", []string{"quay.io", "quay.io/org/other"}, "quay.io", "org/team/app", "quay.io"},
		{"catalog", []string{"quay.io", "quay.io/org"}, "quay.io", "", "quay.io"},
		{"other-host", []string{"ghcr.io"}, "quay.io", "app", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var auths []string
			for _, key := range tt.keys {
				auths = append(auths, fmt.Sprintf(`%q:{"username":%q,"password":"x"}`, key, key))
			}
			config := `{"auths":{` + strings.Join(auths, ",") + `}}`
			l, err := ParseLogins([]byte(config))
			if err != nil {
				t.Fatal(err)
			}
			if got := userFor(t, l, tt.host, tt.path); got != tt.want {
				t.Errorf("login %q, want %q", got, tt.want)
			}
		})
	}
	for _, text := range []string{``, `{}`, `bob:hunter2`, `{"auths":{}}`, `{"auths":{"a":{"auth":"aHVudGVyMg"}}}`} {
		if _, err := ParseLogins([]byte(text)); err == nil || !strings.Contains(err.Error(), "want a Docker configuration") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

// TestDockerConfiguration tests that the Docker configuration of the user may have
// keys with a path.
func TestDockerConfiguration(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("HOME", folder)
	t.Setenv("DOCKER_CONFIG", folder)
	config := `{"auths":{"quay.io/org":{"auth":"b3JnOng="},"https://index.docker.io/v1/":{"auth":"aHViOng="},"ghcr.io":{"auth":"Z2hjcjp4"}}}`
	if err := os.WriteFile(filepath.Join(folder, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ host, path, want string }{
		{"quay.io", "org/app", "org"},
		{"index.docker.io", "library/app", "hub"},
		{"registry-1.docker.io", "library/app", "hub"},
		{"ghcr.io", "org/app", "ghcr"},
		{"registry.example", "app", ""},
	} {
		if got := userFor(t, authn.DefaultKeychain, tt.host, tt.path); got != tt.want {
			t.Errorf("%s/%s: user %q, want %q", tt.host, tt.path, got, tt.want)
		}
	}
}

// TestUnmatched tests that a login that matches nothing of the source is reported,
// once.
func TestUnmatched(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		source, key string
		want        bool
	}{
		{"ghcr.io/org", "https://ghcr.io/v2/", false},
		{"ghcr.io/org", "ghcr.io/org/app", false},
		{"ghcr.io/org/team", "ghcr.io/org", false},
		{"ghcr.io", "ghcr.io/org", false},
		{"ghcr.io/org", "ghcr.io/other", true},
		{"ghcr.io/org", "ghcr.io/organisation", true},
		{"index.docker.io", "docker.io", false},
		{"ghcr.io/org", "gchr.io", true},
	} {
		t.Run(strings.ReplaceAll(tt.source+"-"+tt.key, "/", "-"), func(t *testing.T) {
			t.Parallel()
			k := StoredLogins(func(context.Context) ([]byte, error) {
				return fmt.Appendf(nil, `{"auths":{%q:{"username":"u","password":"p"}}}`, tt.key), nil
			})
			var messages []string
			c, _ := served(t, tt.source, Options{Keychain: k, Notify: func(m string) { messages = append(messages, m) }}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Www-Authenticate", "Basic")
				fail(w, http.StatusUnauthorized)
			})
			for range 2 {
				c.List(t.Context(), "org/app")
			}
			want := []string(nil)
			if tt.want {
				want = []string{fmt.Sprintf("login %q matches no repository of %s", tt.key, tt.source)}
			}
			if !slices.Equal(messages, want) {
				t.Errorf("messages %q, want %q", messages, want)
			}
		})
	}
}

// TestStoredLogins tests that logins are read once, and again at most once a
// minute.
func TestStoredLogins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		var fails error
		k := StoredLogins(func(context.Context) ([]byte, error) {
			n++
			return fmt.Appendf(nil, `{"auths":{"ghcr.io":{"username":"u%d","password":"p"}}}`, n), fails
		})
		for _, tt := range []struct {
			wait    time.Duration
			refresh bool
			want    string
		}{{0, false, "u1"}, {time.Hour, false, "u1"}, {0, true, "u2"}, {time.Second, true, "u2"}, {time.Minute, true, "u3"}} {
			time.Sleep(tt.wait)
			if tt.refresh {
				if err := k.Refresh(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if got := userFor(t, k, "ghcr.io", "app"); got != tt.want {
				t.Errorf("user %q, want %q", got, tt.want)
			}
		}
		time.Sleep(time.Hour)
		fails = errors.New("access denied")
		if err := k.Refresh(t.Context()); !errors.Is(err, fails) {
			t.Errorf("error %v", err)
		}
	})
}

// TestIssuedPasswords tests that a password is replaced before it expires, and on
// request.
func TestIssuedPasswords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		k := IssuedPasswords(func(context.Context) (Password, error) {
			n++
			return Password{fmt.Sprint("u", n), "p", time.Now().Add(12 * time.Hour)}, nil
		})
		for _, tt := range []struct {
			wait    time.Duration
			refresh bool
			want    string
		}{{0, false, "u1"}, {11 * time.Hour, false, "u1"}, {50 * time.Minute, false, "u2"}, {0, true, "u2"}, {time.Minute, true, "u3"}} {
			time.Sleep(tt.wait)
			if tt.refresh {
				if err := k.Refresh(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if got := userFor(t, k, "x", "app"); got != tt.want {
				t.Errorf("user %q, want %q", got, tt.want)
			}
		}
	})
}
