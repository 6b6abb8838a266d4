// Package hosts lists the hosts that a configuration may send clients to, for
// firewalls, proxies and VPC endpoint policies.
package hosts

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"archeio/lambda/config"
)

// Host is a host and a path prefix below which clients may be sent.
type Host struct {
	// Host may have a port.
	Host string `json:"host"`
	// Path begins and ends with a slash, unless it is one page.
	Path string `json:"path"`
	// Purpose is what a client gets there.
	Purpose string `json:"purpose"`
}

// Of returns all hosts that the given configurations lead to, each once, mirrors
// first. The name that CloudFront assigns to the distribution is not among them: the
// configuration does not have it.
func Of(configs ...*config.Config) []Host {
	var all []Host
	add := func(base, path, purpose string) {
		u, err := url.Parse(base)
		if base == "" || err != nil || u.Host == "" {
			return
		}
		if path != "" {
			path = strings.TrimSuffix(u.Path, "/") + path
		} else {
			path = cmp.Or(u.Path, "/") // one page
		}
		h := Host{u.Host, path, purpose}
		if !slices.Contains(all, h) {
			all = append(all, h)
		}
	}
	for _, c := range configs {
		if c.SingleHost {
			continue
		}
		for _, m := range c.Mirrors {
			add(m.URL, "/"+config.BlobPrefix, "blobs from the mirror in "+m.Region)
		}
	}
	for _, c := range configs {
		bases := []string{c.DefaultMirror}
		if c.DefaultMirror == config.DistributionHost {
			bases = nil
			for _, host := range c.ViewerHosts {
				bases = append(bases, "https://"+host)
			}
		}
		for _, base := range bases {
			add(base, "/"+config.BlobPrefix, "blobs from the default mirror")
		}
	}
	for _, c := range configs {
		if c.SingleHost {
			continue
		}
		for _, host := range c.Relay.BlobHosts {
			add("https://"+host, "/", "blobs that no mirror has")
		}
	}
	for _, c := range configs {
		repositories := "/v2/"
		if c.Prefix != "" {
			repositories += c.Prefix + "/"
		}
		if !c.Relays() {
			add(c.Upstream, repositories, "manifests, tags, and blobs that no mirror has")
		}
		if !c.Relays() || !c.SignaturesAtUpstream() {
			add(c.SignatureUpstream, repositories, "signatures and referrers")
		}
	}
	for _, c := range configs {
		add(c.InfoURL, "", "the page at /")
		add(c.PrivacyURL, "", "the page at /privacy")
	}
	return all
}
