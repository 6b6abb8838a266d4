package registry

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// password is a keychain with one login.
type password struct{ user, password string }

func (p password) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: p.user, Password: p.password}, nil
}

// FuzzChallenges tests that any header is read to its end, and that credentials
// are only sent to a token server with TLS.
func FuzzChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://auth.example/token",service="s",scope="repository:a:pull"`)
	f.Add(`Basic realm="x", Bearer realm="http://auth.example/"`)
	f.Add(`Bearer realm="//[::1]:x", Negotiate abc==,,="`)
	f.Fuzz(func(t *testing.T, header string) {
		synctest.Test(t, func(t *testing.T) {
			c, log := served(t, "example.com", Options{Keychain: password{"u", "p"}}, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Host != "example.com" && r.URL.Scheme != "https" {
					t.Errorf("request to %s", r.URL)
				}
				w.Header()["Www-Authenticate"] = []string{header}
				w.WriteHeader(http.StatusUnauthorized)
			})
			if _, err := c.List(t.Context(), "app"); err == nil || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("error %v", err)
			}
			if n := len(log.take()); n > 8 {
				t.Errorf("%d requests", n)
			}
		})
	})
}

// guarded is a registry with tokens.
type guarded struct {
	challenge string // "" is that of a token server
	// user and password are what the token server accepts; none are needed if
	// user is empty.
	user, password string
	tokenBody      string // "" is a token for a minute
	status         int    // for a token that is not accepted; 0 is 401
	valid          map[string]bool
	issued         int
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Host == "auth.example" {
		if user, password, _ := r.BasicAuth(); user != g.user || password != g.password {
			fail(w, http.StatusUnauthorized, "UNAUTHORIZED")
			return
		}
		g.issued++
		token := fmt.Sprintf("t%d-%s", g.issued, url.QueryEscape(strings.Join(r.URL.Query()["scope"], " ")))
		g.valid[token] = true
		if g.tokenBody != "" {
			fmt.Fprint(w, strings.ReplaceAll(g.tokenBody, "TOKEN", token))
			return
		}
		json.NewEncoder(w).Encode(map[string]string{"token": token})
		return
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	scope := url.QueryEscape("repository:" + strings.Split(r.URL.Path, "/")[2] + ":pull")
	if !g.valid[token] || !strings.HasSuffix(token, scope) {
		challenge := g.challenge
		if challenge == "" {
			challenge = `Bearer realm="https://auth.example/token?account=x",service="registry"`
		}
		w.Header().Set("Www-Authenticate", challenge)
		if g.status == 0 || token == "" {
			fail(w, http.StatusUnauthorized, "UNAUTHORIZED")
			return
		}
		w.WriteHeader(g.status)
		fmt.Fprint(w, `{"errors":[{"code":"DENIED","message":"Your Authorization Token has expired"}]}`)
		return
	}
	fmt.Fprint(w, `{"tags":["v1"]}`)
}

// TestTokens tests that challenges are responded to, tokens are cached, and
// replaced once they have expired.
func TestTokens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		registry guarded
		keychain authn.Keychain
		err      error
		text     string
		// requests of the first call, of one at once, of one for another
		// repository, and of one for the first after all tokens have expired.
		requests [4]int
	}{
		{"anonymous", guarded{}, nil, nil, "", [4]int{3, 1, 2, 3}},
		{"login", guarded{user: "u", password: "p"}, password{"u", "p"}, nil, "", [4]int{3, 1, 2, 3}},
		{"access-token", guarded{tokenBody: `{"access_token":"TOKEN","expires_in":300}`}, nil, nil, "", [4]int{3, 1, 2, 3}},
		{"expires-in-text", guarded{tokenBody: `{"token":"TOKEN","expires_in":"300"}`}, nil, nil, "", [4]int{3, 1, 2, 3}},
		{"scope-of-the-challenge", guarded{challenge: `Basic realm="x", Bearer realm="https://auth.example/token",scope="registry:catalog:* repository:app:pull"`}, nil, nil, "", [4]int{3, 1, 0, 3}},
		{"expired-as-400", guarded{status: http.StatusBadRequest}, nil, nil, "", [4]int{3, 1, 2, 3}},
		{"expired-as-403", guarded{status: http.StatusForbidden}, nil, nil, "", [4]int{3, 1, 2, 3}},
		{"wrong-login", guarded{user: "u", password: "p"}, password{"u", "q"}, ErrUnauthorized, "missing or insufficient credentials", [4]int{2}},
		{"no-login", guarded{user: "u", password: "p"}, nil, ErrUnauthorized, "missing or insufficient credentials", [4]int{2}},
		{"basic-without-login", guarded{challenge: `Basic realm="x"`}, nil, ErrUnauthorized, "missing or insufficient credentials", [4]int{1}},
		{"unknown-scheme", guarded{challenge: `Negotiate`}, password{"u", "p"}, ErrUnauthorized, "missing or insufficient credentials", [4]int{1}},
		{"clear-token-server", guarded{challenge: `Bearer realm="http://auth.example/token"`}, password{"u", "p"}, nil, "not an https address", [4]int{1}},
		{"clear-token-server-on-loopback", guarded{challenge: `Bearer realm="http://127.0.0.1/token"`}, password{"u", "p"}, nil, "not an https address", [4]int{1}},
		{"no-token", guarded{tokenBody: `{}`}, nil, nil, "the response has no token", [4]int{2}},
		{"token-with-a-line-feed", guarded{tokenBody: `{"token":"a\nb"}`}, nil, nil, "the response has no token", [4]int{2}},
		{"large-token", guarded{tokenBody: `{"token":"` + strings.Repeat("x", maxTokenBody) + `"}`}, nil, nil, "too many", [4]int{2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := tt.registry
				g.valid = map[string]bool{}
				c, log := served(t, "example.com", Options{Keychain: tt.keychain}, g.ServeHTTP)
				for i, repository := range []string{"app", "app", "other", "app"} {
					if i == 3 {
						clear(g.valid)
					}
					_, err := c.List(t.Context(), repository)
					if tt.text != "" {
						checkError(t, err, tt.err, tt.text)
					} else if err != nil && tt.requests[i] > 0 {
						t.Errorf("%s: %v", repository, err)
					}
					if n := len(log.take()); tt.requests[i] > 0 && n != tt.requests[i] {
						t.Errorf("call %d: %d requests, want %d", i, n, tt.requests[i])
					}
					if tt.text != "" {
						break
					}
				}
			})
		})
	}
}

// TestTokenLifetime tests that a token is not used after its end, and requested
// once for all who need it.
func TestTokenLifetime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		body string
		want time.Duration
	}{
		{`{"token":"x"}`, 50 * time.Second},
		{`{"token":"x","expires_in":300}`, 290 * time.Second},
		{`{"token":"x","expires_in":4}`, 3 * time.Second},
		{`{"token":"x","expires_in":-1}`, 50 * time.Second},
		{`{"token":"x","expires_in":1e300}`, maxTokenLifetime - tokenMargin},
		{`{"token":"x","expires_in":{}}`, 50 * time.Second},
	} {
		got, err := parseToken([]byte(tt.body), now)
		if err != nil || got.expires.Sub(now) != tt.want {
			t.Errorf("%s: %+v, error %v, want %v", tt.body, got, err, tt.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		g := &guarded{valid: map[string]bool{}}
		var mu sync.Mutex
		c, _ := served(t, "example.com", Options{}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Host == "auth.example" {
				time.Sleep(time.Second)
			}
			mu.Lock()
			defer mu.Unlock()
			g.ServeHTTP(w, r)
		})
		for i := range 3 {
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					if _, err := c.List(t.Context(), "app"); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if g.issued != i+1 {
				t.Errorf("%d tokens in %d minutes, want one a minute", g.issued, i)
			}
			time.Sleep(time.Minute)
		}
	})
}

// rotating is a keychain with a password that changes when it is read again.
type rotating struct {
	mu        sync.Mutex
	passwords []string
}

func (k *rotating) Resolve(authn.Resource) (authn.Authenticator, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &authn.Basic{Username: "u", Password: k.passwords[0]}, nil
}

func (k *rotating) Refresh(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.passwords) > 1 {
		k.passwords = k.passwords[1:]
	}
	return nil
}

// TestRotated tests that credentials are read again once they are refused.
func TestRotated(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		handle http.HandlerFunc
	}{
		{"token", (&guarded{user: "u", password: "new", valid: map[string]bool{}}).ServeHTTP},
		{"basic-401", func(w http.ResponseWriter, r *http.Request) {
			if _, p, _ := r.BasicAuth(); p != "new" {
				w.Header().Set("Www-Authenticate", `Basic realm="x"`)
				fail(w, http.StatusUnauthorized)
				return
			}
			fmt.Fprint(w, `{"tags":[]}`)
		}},
		{"basic-403", func(w http.ResponseWriter, r *http.Request) {
			switch _, p, _ := r.BasicAuth(); p {
			case "":
				w.Header().Set("Www-Authenticate", `Basic realm="x"`)
				fail(w, http.StatusUnauthorized)
			case "new":
				fmt.Fprint(w, `{"tags":[]}`)
			default:
				fail(w, http.StatusForbidden, "DENIED")
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, log := served(t, "example.com", Options{Keychain: &rotating{passwords: []string{"old", "new"}}}, tt.handle)
			if _, err := c.List(t.Context(), "app"); err != nil {
				t.Error(err)
			}
			c, _ = served(t, "example.com", Options{Keychain: &rotating{passwords: []string{"old"}}}, tt.handle)
			_, err := c.List(t.Context(), "app")
			checkError(t, err, ErrUnauthorized, "missing or insufficient credentials")
			if n := len(log.take()); n > 6 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestForeignChallenge tests that another host gets an anonymous token, and never
// the credentials.
func TestForeignChallenge(t *testing.T) {
	t.Parallel()
	g := &guarded{valid: map[string]bool{}}
	c, _ := served(t, "example.com", Options{Keychain: password{"u", "p"}}, func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); ok {
			t.Errorf("credentials were sent to %s", r.URL)
		}
		if r.URL.Host == "example.com" {
			http.Redirect(w, r, "https://other.example"+r.URL.Path, http.StatusFound)
			return
		}
		g.ServeHTTP(w, r)
	})
	if _, err := c.List(t.Context(), "app"); err != nil {
		t.Error(err)
	}
}

// TestLoopback tests that HTTP is only used for loopback addresses that do not use
// TLS.
func TestLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{"localhost": true, "localhost:5000": true, "127.0.0.1:80": true, "127.8.9.1": true, "[::1]:5000": true,
		"10.0.0.1:5000": false, "registry.local": false, "localhost.example.com": false, "127.0.0.1.example.com:80": false} {
		if loopback(host) != want {
			t.Errorf("%s is loopback: %v", host, !want)
		}
	}
	var schemes []string
	c, err := New("10.0.0.1:5000", Options{Transport: wire(func(r *http.Request) (*http.Response, error) {
		schemes = append(schemes, r.URL.Scheme)
		return respond(r, http.StatusOK, nil, `{"tags":[]}`)
	})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.List(t.Context(), "app"); err != nil || !slices.Equal(schemes, []string{"https"}) {
		t.Errorf("schemes %q, error %v", schemes, err)
	}
}

// TestClearTokenServer tests that a registry on loopback without TLS may only have
// a token server without TLS that is on loopback too.
func TestClearTokenServer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		realm string
		ok    bool
	}{
		{"http://127.0.0.1:5001/token", true},
		{"https://auth.example/token", true},
		{"http://auth.example/token", false},
	} {
		t.Run(strings.ReplaceAll(tt.realm, "/", "-"), func(t *testing.T) {
			t.Parallel()
			c, err := New("127.0.0.1:5000", Options{Keychain: password{"u", "p"}, Transport: wire(func(r *http.Request) (*http.Response, error) {
				switch {
				case r.URL.Host == "127.0.0.1:5000" && r.URL.Scheme == "https":
					return nil, tls.RecordHeaderError{Msg: "not TLS"}
				case r.URL.Path == "/token":
					if !tt.ok {
						t.Errorf("request to %s", r.URL)
					}
					return respond(r, http.StatusOK, nil, `{"token":"t"}`)
				case r.Header.Get("Authorization") != "Bearer t":
					return respond(r, http.StatusUnauthorized, http.Header{"Www-Authenticate": {`Bearer realm="` + tt.realm + `"`}}, "")
				}
				return respond(r, http.StatusOK, nil, `{"tags":[]}`)
			})})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.List(t.Context(), "app"); (err == nil) != tt.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestTokenUsedUpAfterChallenge tests that the first token of a request may have expired:
// the response without a token, before that, has refused none.
func TestTokenUsedUpAfterChallenge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := 0
		c, _ := served(t, "example.com", Options{}, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Host == "auth.example.com":
				tokens++
				fmt.Fprintf(w, `{"token":"token-%d"}`, tokens)
			case r.Header.Get("Authorization") == "Bearer token-2":
				w.Header().Set("Docker-Content-Digest", a)
			default:
				w.Header().Set("WWW-Authenticate", `Bearer realm="https://auth.example.com/token"`)
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		if digest, err := c.Resolve(t.Context(), "app", "v1"); digest != a || err != nil || tokens != 2 {
			t.Errorf("digest %q, error %v, %d tokens, want 2", digest, err, tokens)
		}
	})
}
