// Package check tries a redirector with requests of each front that calls it,
// and tells what is wrong with the answers: the status, the reason, and whether
// a redirect leads where that reason may lead by the configuration. It asks
// nobody but the redirector, and believes nothing that it says about itself.
package smoketest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"archeio/lambda/config"
	"archeio/lambda/route"
)

// Invoke hands an event to the redirector and answers what it answers.
type Invoke func(ctx context.Context, event []byte) ([]byte, error)

// Run tries the redirector behind each front with all samples. It answers a
// sentence for each answer that is wrong, and none where all is well. What there
// is no time for is wrong. The error is for what could not be tried at all.
func Run(ctx context.Context, c *config.Config, fronts []Front, invoke Invoke) ([]string, error) {
	if len(fronts) == 0 {
		return nil, errors.New("there is no front to try")
	}
	var wrong []string
	for _, front := range fronts {
		for _, s := range samples(c) {
			if ctx.Err() != nil {
				return append(wrong, fmt.Sprintf("%s, sample %s and what comes after it: not tried: %v", front, s.name, context.Cause(ctx))), nil
			}
			if err := try(ctx, c, front, s, invoke); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s, sample %s, %s %s: %v", front, s.name, s.method, s.path, err))
			}
		}
	}
	return wrong, nil
}

func try(ctx context.Context, c *config.Config, front Front, s sample, invoke Invoke) error {
	event, err := json.Marshal(front.event(c, s))
	if err != nil {
		return err
	}
	out, err := invoke(ctx, event)
	if err != nil {
		return fmt.Errorf("it does not answer: %w", err)
	}
	a, err := front.read(out)
	if err != nil {
		return err
	}
	token := a.headers["x-redirect-reason"]
	reason, _ := route.ParseReason(token)
	switch {
	case a.status != s.status:
		return fmt.Errorf("status %d, want %d", a.status, s.status)
	case !slices.Contains(s.reasons, reason):
		return fmt.Errorf("reason %q, want one of %v", token, s.reasons)
	}
	return leads(c, reason, a.headers["location"])
}

// leads tells what is wrong with where an answer leads; an answer that is no
// redirect leads nowhere.
func leads(c *config.Config, reason route.Reason, location string) error {
	bases := basesOf(c, reason)
	if len(bases) == 0 {
		if location != "" {
			return fmt.Errorf("it leads to %q, and the reason %q leads nowhere", location, reason)
		}
		return nil
	}
	at, err := url.Parse(location)
	if err != nil || location == "" {
		return fmt.Errorf("its Location is %q, which is no address", location)
	}
	for _, base := range bases {
		to, err := url.Parse(base)
		if err != nil || at.Scheme != to.Scheme || at.Host != to.Host || at.User != nil || at.Opaque != "" {
			continue
		}
		// The whole of a path's part: /mirror is not the beginning of /mirrors.
		if path := strings.TrimSuffix(to.EscapedPath(), "/"); at.EscapedPath() == to.EscapedPath() || strings.HasPrefix(at.EscapedPath(), path+"/") {
			return nil
		}
	}
	return fmt.Errorf("it leads to %q; for the reason %q the configuration names %s and nothing else", location, reason, strings.Join(bases, ", "))
}

// basesOf are the base URLs that an answer may lead to for a reason.
func basesOf(c *config.Config, reason route.Reason) []string {
	var bases []string
	switch reason.Leads() {
	case route.Regional:
		for _, m := range c.Mirrors {
			bases = append(bases, m.URL+"/"+config.BlobPrefix)
		}
	case route.Default:
		bases = []string{strings.TrimSuffix(c.DefaultMirror, "/") + "/" + config.BlobPrefix}
	case route.Upstream:
		bases = []string{registry(c, c.Upstream)}
		if reason == route.Referrers && c.SignatureUpstream != "" {
			bases = []string{registry(c, c.SignatureUpstream)}
		}
	case route.SignatureUpstream:
		bases = []string{registry(c, c.SignatureUpstream)}
	case route.InfoPage:
		bases = []string{c.InfoURL}
	case route.PrivacyPage:
		bases = []string{c.PrivacyURL}
	}
	return bases
}

func registry(c *config.Config, endpoint string) string {
	if c.Prefix == "" {
		return endpoint + "/v2/"
	}
	return endpoint + "/v2/" + c.Prefix + "/"
}
