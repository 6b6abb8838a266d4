package main

import (
	"net/http"
	"testing"
)

// TestRelayedError tests what is wrong with the response to a client, whatever the fault.
func TestRelayedError(t *testing.T) {
	t.Parallel()
	const body = `{"errors":[{"code":"UNAVAILABLE","message":"the upstream is unavailable"}]}`
	for _, tt := range []struct {
		name, contentType, cacheControl, body string
		status                                int
		want                                  string // in the error; empty for none
	}{
		{"right", "application/json", "no-store", body, 502, ""},
		{"not-json", "application/json", "no-store", "502 Bad Gateway", 502, "is not that of the OCI specification"},
		{"no-errors", "application/json", "no-store", `{"errors":[]}`, 502, "is not that of the OCI specification"},
		{"html", "text/html", "no-store", body, 502, "text/html, is not that of the OCI specification"},
		{"cached", "application/json", "max-age=60", body, 502, `Cache-Control "max-age=60"`},
		{"code-of-another-status", "application/json", "no-store", body, 429, "the code UNAVAILABLE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &relayed{Status: tt.status}
			checkError(t, r.parse(http.Header{"Content-Type": {tt.contentType}, "Cache-Control": {tt.cacheControl}}, []byte(tt.body)), tt.want)
		})
	}
}

// TestTokenFaultCheck tests that a response must be the expected one, in time.
func TestTokenFaultCheck(t *testing.T) {
	t.Parallel()
	got := relayed{Status: 502, Reason: "upstream-failed", Message: "the upstream is unavailable", Seconds: 3}
	for _, tt := range []struct {
		name          string
		fault         tokenFault
		want, message string
		err           string // in the error; empty for none
	}{
		{"right", tokenFault{within: relayTimeout}, "502 upstream-failed", "is unavailable", ""},
		{"late", tokenFault{}, "502 upstream-failed", "", "took 3.0s, want at most 1.7s"},
		{"another-status", tokenFault{within: relayTimeout}, relayedManifest, "", "502 upstream-failed (the upstream is unavailable), want 200 manifest"},
		{"another-message", tokenFault{within: relayTimeout}, "502 upstream-failed", "token", `the error is "the upstream is unavailable", want "token"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := got
			checkError(t, tt.fault.check("the manifest", &r, tt.want, tt.message), tt.err)
		})
	}
}
