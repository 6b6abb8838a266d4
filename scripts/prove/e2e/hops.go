package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// blobSource is the server that a blob came from, and the redirect reason that
// led there.
type blobSource struct{ server, reason string }

func (s blobSource) String() string { return s.server + " (" + s.reason + ")" }

// countHops counts the hops of clients in r, and returns the source of each
// blob by its digest.
func countHops(hops []hop, r *clientResult) map[string]blobSource {
	sources := map[string]blobSource{}
	for _, h := range hops {
		if h.fromFunction() {
			continue
		}
		r.Requests[h.Server]++
		d := h.digest()
		if d == "" || h.Method != http.MethodGet {
			continue
		}
		source := sources[d]
		switch h.Status {
		case http.StatusTemporaryRedirect:
			source.reason = h.Reason
		case http.StatusOK, http.StatusPartialContent:
			source.server = h.Server
			if h.Reason != "" { // sent by the entry point itself
				source.reason = h.Reason
			}
		}
		sources[d] = source
	}
	for _, source := range sources {
		r.Blobs[source.String()]++
	}
	return sources
}

// checkHops returns an error if a client got an error, or if credentials were
// required or sent.
func checkHops(hops []hop) error {
	for _, h := range hops {
		switch {
		case h.Auth:
			return fmt.Errorf("%s %s at the %s: credentials were required or sent", h.Method, shortDigest(h.Path), h.Server)
		case h.Status >= 400 && !h.fromFunction():
			return fmt.Errorf("%s %s at the %s: status %d", h.Method, shortDigest(h.Path), h.Server, h.Status)
		}
	}
	return nil
}

// checkHost returns an error if a client sent a request to another host than that of an
// entry point, or was redirected to one.
func checkHost(hops []hop, host string) error {
	for _, h := range hops {
		if h.fromFunction() {
			continue
		}
		to, err := url.Parse(h.Location)
		switch {
		case err != nil:
			return err
		case h.Host != host:
			return fmt.Errorf("%s %s: a client sent it to %s, want %s only", h.Method, shortDigest(h.Path), h.Host, host)
		case to.Host != "" && to.Host != host:
			return fmt.Errorf("%s %s: redirected to %s, want %s only", h.Method, shortDigest(h.Path), to.Host, host)
		}
	}
	return nil
}

// checkHops is checkHops for the hops of this system: the function gets a token from an
// upstream that requires one.
func (s *testSystem) checkHops(hops []hop) error {
	return checkHops(slices.DeleteFunc(slices.Clone(hops), func(h hop) bool {
		return s.token() && h.Server == s.upstream.name && h.fromFunction()
	}))
}

// withoutReferrerMisses removes the 404s of an upstream without the referrers
// API, and of a digest without referrers: clients then request a tag.
func withoutReferrerMisses(hops []hop) []hop {
	return slices.DeleteFunc(hops, func(h hop) bool {
		return h.Status == http.StatusNotFound && (strings.Contains(h.Path, "/referrers/") || strings.Contains(h.Path, "/manifests/sha256-"))
	})
}

// shortDigest shortens the digest in a text to twelve hexadecimal digits.
func shortDigest(text string) string {
	before, hex, ok := strings.Cut(text, "sha256:")
	if !ok || len(hex) < 12 {
		return text
	}
	return before + "sha256:" + hex[:12]
}
