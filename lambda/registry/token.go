package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"archeio/lambda/field"
)

// token is a bearer token.
type token struct {
	text    string
	expires time.Time // with a margin
}

const (
	// tokenLifetime is how long a token is valid that does not say so.
	// https://distribution.github.io/distribution/spec/auth/token/
	tokenLifetime = time.Minute
	// maxTokenLifetime limits what a token says.
	maxTokenLifetime = 12 * time.Hour
	// tokenMargin is how long before its end a token is no longer used, but at
	// most a quarter of its life.
	tokenMargin = 10 * time.Second
	// maxTokenBody in bytes limits the response of a token server, maxToken a
	// token.
	maxTokenBody = 1 << 20
	maxToken     = 64 << 10
	// maxTokenRedirects limits how many redirects of a token server are followed.
	maxTokenRedirects = 3
)

// token returns a token for a repository, or for the catalog. It is requested
// once for all who need it at the same time.
func (a *authenticator) token(ctx context.Context, u *url.URL, repository string, c field.Challenge, login authn.AuthConfig, generation int) (string, error) {
	key := scopeKey{u.Host, repository}
	for {
		a.mu.Lock()
		if t := a.tokens[key]; t != nil && time.Now().Before(t.expires) {
			a.mu.Unlock()
			return t.text, nil
		}
		if requested := a.requested[key]; requested != nil {
			a.mu.Unlock()
			select {
			case <-requested:
				continue
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		}
		requested := make(chan struct{})
		a.requested[key] = requested
		scope := a.scopes[key]
		a.mu.Unlock()
		if scope == "" {
			scope = defaultScope(repository)
		}
		t, err := a.request(ctx, u, c, scope, login)
		if errors.Is(err, ErrUnauthorized) && a.own(u.Host) {
			if changed, _ := a.reload(ctx, repository, generation); changed {
				if login, err = a.login(ctx, repository); err == nil {
					t, err = a.request(ctx, u, c, scope, login)
				}
			}
		}
		a.mu.Lock()
		delete(a.requested, key)
		if err == nil {
			put(a.tokens, key, t)
		}
		a.mu.Unlock()
		close(requested)
		if err != nil {
			return "", err
		}
		return t.text, nil
	}
}

// defaultScope is the scope of a repository, or of the catalog.
// https://distribution.github.io/distribution/spec/auth/scope/
func defaultScope(repository string) string {
	if repository == "" {
		return "registry:catalog:*"
	}
	return "repository:" + repository + ":pull"
}

// request requests a token from the token server of a challenge.
func (a *authenticator) request(ctx context.Context, u *url.URL, c field.Challenge, scope string, login authn.AuthConfig) (*token, error) {
	realm, err := u.Parse(c.Params["realm"])
	if err != nil || !mayFollow(u, realm) || realm.Scheme == "http" && !loopback(realm.Host) {
		return nil, fmt.Errorf("requesting a token: the token server %s is not an https address", quote(c.Params["realm"]))
	}
	values := url.Values{}
	if service := c.Params["service"]; service != "" {
		values.Set("service", service)
	}
	if login.IdentityToken != "" { // OAuth 2, as after docker login with a token
		values.Set("scope", scope)
		values.Set("grant_type", "refresh_token")
		values.Set("refresh_token", login.IdentityToken)
		values.Set("client_id", userAgent)
		t, err := a.exchange(ctx, http.MethodPost, realm, "", values.Encode())
		if err == nil || !errors.Is(err, errNoOAuth) {
			return t, err
		}
		values = url.Values{"service": values["service"]}
	}
	values["scope"] = strings.Fields(scope)
	query := realm.Query()
	for key, value := range values {
		query[key] = value
	}
	realm.RawQuery = query.Encode()
	authorization := ""
	if login.Username != "" || login.Password != "" {
		authorization = basic(login)
	}
	return a.exchange(ctx, http.MethodGet, realm, authorization, "")
}

// errNoOAuth is the error for a token server without POST.
var errNoOAuth = errors.New("the token server has no OAuth 2 endpoint")

// exchange sends a request to a token server.
func (a *authenticator) exchange(ctx context.Context, method string, realm *url.URL, authorization, form string) (*token, error) {
	for redirects := 0; ; redirects++ {
		r, err := http.NewRequestWithContext(ctx, method, realm.String(), strings.NewReader(form))
		if err != nil {
			return nil, fmt.Errorf("requesting a token: %s", line(err.Error()))
		}
		r.Header.Set("User-Agent", userAgent)
		r.Header.Set("Accept-Encoding", "identity")
		if form != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		resp, err := a.send(r)
		if err != nil {
			return nil, fmt.Errorf("requesting a token from %s: %w", line(realm.Host), err)
		}
		if to := redirect(resp); to != "" && method == http.MethodGet && redirects < maxTokenRedirects {
			drain(resp)
			next, err := follow(realm, to)
			if err != nil {
				return nil, fmt.Errorf("requesting a token from %s: %w", line(realm.Host), err)
			}
			if next.Host != realm.Host {
				authorization = ""
			}
			realm = next
			continue
		}
		if resp.StatusCode != http.StatusOK {
			e := responseError(resp, "")
			switch {
			case e.unauthorized():
				return nil, fmt.Errorf("requesting a token from %s: %w", line(realm.Host), e)
			case method == http.MethodPost && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed):
				return nil, errNoOAuth
			}
			return nil, fmt.Errorf("requesting a token from %s: %s", line(realm.Host), e.Error())
		}
		body, err := readBody(resp, maxTokenBody)
		if errors.Is(err, errTooLarge) { // of the token, not of what it is for
			return nil, fmt.Errorf("requesting a token from %s: %s", line(realm.Host), err.Error())
		}
		if err != nil {
			return nil, fmt.Errorf("requesting a token from %s: %w", line(realm.Host), err)
		}
		t, err := parseToken(body, time.Now())
		if err != nil {
			return nil, fmt.Errorf("requesting a token from %s: %w", line(realm.Host), err)
		}
		return t, nil
	}
}

// parseToken parses the response of a token server.
func parseToken(body []byte, now time.Time) (*token, error) {
	var parsed struct {
		Token       string      `json:"token"`
		AccessToken string      `json:"access_token"`
		ExpiresIn   json.Number `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &parsed); err != nil {
		var number *json.UnmarshalTypeError
		if !errors.As(err, &number) || number.Field != "expires_in" {
			return nil, errors.New("the response has no token")
		}
	}
	text := parsed.Token
	if text == "" {
		text = parsed.AccessToken
	}
	if text == "" || len(text) > maxToken || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the response has no token")
	}
	life := tokenLifetime
	if seconds, err := parsed.ExpiresIn.Float64(); err == nil && seconds >= 1 {
		life = time.Duration(min(seconds, maxTokenLifetime.Seconds()) * float64(time.Second))
	}
	return &token{text, now.Add(life - min(tokenMargin, life/4))}, nil
}

// loopback reports whether a host, with or without a port, is this machine.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && address.IsLoopback()
}
