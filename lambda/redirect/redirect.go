package redirect

import (
	"context"
	"strings"

	"archeio/lambda/blobs"
	"archeio/lambda/oci"
	"archeio/lambda/route"
)

// redirect walks along the candidates of a decision to the first that has
// what is asked for.
func (h *Handler) redirect(ctx context.Context, q *route.Request, query string) Response {
	d := h.plan.Decide(q)
	var limit blobs.Limit
	reason := d.Reason
	asked, unsure := false, false // any mirror, in vain; and one could not say
	candidates := d.Candidates()
	for i, c := range candidates {
		switch c.Target {
		case route.Regional:
			switch h.origins.Mirrors[c.Mirror].Has(ctx, &limit, q.Path.Reference) {
			case blobs.Present:
				return found(h.mirrors[c.Mirror]+q.Path.Reference, cacheNothing, reason)
			case blobs.Unknown:
				unsure = true
				if location := h.overflow(ctx, &limit, q, &d); location != "" {
					return found(location, cacheNothing, route.Failover)
				}
			}
			asked, reason = true, route.DefaultMirror
		case route.Default:
			switch h.origins.Default.Has(ctx, &limit, q.Path.Reference) {
			case blobs.Present:
				return found(h.defaultMirror+q.Path.Reference, cacheNothing, reason)
			case blobs.Unknown:
				unsure = true
			}
			asked = true
		case route.Upstream:
			switch {
			case unsure:
				reason = route.MirrorUnavailable
			case asked:
				reason = route.MirrorAbsent
			}
			cache := cacheMinutes
			if q.Path.Kind == oci.Blob {
				cache = cacheNothing
			}
			// Only where a signature upstream stands behind it may the
			// upstream lack something that a client can get elsewhere.
			if i+1 < len(candidates) {
				switch h.origins.Upstream.Has(ctx, &limit, h.resource(q.Path)) {
				case blobs.Absent:
					continue
				case blobs.Unknown:
					if q.Path.Kind != oci.Blob {
						cache = cacheUnsure
					}
				}
			}
			return found(h.registry(h.upstream, q.Path, query), cache, reason)
		case route.SignatureUpstream:
			cache := cacheMinutes
			switch q.Path.Kind {
			case oci.Blob:
				cache = cacheNothing
				reason = route.Signature
			case oci.Manifest:
				reason = route.Signature
			}
			return found(h.registry(h.signatures, q.Path, query), cache, reason)
		}
	}
	panic("redirect: a decision without an end: " + d.Reason.String())
}

// overflow is the way out when the first mirror is in trouble: the next one,
// as far as the budget reaches. Empty if there is none, or it lacks the blob.
func (h *Handler) overflow(ctx context.Context, limit *blobs.Limit, q *route.Request, d *route.Decision) string {
	next := h.plan.Next(q, d)
	if next < 0 || !h.failover.take(h.now()) {
		return ""
	}
	if h.origins.Mirrors[next].Has(ctx, limit, q.Path.Reference) != blobs.Present {
		h.failover.giveBack()
		return ""
	}
	return h.mirrors[next] + q.Path.Reference
}

func found(location, cache string, reason route.Reason) Response {
	return Response{Status: 307, Location: location, CacheControl: cache, Reason: reason.String()}
}

// registry is the URL at a registry, with the query where that kind of request
// takes one.
func (h *Handler) registry(base string, p oci.Path, query string) string {
	url := base + h.resource(p)
	if query != "" && (p.Kind == oci.Tags || p.Kind == oci.Referrers) {
		url += "?" + query
	}
	return url
}

// resource is what stands behind "/v2/" at a registry.
func (h *Handler) resource(p oci.Path) string {
	prefix := h.config.Prefix
	switch {
	case prefix == "":
	case p.Kind == oci.Tags || p.Kind == oci.Referrers:
		// The upstream's Link headers name its own paths, and some clients
		// take only the path of one and ask us for it.
		if rest, ok := strings.CutPrefix(p.Name, prefix); ok && strings.HasPrefix(rest, "/") {
			prefix = ""
		}
	}
	if prefix != "" {
		prefix += "/"
	}
	switch p.Kind {
	case oci.Blob:
		return prefix + p.Name + "/blobs/" + p.Reference
	case oci.Manifest:
		return prefix + p.Name + "/manifests/" + p.Reference
	case oci.Referrers:
		return prefix + p.Name + "/referrers/" + p.Reference
	}
	return prefix + p.Name + "/tags/list"
}
