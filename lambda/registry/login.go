package registry

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// Logins are the credentials of a Docker configuration, by normalized key: a
// host, or a host and the start of a path. The Keychain prefers the longest key
// that matches a repository. It is safe for concurrent use.
type Logins map[string]authn.AuthConfig

// errLogins is the error for what is no Docker configuration. It does not quote
// the text, which has secrets.
var errLogins = errors.New(`want a Docker configuration such as {"auths": {"us-docker.pkg.dev": {"username": "_json_key", "password": "..."}}}`)

// ParseLogins parses a Docker configuration: the auths of ~/.docker/config.json.
// Keys can have every spelling that docker and podman write, such as
// "https://index.docker.io/v1/", "docker.io", "https://ghcr.io/v2/" and
// "quay.io/org". The error does not quote the configuration.
func ParseLogins(config []byte) (Logins, error) {
	var c struct {
		Auths map[string]authn.AuthConfig `json:"auths"`
	}
	if err := json.Unmarshal(config, &c); err != nil || len(c.Auths) == 0 {
		return nil, errLogins
	}
	out := Logins{}
	for _, key := range slices.Sorted(maps.Keys(c.Auths)) {
		out[loginKey(key)] = c.Auths[key]
	}
	return out, nil
}

// loginKey normalizes a key of a Docker configuration.
func loginKey(key string) string {
	key = strings.ToLower(strings.TrimSpace(key))
	if _, rest, ok := strings.Cut(key, "://"); ok {
		key = rest
	}
	host, path, _ := strings.Cut(key, "/")
	path = strings.Trim(path, "/")
	for _, api := range []string{"v1", "v2"} { // the address of the API, not a repository
		if path == api {
			path = ""
		} else {
			path = strings.TrimPrefix(path, api+"/")
		}
	}
	if host = loginHost(host); path != "" {
		return host + "/" + path
	}
	return host
}

// dockerHub is the registry host of Docker Hub in go-containerregistry.
const dockerHub = "index.docker.io"

// loginHost returns a host without the port of HTTPS, and one name for all those
// of Docker Hub.
func loginHost(host string) string {
	host = strings.ToLower(host)
	if h, port, err := net.SplitHostPort(host); err == nil && port == "443" {
		host = h
	}
	switch host {
	case "docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com", "www.docker.com":
		return dockerHub
	}
	return host
}

// Resolve implements authn.Keychain.
func (l Logins) Resolve(r authn.Resource) (authn.Authenticator, error) {
	host, path, _ := strings.Cut(r.String(), "/")
	for host = loginHost(host); ; path = path[:max(0, strings.LastIndex(path, "/"))] {
		if login, ok := l[strings.TrimSuffix(host+"/"+path, "/")]; ok {
			return authn.FromConfig(login), nil
		}
		if path == "" {
			return authn.Anonymous, nil
		}
	}
}

// Unmatched returns the keys, sorted, that match no repository of a source: other
// hosts, and other paths than the source's prefix.
func (l Logins) Unmatched(source string) []string {
	host, prefix, _ := strings.Cut(strings.TrimSuffix(source, "/"), "/")
	prefix += "/"
	host = loginHost(host)
	var out []string
	for _, key := range slices.Sorted(maps.Keys(l)) {
		keyHost, path, _ := strings.Cut(key, "/")
		if path += "/"; keyHost != host || prefix != "/" && path != "/" && !strings.HasPrefix(path, prefix) && !strings.HasPrefix(prefix, path) {
			out = append(out, key)
		}
	}
	return out
}

// Refresher is a Keychain that can read its credentials again. The Client calls
// Refresh once a registry has refused them, and then resolves again.
type Refresher interface {
	authn.Keychain
	// Refresh reads the credentials again. It must be safe for concurrent use.
	Refresh(ctx context.Context) error
}

// StoredLogins returns a Refresher for a Docker configuration that read returns,
// for example from a secret. It is read at the first use, and again at most once
// a minute.
func StoredLogins(read func(context.Context) ([]byte, error)) Refresher {
	return &storedLogins{read: read}
}

type storedLogins struct {
	read func(context.Context) ([]byte, error)

	mu     sync.Mutex
	logins Logins
	at     time.Time // when they were read
}

// refreshInterval is the shortest time between two reads of stored credentials.
const refreshInterval = time.Minute

// Resolve implements authn.Keychain.
func (s *storedLogins) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return s.ResolveContext(context.Background(), r)
}

// ResolveContext implements authn.ContextKeychain.
func (s *storedLogins) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	l, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	return l.Resolve(r)
}

func (s *storedLogins) load(ctx context.Context) (Logins, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logins != nil {
		return s.logins, nil
	}
	text, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	if s.logins, err = ParseLogins(text); err == nil {
		s.at = time.Now()
	}
	return s.logins, err
}

// Refresh implements Refresher.
func (s *storedLogins) Refresh(ctx context.Context) error {
	s.mu.Lock()
	if s.logins != nil && time.Since(s.at) >= refreshInterval {
		s.logins = nil
	}
	s.mu.Unlock()
	_, err := s.load(ctx)
	return err
}

// Password is a password that a registry issues for a limited time.
type Password struct {
	Username, Password string
	Expires            time.Time
}

// IssuedPasswords returns a Refresher for a registry with short-lived passwords,
// such as Amazon ECR. issue is called at the first use, again within a quarter of
// an hour before the password expires, and on Refresh, at most once a minute.
func IssuedPasswords(issue func(context.Context) (Password, error)) Refresher {
	return &issuedPasswords{issue: issue}
}

type issuedPasswords struct {
	issue func(context.Context) (Password, error)

	mu   sync.Mutex
	last Password
	at   time.Time // when it was issued
}

// Resolve implements authn.Keychain.
func (i *issuedPasswords) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return i.ResolveContext(context.Background(), r)
}

// ResolveContext implements authn.ContextKeychain.
func (i *issuedPasswords) ResolveContext(ctx context.Context, _ authn.Resource) (authn.Authenticator, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.at.IsZero() || time.Until(i.last.Expires) < 15*time.Minute && time.Since(i.at) >= refreshInterval {
		p, err := i.issue(ctx)
		if err != nil {
			return nil, err
		}
		i.last, i.at = p, time.Now()
	}
	return &authn.Basic{Username: i.last.Username, Password: i.last.Password}, nil
}

// Refresh implements Refresher.
func (i *issuedPasswords) Refresh(context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if time.Since(i.at) >= refreshInterval {
		i.at = time.Time{}
	}
	return nil
}

// Unmatched returns the keys that match no repository of a source, as that of
// Logins.
func (s *storedLogins) Unmatched(source string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins.Unmatched(source)
}
