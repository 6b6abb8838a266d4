package relay

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"archeio/lambda/blobs"
)

const (
	// maxTokens limits how many tokens are kept, maxServers for how many token servers
	// the health is.
	maxTokens  = 1000
	maxServers = 16
	// maxTokenBody limits the response of a token server, maxToken a token, in bytes.
	maxTokenBody = 64 << 10
	maxToken     = 32 << 10
	// tokenMargin is how long before its end a token is no longer used. A token that
	// does not say its lifetime is used for defaultLifetime; the least is a minute.
	// https://distribution.github.io/distribution/spec/auth/token/
	tokenMargin     = 10 * time.Second
	defaultLifetime = 45 * time.Second
	maxLifetime     = 12 * time.Hour
	// failedFor is how long a failure of a token server counts for all requests.
	failedFor = time.Second
)

// token is an anonymous token of a repository, with what it was requested by.
type token struct {
	text      string
	until     time.Time
	challenge *challenge
}

// tokens keeps tokens by repository.
type tokens struct {
	relay *Relay
	hosts hosts

	mu      sync.Mutex
	kept    map[string]*token
	flights map[string]*flight
	failed  map[string]*flight // by repository: the last failure
	servers map[string]*blobs.Origin
}

// flight is a request for a token that others wait for.
type flight struct {
	done    chan struct{}
	token   *token
	failure *Response
	ended   time.Time
	// interrupted is whether the invocation that sent it ended first.
	interrupted bool
}

func (t *tokens) init(r *Relay, h hosts) {
	t.relay, t.hosts = r, h
	t.kept, t.flights, t.failed, t.servers = map[string]*token{}, map[string]*flight{}, map[string]*flight{}, map[string]*blobs.Origin{}
}

// get returns the token of a repository, nil if none is known to be needed. An expired
// one is replaced.
func (t *tokens) get(ctx context.Context, repository string) (*token, *Response) {
	t.mu.Lock()
	kept := t.kept[repository]
	t.mu.Unlock()
	if kept == nil || t.relay.options.Now().Before(kept.until) {
		return kept, nil
	}
	return t.renew(ctx, repository, kept.challenge, kept)
}

// renew returns a token other than the one that was used, which may be nil. It is
// requested once for all who wait for it.
func (t *tokens) renew(ctx context.Context, repository string, c *challenge, used *token) (*token, *Response) {
	for {
		now := t.relay.options.Now()
		t.mu.Lock()
		if kept := t.kept[repository]; kept != nil && kept != used && now.Before(kept.until) {
			t.mu.Unlock()
			return kept, nil
		}
		if f := t.failed[repository]; f != nil && now.Sub(f.ended) < failedFor && now.Sub(f.ended) >= 0 {
			t.mu.Unlock()
			return nil, f.failure
		}
		f, found := t.flights[repository]
		if !found {
			f = &flight{done: make(chan struct{})}
			t.flights[repository] = f
		}
		t.mu.Unlock()
		if !found {
			t.fly(ctx, f, repository, c)
			return f.token, f.failure
		}
		select {
		case <-f.done:
			if !f.interrupted && f.token != used {
				return f.token, f.failure
			}
		case <-ctx.Done():
			resp := unavailable("the token server of the upstream did not respond in time")
			return nil, &resp
		}
	}
}

// fly requests a token and keeps it, or that it failed.
func (t *tokens) fly(ctx context.Context, f *flight, repository string, c *challenge) {
	f.token, f.failure, f.interrupted = t.request(ctx, c)
	f.ended = t.relay.options.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.flights, repository)
	delete(t.failed, repository)
	switch {
	case f.token != nil:
		makeRoom(t.kept, maxTokens)
		t.kept[repository] = f.token
	case !f.interrupted:
		makeRoom(t.failed, maxTokens)
		t.failed[repository] = f
	}
	close(f.done)
}

// makeRoom removes any entry of a map that has too many.
func makeRoom[T any](m map[string]T, most int) {
	for key := range m {
		if len(m) < most {
			return
		}
		delete(m, key)
	}
}

// server returns the health of a token server.
func (t *tokens) server(c *challenge) *blobs.Origin {
	base := c.realm.Scheme + "://" + c.realm.Host + "/"
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.servers[base]
	if o == nil {
		makeRoom(t.servers, maxServers)
		o = t.relay.checker.Origin("tokens", base, blobs.Registry)
		t.servers[base] = o
	}
	return o
}

// request requests a token.
func (t *tokens) request(ctx context.Context, c *challenge) (*token, *Response, bool) {
	r := t.relay
	now := r.options.Now()
	var got result
	sent := t.server(c).Do(ctx, func() (int, bool) {
		got = r.send(ctx, http.MethodGet, c.url(), http.Header{"Accept": {"application/json"}}, maxTokenBody)
		return got.status, got.interrupted
	})
	if !sent {
		resp := unavailable("the token server of the upstream is unavailable")
		return nil, &resp, false
	}
	outcome, resp := TokenFailed, unavailable("the token server of the upstream is unavailable")
	switch {
	case got.status == http.StatusOK && !got.tooLarge:
		if kept := parseToken(got.body, now); kept != nil {
			kept.challenge = c
			r.options.ObserveToken(TokenIssued)
			return kept, nil, false
		}
		outcome, resp = TokenInvalid, invalid("the token server of the upstream sent no valid token")
	case got.status == http.StatusOK:
		outcome, resp = TokenInvalid, invalid("the token server of the upstream sent no valid token")
	case got.status == http.StatusTooManyRequests:
		resp = limited("the token server of the upstream limits requests, try again later", retryAfter(got.header))
	case got.status >= 300 && got.status < 500:
		outcome, resp = TokenRefused, denied("the upstream issues no anonymous token for this repository")
	}
	r.options.ObserveToken(outcome)
	return nil, &resp, got.status == 0 && got.interrupted
}

// parseToken parses the response of a token server, nil if it has no valid token.
func parseToken(body []byte, now time.Time) *token {
	var parsed struct {
		Token       string          `json:"token"`
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &parsed); err != nil {
		return nil
	}
	text := parsed.Token
	if text == "" {
		text = parsed.AccessToken
	}
	if text == "" || len(text) > maxToken || !visible(text) {
		return nil
	}
	life := defaultLifetime
	var seconds float64
	if json.Unmarshal([]byte(strings.Trim(string(parsed.ExpiresIn), `"`)), &seconds) == nil && seconds > 0 {
		life = time.Duration(min(seconds, maxLifetime.Seconds())*float64(time.Second)) - tokenMargin
	}
	return &token{text: text, until: now.Add(life)}
}
