package page

import (
	"net/url"

	"archeio/lambda/config"
	"archeio/lambda/upstreams"
)

// sentence writes a sentence that depends on how clients get content, and reports whether
// there is one of that name.
func (p *Pages) sentence(m *markup, name string) bool {
	c := p.config
	switch name {
	case "further":
		switch {
		case !c.Relays():
			m.raw(" An upstream registry may redirect further, to its own storage.")
		case c.SignatureUpstream != "" && !c.SignaturesAtUpstream():
			m.raw(" The registry for signatures may redirect further, to its own storage.")
		}
	case "nearest":
		if c.SingleHost {
			m.raw("come from ")
		} else {
			m.raw("come from a mirror: for a client in AWS the one in its region or the nearest one, for others ")
		}
		p.fallback(m)
	case "upstreamClouds":
		if len(c.UpstreamClouds) > 0 && !c.SingleHost {
			m.raw("Clients in ")
			m.write(list(c.UpstreamClouds))
			m.raw(" get blobs from ")
			m.raw(p.storage())
			m.raw(". ")
		}
	case "missing":
		if c.SingleHost {
			m.raw("A blob that it does not have yet is relayed from the upstream registry, up to 4 MiB; a larger one is unavailable until the mirror has it.")
			break
		}
		m.raw("A blob that no mirror has comes from ")
		m.raw(p.storage())
		m.raw(", so a pull never fails because a mirror is incomplete or unavailable.")
	case "manifests":
		if c.Relays() {
			m.raw("Manifests and tags are relayed by this host from the upstream registry")
		} else {
			m.raw("Manifests and tags come from the upstream registry")
		}
	default:
		return false
	}
	return true
}

// storage returns where clients get blobs that no mirror has.
func (p *Pages) storage() string {
	if p.config.Relays() {
		return "the storage of the upstream registry"
	}
	return "the upstream registry"
}

// describe returns what the registry does, if the stage has no text of its own.
func describe(c *config.Config) string {
	const storesNothing = "This registry stores no images. "
	switch {
	case c.SingleHost:
		return storesNothing + "It serves each blob from a mirror behind this host, and relays everything else from the upstream registry."
	case c.Relays():
		return storesNothing + "It redirects requests for blobs to a mirror near the client, and relays everything else from the upstream registry."
	}
	return storesNothing + "It redirects each request of a pull: to a mirror near the client for blobs, to the upstream registry for everything else."
}

// imageHost returns the host of the upstream in the names of images.
func imageHost(upstream *url.URL) string {
	if known := upstreams.Find(upstream.Hostname()); known != nil && len(known.Aliases) > 0 {
		return known.Aliases[0]
	}
	return upstream.Host
}
