package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// hang does not respond.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// limited responds as a registry that limits requests.
func limited(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "7")
	w.WriteHeader(http.StatusTooManyRequests)
}

// delay makes a server respond later.
func (s *server) delay(d time.Duration) {
	s.inject(func(w http.ResponseWriter, r *http.Request) {
		pause(r.Context(), d)
		s.handler.ServeHTTP(w, r)
	})
}

// edit makes a server change its responses.
func (s *server) edit(change func(r *http.Request, header http.Header, body []byte) []byte) {
	s.inject(func(w http.ResponseWriter, r *http.Request) {
		recorded := httptest.NewRecorder()
		s.handler.ServeHTTP(recorded, r)
		header := recorded.Result().Header
		body := change(r, header, recorded.Body.Bytes())
		for name, values := range header {
			w.Header()[name] = values
		}
		if len(body) != recorded.Body.Len() {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		w.WriteHeader(recorded.Code)
		_, _ = w.Write(body)
	})
}

// moveDate makes the clock of a server seem wrong.
func (s *server) moveDate(by time.Duration) {
	s.edit(func(_ *http.Request, header http.Header, body []byte) []byte {
		header.Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
		return body
	})
}

// editTokens makes the token server send other members.
func (t *testbed) editTokens(members map[string]any) {
	t.tokens.edit(func(_ *http.Request, _ http.Header, body []byte) []byte {
		document := map[string]any{}
		if json.Unmarshal(body, &document) != nil {
			return body
		}
		for name, value := range members {
			document[name] = value
		}
		body, _ = json.Marshal(document)
		return body
	})
}

// signedEarlier makes the token server sign tokens as if an hour were earlier.
func signedEarlier(by time.Duration) func(*testbed) {
	return func(t *testbed) {
		t.tokens.inject(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			q.Set("clock", (-by).String())
			r.URL.RawQuery = q.Encode()
			t.tokens.handler.ServeHTTP(w, r)
		})
	}
}

// foreignRealm makes the upstream send clients to a token server of another host.
func (t *testbed) foreignRealm() {
	t.upstream.edit(func(_ *http.Request, header http.Header, body []byte) []byte {
		if challenge := header.Get("WWW-Authenticate"); challenge != "" {
			header.Set("WWW-Authenticate", strings.Replace(challenge, t.tokens.url, "https://tokens.example.net", 1))
		}
		return body
	})
}

// refuseTokens makes the upstream refuse the next n tokens.
func (t *testbed) refuseTokens(n int64) {
	var refused atomic.Int64
	t.upstream.inject(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" && refused.Add(1) <= n {
			r.Header.Del("Authorization") // it asks for a token then
		}
		t.upstream.handler.ServeHTTP(w, r)
	})
}

// limitContent makes the upstream limit requests other than those for /v2/.
func (t *testbed) limitContent() {
	t.upstream.inject(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			t.upstream.handler.ServeHTTP(w, r)
			return
		}
		limited(w, r)
	})
}

// injectManifests makes a handler respond to requests for manifests that have a token.
func (t *testbed) injectManifests(h http.HandlerFunc) {
	t.upstream.inject(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" || !strings.Contains(r.URL.Path, "/manifests/") {
			t.upstream.handler.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		h(w, r)
	})
}

// otherContent responds with the digest of other content.
func otherContent(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Docker-Content-Digest", digestOf([]byte("other")))
	_, _ = w.Write([]byte(`{"schemaVersion":2}`))
}

// cutShort closes the connection before the end of the body.
func cutShort(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte(`{"schemaVersion":2}`))
	panic(http.ErrAbortHandler)
}

func fiveMiB(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", strconv.Itoa(5<<20))
	_, _ = w.Write(bytes.Repeat([]byte(" "), 5<<20))
}
