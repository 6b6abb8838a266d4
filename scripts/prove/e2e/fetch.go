package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// fetched is what a client gets at the end of a redirect.
type fetched struct {
	first, last *http.Response // their bodies are read and closed
	body        []byte         // of last
}

func (f fetched) reason() string { return f.first.Header.Get("X-Redirect-Reason") }

func (f fetched) String() string {
	return fmt.Sprintf("%d %s, %d", f.first.StatusCode, f.reason(), f.last.StatusCode)
}

// fetch sends a request and follows up to two redirects, with the same headers
// each time, like clients that forward all of them. If a body ends early, it
// returns the error with what came.
func fetch(ctx context.Context, t http.RoundTripper, method, url string, headers map[string]string) (f fetched, err error) {
	for range 3 {
		r, err := http.NewRequestWithContext(ctx, method, url, nil)
		if err != nil {
			return f, err
		}
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		resp, err := t.RoundTrip(r)
		if err != nil {
			return f, err
		}
		f.body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		f.last = resp
		if f.first == nil {
			f.first = resp
		}
		if err != nil || resp.StatusCode != http.StatusTemporaryRedirect {
			return f, err
		}
		to, err := resp.Location()
		if err != nil {
			return f, err
		}
		url = to.String()
	}
	return f, errors.New("more than two redirects")
}

// checkDigest returns an error unless a body has the digest.
func checkDigest(body []byte, digest string) error {
	if got := digestOf(body); got != digest {
		return fmt.Errorf("got %d bytes with digest %s, want %s", len(body), shortDigest(got), shortDigest(digest))
	}
	return nil
}
