package peers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"archeio/lambda/config"
	"archeio/lambda/field"
)

// NewReverseProxy returns a net/http reverse proxy to the upstream, as the registry
// redirectors of other projects are. It has the caches of the relay: tokens by repository,
// and responses for TAG_MAX_AGE. It validates nothing.
// https://github.com/dagger/registry-redirect
func NewReverseProxy(c *config.Config) (http.Handler, error) {
	to, err := url.Parse(c.Upstream)
	if err != nil {
		return nil, fmt.Errorf("parsing the upstream: %w", err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.URL.Path = "/v2/" + c.Prefix + strings.TrimPrefix(r.In.URL.Path, "/v2")
			r.Out.Header.Del("Authorization")
		},
		Transport: &caching{transport: &http.Transport{MaxIdleConnsPerHost: 16}, maxAge: c.Relay.TagMaxAge},
	}, nil
}

// caching is a transport that gets tokens and caches responses.
type caching struct {
	transport http.RoundTripper
	maxAge    time.Duration
	tokens    sync.Map // by repository
	responses sync.Map // by path
}

// response is a cached response.
type response struct {
	status int
	header http.Header
	body   []byte
	fresh  time.Time
}

// RoundTrip implements http.RoundTripper.
func (c *caching) RoundTrip(r *http.Request) (*http.Response, error) {
	if kept, ok := c.responses.Load(r.URL.Path); ok && time.Now().Before(kept.(*response).fresh) {
		return kept.(*response).to(r), nil
	}
	repository, _, _ := strings.Cut(r.URL.Path, "/manifests/")
	if token, ok := c.tokens.Load(repository); ok {
		r.Header.Set("Authorization", "Bearer "+token.(string))
	}
	resp, err := c.transport.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		resp.Body.Close()
		var token string
		if token, err = c.token(r, resp.Header); err != nil {
			return nil, err
		}
		c.tokens.Store(repository, token)
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err = c.transport.RoundTrip(r)
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	kept := &response{resp.StatusCode, resp.Header, body, time.Now().Add(c.maxAge)}
	if resp.StatusCode == http.StatusOK {
		c.responses.Store(r.URL.Path, kept)
	}
	return kept.to(r), nil
}

func (p *response) to(r *http.Request) *http.Response {
	return &http.Response{
		StatusCode: p.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: p.header.Clone(), Body: io.NopCloser(bytes.NewReader(p.body)), ContentLength: int64(len(p.body)),
	}
}

// token returns the token that a challenge asks for.
func (c *caching) token(r *http.Request, header http.Header) (string, error) {
	challenges := field.Challenges(header)
	if len(challenges) == 0 {
		return "", fmt.Errorf("no challenge: status %d", http.StatusUnauthorized)
	}
	q, err := http.NewRequestWithContext(r.Context(), http.MethodGet, challenges[0].Params["realm"], nil)
	if err != nil {
		return "", err
	}
	resp, err := c.transport.RoundTrip(q)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var parsed struct{ Token string }
	err = json.NewDecoder(resp.Body).Decode(&parsed)
	return parsed.Token, err
}
