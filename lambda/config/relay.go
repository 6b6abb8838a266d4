package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"archeio/lambda/spelling"
	"archeio/lambda/upstreams"
)

// Relay is how responses of the upstream are relayed. It is the zero value unless
// Config.Relays.
type Relay struct {
	// TokenHosts and BlobHosts are patterns, as of upstreams.Match, of the hosts that
	// issue tokens, in addition to the upstream's own, and of those that blobs may be
	// redirected to. One of a loopback address may have a port; http is allowed there.
	TokenHosts, BlobHosts []string
	// TagMaxAge is how long a tag or a list may be cached, in whole seconds.
	TagMaxAge time.Duration
	// Rate is the number of requests per second and process to the upstream.
	Rate float64
	// Library is whether a repository without a namespace is in "library".
	Library bool
}

// Relays reports whether responses of the upstream are relayed instead of redirecting
// clients there.
func (c *Config) Relays() bool { return c.Access == upstreams.Token || c.SingleHost }

// SignaturesAtUpstream reports whether the signature upstream is the upstream itself.
func (c *Config) SignaturesAtUpstream() bool {
	return c.SignatureUpstream != "" && strings.EqualFold(c.SignatureUpstream, c.Upstream)
}

// AllowsBlobHost reports whether blobs may be redirected to a host in lower case.
func (r *Relay) AllowsBlobHost(host string) bool { return upstreams.MatchAny(r.BlobHosts, host) }

// relay reads the access to the upstream and what is relayed from it.
func (l *loader) relay(c *Config) {
	const endpoint, access, single = "UPSTREAM_REGISTRY_ENDPOINT", "UPSTREAM_ACCESS", "SINGLE_HOST"
	known := known(c.Upstream)
	c.Access, c.SingleHost = l.access(access), l.boolean(single)
	switch {
	case known == nil:
	case known.Alias(host(c.Upstream)):
		l.invalid(endpoint, fmt.Sprintf("%s does not serve its registry API here: want %s", known.Name, known.Endpoint))
	case known.Access == upstreams.Login && c.Access == upstreams.Token:
		l.invalid(access, known.Name+" issues no anonymous tokens: want open, or a registry that serves anonymous clients")
	case known.Access == upstreams.Token && c.Access == upstreams.Open:
		l.invalid(access, known.Name+" requires a token for public images too: want token")
	}
	l.signatures(c)
	if c.SingleHost {
		l.singleHost(c)
	}
	const tokenHosts, blobHosts, maxAge, rate = "UPSTREAM_TOKEN_HOSTS", "UPSTREAM_BLOB_HOSTS", "TAG_MAX_AGE", "UPSTREAM_RATE"
	if c.Access != upstreams.Token && l.get(tokenHosts) != "" {
		l.invalid(tokenHosts, "has no effect unless UPSTREAM_ACCESS=token: set that or remove this")
	}
	if !c.Relays() {
		for _, name := range []string{blobHosts, maxAge, rate} {
			if l.get(name) != "" {
				l.invalid(name, "has no effect unless UPSTREAM_ACCESS=token or SINGLE_HOST=true: set one or remove this")
			}
		}
		return
	}
	if known == nil {
		known = &upstreams.Registry{TagMaxAge: upstreams.DefaultTagMaxAge, Rate: upstreams.DefaultRate}
	}
	c.Relay = Relay{
		TokenHosts: l.hostPatterns(tokenHosts, known.TokenHosts),
		BlobHosts:  l.hostPatterns(blobHosts, known.BlobHosts),
		TagMaxAge:  known.TagMaxAge,
		Rate:       known.Rate,
		Library:    known.Library,
	}
	if l.get(maxAge) != "" {
		c.Relay.TagMaxAge = l.timeout(maxAge, 24*time.Hour)
		if d := c.Relay.TagMaxAge; d > 0 && d != d.Truncate(time.Second) {
			l.invalid(maxAge, "not whole seconds: want for example 60s or 15m")
		}
	}
	if l.get(rate) != "" {
		if c.Relay.Rate = l.rate(rate); c.Relay.Rate == 0 {
			l.invalid(rate, "not positive: want requests per second, for example 0.5 or 10")
		}
	}
}

// access reads the access to the upstream.
func (l *loader) access(name string) upstreams.Access {
	all := []upstreams.Access{upstreams.Open, upstreams.Token}
	v := upstreams.Access(l.get(name))
	if !slices.Contains(all, v) {
		names := each(all, func(a upstreams.Access) string { return string(a) })
		l.invalid(name, "unknown access"+spelling.DidYouMean(string(v), names)+": want open or token")
	}
	return v
}

// signatures requires that clients can read the signature upstream, as only the
// upstream is relayed.
func (l *loader) signatures(c *Config) {
	const name = "SIGNATURE_UPSTREAM_ENDPOINT"
	known := known(c.SignatureUpstream)
	switch {
	case known == nil || c.SignaturesAtUpstream():
	case known.Alias(host(c.SignatureUpstream)):
		l.invalid(name, fmt.Sprintf("%s does not serve its registry API here: want %s", known.Name, known.Endpoint))
	case known.Access == upstreams.Token:
		l.invalid(name, known.Name+" does not serve clients without a token, and only the upstream is relayed: want the upstream itself or a registry without tokens")
	}
}

// singleHost requires that no redirect can lead to another host.
func (l *loader) singleHost(c *Config) {
	if c.DefaultMirror != DistributionHost {
		l.invalid("SINGLE_HOST", `requires DEFAULT_AWS_BASE_URL="/": want a default mirror on the host that the client requested`)
	}
	if c.SignatureUpstream != "" && !c.SignaturesAtUpstream() {
		l.invalid("SIGNATURE_UPSTREAM_ENDPOINT", "on another host than the upstream, which SINGLE_HOST=true does not allow: want none or the upstream itself")
	}
	for _, name := range []string{"INFO_URL", "PRIVACY_URL"} {
		if l.get(name) != "" {
			l.invalid(name, "on another host, which SINGLE_HOST=true does not allow: remove it")
		}
	}
}

// known returns the known registry at an endpoint, nil for none.
func known(endpoint string) *upstreams.Registry { return upstreams.Find(host(endpoint)) }

// host returns the host of an endpoint in lower case, without a port and without a
// dot at its end.
func host(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}

// hostPatterns reads patterns of host names, comma-separated.
func (l *loader) hostPatterns(name string, otherwise []string) []string {
	var all []string
	for item := range list(l.get(name)) {
		switch {
		case !Loopback(item) && !validHostName(strings.TrimPrefix(item, "*.")):
			l.invalid(name, fmt.Sprintf(`invalid host %q: want DNS names in lower case without scheme, port or path, "*." allowed in front, comma-separated, for example *.example.com`, item))
			return nil
		case slices.Contains(all, item):
			l.invalid(name, fmt.Sprintf("duplicate host %q: want each host once", item))
			return nil
		}
		all = append(all, item)
	}
	if all == nil {
		return otherwise
	}
	return all
}

// Loopback reports whether a host, with or without a port, is this machine.
func Loopback(host string) bool {
	if a, err := netip.ParseAddrPort(host); err == nil {
		return a.Addr().IsLoopback()
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback()
	}
	name, port, _ := strings.Cut(host, ":")
	return name == "localhost" && strings.Trim(port, "0123456789") == ""
}
