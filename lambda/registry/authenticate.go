package registry

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"

	"archeio/lambda/field"
)

// authenticator responds to the challenges of hosts, and caches tokens. The
// registry gets the credentials of the keychain; other hosts, which redirects
// lead to, get anonymous tokens only. It is safe for concurrent use.
type authenticator struct {
	source   string // HOST[/PREFIX]
	keychain authn.Keychain
	send     func(*http.Request) (*http.Response, error)
	notify   func(message string)

	reloading  sync.Mutex
	mu         sync.Mutex
	challenges map[string]field.Challenge // the last one by host
	scopes     map[scopeKey]string        // that a challenge named
	tokens     map[scopeKey]*token
	requested  map[scopeKey]chan struct{}  // closed once the token is there
	logins     map[string]authn.AuthConfig // by repository
	generation int                         // counts how often the credentials have changed
	checked    bool                        // keys without a match were reported
}

// scopeKey is a repository at a host; the catalog has an empty name.
type scopeKey struct{ host, repository string }

// maxCached limits each cache of an authenticator.
const maxCached = 1000

func newAuthenticator(source string, keychain authn.Keychain, send func(*http.Request) (*http.Response, error), notify func(string)) *authenticator {
	return &authenticator{source: source, keychain: keychain, send: send, notify: notify,
		challenges: map[string]field.Challenge{}, scopes: map[scopeKey]string{}, tokens: map[scopeKey]*token{}, requested: map[scopeKey]chan struct{}{}, logins: map[string]authn.AuthConfig{}}
}

// own reports whether a host is the registry, and may have the credentials.
func (a *authenticator) own(host string) bool {
	own, _, _ := strings.Cut(a.source, "/")
	return host == own
}

// authorization returns the Authorization header for a request, empty as long as
// the host has not challenged one, and the generation of its credentials.
func (a *authenticator) authorization(ctx context.Context, u *url.URL, repository string) (header string, generation int, err error) {
	a.mu.Lock()
	c, ok := a.challenges[u.Host]
	generation = a.generation
	a.mu.Unlock()
	if !ok {
		return "", generation, nil
	}
	var login authn.AuthConfig
	if a.own(u.Host) {
		if login, err = a.login(ctx, repository); err != nil {
			return "", generation, err
		}
	}
	switch {
	case login.RegistryToken != "":
		return "Bearer " + login.RegistryToken, generation, nil
	case c.Scheme == "basic":
		if login.Username == "" && login.Password == "" {
			return "", generation, nil
		}
		return basic(login), generation, nil
	}
	text, err := a.token(ctx, u, repository, c, login, generation)
	if err != nil {
		return "", generation, err
	}
	return "Bearer " + text, generation, nil
}

func basic(login authn.AuthConfig) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(login.Username+":"+login.Password))
}

// refused reports whether a request may succeed when it is sent again with
// another Authorization header, after a response that refuses it. sent is the
// header that it had, of a generation, and again whether it was already sent again.
func (a *authenticator) refused(ctx context.Context, resp *http.Response, u *url.URL, repository, sent string, generation int, again bool) (bool, error) {
	key := scopeKey{u.Host, repository}
	if a.own(u.Host) {
		if _, err := a.login(ctx, repository); err != nil { // also reports logins without a match
			return false, err
		}
	}
	if resp.StatusCode == http.StatusUnauthorized {
		if c, ok := choose(field.Challenges(resp.Header)); ok {
			a.mu.Lock()
			if len(a.challenges) >= maxHosts {
				clear(a.challenges)
			}
			a.challenges[u.Host] = c
			if scope := c.Params["scope"]; scope != "" {
				put(a.scopes, key, scope)
			}
			a.mu.Unlock()
		} else if sent == "" {
			return false, nil
		}
		if sent == "" {
			now, _, err := a.authorization(ctx, u, repository)
			return now != "", err
		}
	}
	if !a.own(u.Host) {
		return false, nil
	}
	a.mu.Lock()
	if t := a.tokens[key]; t != nil && "Bearer "+t.text == sent {
		delete(a.tokens, key)
	}
	a.mu.Unlock()
	if strings.HasPrefix(sent, "Bearer ") && !again {
		now, _, err := a.authorization(ctx, u, repository)
		return now != "" && now != sent, err
	}
	return a.reload(ctx, repository, generation)
}

// choose returns the challenge that can be responded to, a token before a
// password.
func choose(all []field.Challenge) (field.Challenge, bool) {
	var out field.Challenge
	for _, c := range all {
		switch {
		case c.Scheme == "bearer" && c.Params["realm"] != "":
			return c, true
		case c.Scheme == "basic":
			out = c
		}
	}
	return out, out.Scheme != ""
}

// put adds to a cache, which it clears when it is full.
func put[K comparable, V any](cache map[K]V, key K, value V) {
	if len(cache) >= maxCached {
		clear(cache)
	}
	cache[key] = value
}

// login returns the credentials for a repository, or for the catalog.
func (a *authenticator) login(ctx context.Context, repository string) (authn.AuthConfig, error) {
	a.mu.Lock()
	known, ok := a.logins[repository]
	a.mu.Unlock()
	if ok {
		return known, nil
	}
	host, path, _ := strings.Cut(a.source, "/")
	if repository != "" {
		path = repository
	}
	login, err := resolve(ctx, a.keychain, host, path)
	if err != nil {
		return login, fmt.Errorf("looking up credentials: %s", line(err.Error()))
	}
	a.report()
	a.mu.Lock()
	defer a.mu.Unlock()
	put(a.logins, repository, login)
	return login, nil
}

// report reports keys of logins that match nothing of the source, once.
func (a *authenticator) report() {
	logins, ok := a.keychain.(interface{ Unmatched(source string) []string })
	a.mu.Lock()
	again := a.checked
	a.checked = true
	a.mu.Unlock()
	if !ok || again || a.notify == nil {
		return
	}
	for _, key := range logins.Unmatched(a.source) {
		a.notify(fmt.Sprintf("login %s matches no repository of %s", quote(key), a.source))
	}
}

// reload reads the credentials again, unless that was done since a generation, and
// reports whether they are others than those of the generation.
func (a *authenticator) reload(ctx context.Context, repository string, generation int) (bool, error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	a.mu.Lock()
	changed := a.generation != generation
	a.mu.Unlock()
	if changed {
		return true, nil
	}
	before, err := a.login(ctx, repository)
	if err != nil {
		return false, err
	}
	if r, ok := a.keychain.(Refresher); ok {
		if err := r.Refresh(ctx); err != nil {
			return false, fmt.Errorf("reading the credentials again: %s", line(err.Error()))
		}
	}
	host, path, _ := strings.Cut(a.source, "/")
	if repository != "" {
		path = repository
	}
	now, err := resolve(ctx, a.keychain, host, path)
	if err != nil || now == before {
		return false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.logins)
	clear(a.tokens)
	a.generation++
	return true, nil
}

// resource is what a keychain is asked for.
type resource struct{ host, path string }

func (r resource) String() string      { return strings.TrimSuffix(r.host+"/"+r.path, "/") }
func (r resource) RegistryStr() string { return r.host }

// resolve returns the credentials of a keychain for a repository. The keychain of
// the Docker configuration knows whole names only, so it is asked for each start
// of the path, the longest first, as podman does.
func resolve(ctx context.Context, keychain authn.Keychain, host, path string) (authn.AuthConfig, error) {
	if keychain != authn.DefaultKeychain {
		return config(authn.Resolve(ctx, keychain, resource{host, path}))(ctx)
	}
	for ; path != ""; path = path[:max(0, strings.LastIndex(path, "/"))] {
		whole := host + "/" + path
		login, err := config(authn.Resolve(ctx, keychain, resource{whole, ""}))(ctx)
		if err != nil || login != (authn.AuthConfig{}) {
			return login, err
		}
	}
	return config(authn.Resolve(ctx, keychain, resource{loginHost(host), ""}))(ctx)
}

func config(login authn.Authenticator, err error) func(context.Context) (authn.AuthConfig, error) {
	return func(ctx context.Context) (authn.AuthConfig, error) {
		if err != nil {
			return authn.AuthConfig{}, err
		}
		c, err := authn.Authorization(ctx, login)
		if err != nil || c == nil {
			return authn.AuthConfig{}, err
		}
		return *c, nil
	}
}
