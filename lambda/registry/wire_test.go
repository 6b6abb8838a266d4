package registry

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
)

// wire is between a client and a server, and can respond itself.
type wire func(r *http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

// respond returns a response that a wire sends itself.
func respond(r *http.Request, status int, header http.Header, body string) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Header: header,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}, nil
}

// requests are those that a handler got, as method and URL.
type requests struct {
	mu  sync.Mutex
	all []string
}

func (l *requests) add(r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r.Method+" "+strings.TrimPrefix(r.URL.String(), "https://example.com"))
}

// take returns the requests since the last call.
func (l *requests) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.all
	l.all = nil
	return out
}

// served returns a Client of a source on https://example.com, and the requests of
// it. A handler responds to them without a network, so that tests can run in
// virtual time. It responds for all hosts.
func served(t *testing.T, source string, o Options, handle http.HandlerFunc) (*Client, *requests) {
	t.Helper()
	log := &requests{}
	if o.Keychain == nil {
		o.Keychain = authn.NewMultiKeychain() // no credentials
	}
	o.Transport = wire(func(r *http.Request) (*http.Response, error) {
		log.add(r)
		if r.Body == nil {
			r.Body = http.NoBody
		}
		w := httptest.NewRecorder()
		handle(w, r)
		if r.Method != http.MethodHead && w.Header().Get("Content-Length") == "" && w.Header().Get("Transfer-Encoding") == "" {
			w.Result().Header.Set("Content-Length", fmt.Sprint(w.Body.Len()))
		}
		resp := w.Result()
		resp.Request = r
		if resp.ContentLength < 0 && w.Header().Get("Transfer-Encoding") == "" && r.Method != http.MethodHead {
			resp.ContentLength = int64(w.Body.Len())
		}
		return resp, nil
	})
	c, err := New(source, o)
	if err != nil {
		t.Fatal(err)
	}
	return c, log
}

// fail responds with an error of a registry.
func fail(w http.ResponseWriter, status int, codes ...string) {
	w.WriteHeader(status)
	if len(codes) > 0 {
		json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": codes[0], "message": "refused by the test"}}})
	}
}

// checkError checks an error: that it is one line with some text and no control
// characters, and which of the errors of the package it is.
func checkError(t *testing.T, err, want error, text string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", text)
		return
	}
	if !strings.Contains(err.Error(), text) || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("error %q, want one line with %q", err, text)
	}
	for _, one := range []error{ErrAbsent, ErrUnauthorized, ErrIncomplete, ErrMalformed} {
		if errors.Is(err, one) != (one == want) {
			t.Errorf("error %q is %v: %v", err, one, errors.Is(err, one))
		}
	}
}

// noise returns pseudo-random bytes and their descriptor.
func noise(seed byte, size int) ([]byte, Blob) {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	return data, Blob{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(data)), Size: int64(size)}
}

func gzipped(text string) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	io.WriteString(z, text)
	z.Close()
	return out.Bytes()
}
