// Package smoketest sends requests to a redirector through each of its entry points
// and checks the responses: the status, the reason, and whether the redirect leads
// to a place that the configuration allows for that reason. It does no other I/O,
// and does not trust the redirector that it tests.
package smoketest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"archeio/lambda/config"
	"archeio/lambda/route"
)

// Invoke sends an event to the redirector and returns its response.
type Invoke func(ctx context.Context, event []byte) ([]byte, error)

// Run sends all samples through each entry point. It returns a line for each
// failure. If ctx ends, the remaining samples are a failure. The error is for a test
// that cannot be run.
func Run(ctx context.Context, c *config.Config, entryPoints []EntryPoint, invoke Invoke) ([]string, error) {
	if len(entryPoints) == 0 {
		return nil, errors.New("running the smoke test: no entry points")
	}
	var failures []string
	for _, e := range entryPoints {
		for _, s := range samples(c) {
			if ctx.Err() != nil {
				return append(failures, fmt.Sprintf("%s, sample %s and all after it: not tested: %v", e, s.name, context.Cause(ctx))), nil
			}
			if err := test(ctx, c, e, s, invoke); err != nil {
				failures = append(failures, fmt.Sprintf("%s, sample %s, %s %s: %v", e, s.name, s.method, s.path, err))
			}
		}
	}
	return failures, nil
}

// test sends one sample.
func test(ctx context.Context, c *config.Config, e EntryPoint, s sample, invoke Invoke) error {
	event, err := json.Marshal(e.event(c, s))
	if err != nil {
		return err
	}
	out, err := invoke(ctx, event)
	if err != nil {
		return fmt.Errorf("no response: %w", err)
	}
	r, err := e.parse(out)
	if err != nil {
		return err
	}
	token := r.headers["x-redirect-reason"]
	reason, _ := route.ParseReason(token)
	if c.Relays() && s.status == http.StatusTemporaryRedirect && (r.status != s.status || reason.Leads() == route.Upstream) {
		return checkRelayed(c, s, r, reason)
	}
	switch {
	case r.status != s.status:
		return fmt.Errorf("status %d, want %d", r.status, s.status)
	case !slices.Contains(s.reasons, reason):
		return fmt.Errorf("reason %q, want one of %v", token, s.reasons)
	}
	if r.status == http.StatusOK { // a page, which is no redirect
		reason = 0
	}
	return checkLocation(c, reason, e.viewerHost(c, s), r.headers["location"])
}

// checkRelayed checks a response that depends on an upstream that is relayed: any that
// the upstream may cause, or a redirect to its storage.
func checkRelayed(c *config.Config, s sample, r response, reason route.Reason) error {
	location := r.headers["location"]
	switch r.status {
	case http.StatusOK, http.StatusNotFound, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable:
		if location != "" {
			return fmt.Errorf("redirect to %q with the status %d", location, r.status)
		}
	case http.StatusTemporaryRedirect:
		to, err := url.Parse(location)
		if err != nil || c.SingleHost || to.Scheme != "https" || to.User != nil || !c.Relay.AllowsBlobHost(strings.ToLower(to.Host)) {
			return fmt.Errorf("redirect to %q, want a host of UPSTREAM_BLOB_HOSTS", location)
		}
	default:
		return fmt.Errorf("status %d of a relayed response", r.status)
	}
	if !slices.Contains(append(slices.Clone(s.reasons), route.UpstreamLimited, route.UpstreamFailed, route.TooLarge), reason) {
		return fmt.Errorf("reason %q, want one of %v or of a relayed error", reason, s.reasons)
	}
	return nil
}

// checkLocation checks that a Location is below a base URL that the configuration
// allows for the reason, and that there is none for other reasons. viewerHost is as
// EntryPoint.viewerHost returns it.
func checkLocation(c *config.Config, reason route.Reason, viewerHost, location string) error {
	bases := basesOf(c, reason, viewerHost)
	if len(bases) == 0 {
		if location != "" {
			return fmt.Errorf("redirect to %q, want none for the reason %q", location, reason)
		}
		return nil
	}
	at, err := url.Parse(location)
	if err != nil || location == "" {
		return fmt.Errorf("invalid Location %q", location)
	}
	for _, base := range bases {
		to, err := url.Parse(base)
		if err != nil || at.Scheme != to.Scheme || at.Host != to.Host || at.User != nil || at.Opaque != "" {
			continue
		}
		// Compare whole segments: /mirrors is not below /mirror.
		if path := strings.TrimSuffix(to.EscapedPath(), "/"); at.EscapedPath() == to.EscapedPath() || strings.HasPrefix(at.EscapedPath(), path+"/") {
			return nil
		}
	}
	return fmt.Errorf("redirect to %q, want it below %s for the reason %q", location, strings.Join(bases, " or "), reason)
}

// basesOf returns the base URLs that a redirect may lead to for a reason.
func basesOf(c *config.Config, reason route.Reason, viewerHost string) []string {
	switch reason.Leads() {
	case route.Regional:
		var bases []string
		for _, m := range c.Mirrors {
			bases = append(bases, m.URL+"/"+config.BlobPrefix)
		}
		return bases
	case route.Default:
		base := c.DefaultMirror
		if base == config.DistributionHost {
			base = ""
			if viewerHost != "" {
				base = "https://" + viewerHost
			}
		}
		return []string{base + "/" + config.BlobPrefix}
	case route.Upstream:
		if reason == route.Referrers && c.SignatureUpstream != "" {
			return []string{registry(c, c.SignatureUpstream)}
		}
		return []string{registry(c, c.Upstream)}
	case route.SignatureUpstream:
		return []string{registry(c, c.SignatureUpstream)}
	case route.InfoPage:
		return []string{c.InfoURL}
	case route.PrivacyPage:
		return []string{cmp.Or(c.PrivacyURL, "/#privacy")}
	}
	return nil
}

func registry(c *config.Config, endpoint string) string {
	if c.Prefix == "" {
		return endpoint + "/v2/"
	}
	return endpoint + "/v2/" + c.Prefix + "/"
}
