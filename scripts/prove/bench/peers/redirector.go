// Package peers holds what the redirector is compared with. Its handlers expect
// requests as a load balancer forwards them.
package peers

import (
	"io"
	"net/http"

	"archeio/lambda/clientip"
	"archeio/lambda/redirect"
)

// NewRedirector returns the redirector's handler as one of net/http. It calls after
// when a request is handled, before the response is written.
func NewRedirector(h *redirect.Handler, after func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := redirect.Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, NoDistribution: true, Authorized: r.Header.Get("Authorization") != ""}
		q.Client, _ = clientip.Rightmost(r.Header.Get("X-Forwarded-For"))
		resp := h.Handle(r.Context(), q)
		after()
		for _, f := range resp.Fields() {
			if f.Value != "" {
				w.Header().Set(f.Name, f.Value)
			}
		}
		if resp.Relayed != nil {
			for _, f := range resp.Relayed.Fields() {
				if f.Value != "" {
					w.Header().Set(f.Name, f.Value)
				}
			}
		}
		w.WriteHeader(resp.Status)
		io.WriteString(w, resp.Body)
	})
}
