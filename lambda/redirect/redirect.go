package redirect

import (
	"context"
	"strings"

	"archeio/lambda/blobs"
	"archeio/lambda/oci"
	"archeio/lambda/route"
)

// redirect redirects a request of the registry API: to the first mirror that has
// the blob, or to a registry.
func (h *Handler) redirect(ctx context.Context, r *Request, q *route.Request) Response {
	d := h.plan.Decide(q)
	var limit blobs.Limit
	location, reason := h.mirror(ctx, &limit, r, q, &d)
	if location != "" {
		return found(location, cacheNothing, reason)
	}
	if h.origins.Relay != nil {
		return h.relayed(ctx, r, q, &d, reason)
	}
	return h.registry(ctx, &limit, q, &d, reason, r.Query)
}

// mirror returns the URL of the blob in the first mirror that has it, and the
// reason for that mirror. Without a URL, the reason is that of a registry.
func (h *Handler) mirror(ctx context.Context, limit *blobs.Limit, r *Request, q *route.Request, d *route.Decision) (string, route.Reason) {
	mirrors := d.Mirrors()
	if len(mirrors) == 0 {
		return "", d.Reason
	}
	reason, otherwise := d.Reason, route.MirrorAbsent
	for _, c := range mirrors {
		origin, base := h.origins.Default, h.defaultMirror
		if c.Target == route.Regional {
			origin, base = h.origins.Mirrors[c.Mirror], h.mirrors[c.Mirror]
		}
		switch origin.Has(ctx, limit, q.Path.Reference) {
		case blobs.Present:
			if base == blobPath && h.config.IsViewerHost(r.ViewerHost) {
				// Some clients do not follow a redirect to a path.
				return "https://" + r.ViewerHost + blobPath + q.Path.Reference, reason
			}
			return base + q.Path.Reference, reason
		case blobs.Unknown:
			otherwise = route.MirrorUnavailable
			if location := h.failOver(ctx, limit, q, d, c); location != "" {
				return location, route.Failover
			}
		}
		reason = route.DefaultMirror // only the default mirror follows another one
	}
	return "", otherwise
}

// failOver returns the URL of the blob in the next mirror by distance after a
// regional one that could not be checked. It is empty if there is no other
// mirror, if that one is not known to have the blob, or if the budget is spent.
func (h *Handler) failOver(ctx context.Context, limit *blobs.Limit, q *route.Request, d *route.Decision, failed route.Candidate) string {
	if failed.Target != route.Regional {
		return ""
	}
	next := h.plan.Next(q, d)
	if next < 0 || !h.failover.Take(h.now()) {
		return ""
	}
	if h.origins.Mirrors[next].Has(ctx, limit, q.Path.Reference) != blobs.Present {
		h.failover.PutBack()
		return ""
	}
	return h.mirrors[next] + q.Path.Reference
}

// registry redirects to the upstream, or to the signature upstream. The upstream
// is checked only where the signature upstream may have what it does not.
func (h *Handler) registry(ctx context.Context, limit *blobs.Limit, q *route.Request, d *route.Decision, reason route.Reason, query string) Response {
	base, cache := h.upstream, cacheMinutes
	if q.Path.Kind == oci.Blob {
		cache = cacheNothing
	}
	resource := h.resource(q.Path, query)
	switch registries := d.Registries(); {
	case registries[0].Target == route.SignatureUpstream:
		base = h.signatures
	case len(registries) > 1:
		answer := h.origins.Upstream.Has(ctx, limit, resource)
		if answer == blobs.Absent {
			base, reason = h.signatures, route.Signature
		}
		if answer != blobs.Present && q.Path.Kind != oci.Blob {
			cache = cacheUnsure
		}
	}
	if query != "" && (q.Path.Kind == oci.Tags || q.Path.Kind == oci.Referrers) {
		return found(base+resource+"?"+query, cache, reason)
	}
	return found(base+resource, cache, reason)
}

func found(location, cache string, reason route.Reason) Response {
	return Response{Status: 307, Location: location, CacheControl: cache, Reason: reason.String()}
}

// resource returns the path of a request below "/v2/" at a registry.
func (h *Handler) resource(p oci.Path, query string) string {
	prefix := h.prefixOf(p, query)
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

// prefixOf returns the prefix of a name at a registry: empty if the name has it
// already. Only two kinds of requests may have it: those for a list, because the
// upstream's Link headers have paths with the prefix and some clients request such
// a path from this host, and those with a parameter ns, which containerd adds if
// this host is configured as a mirror of the upstream. ns may have any value.
// https://github.com/containerd/containerd/blob/main/docs/hosts.md#registry-host-namespace
func (h *Handler) prefixOf(p oci.Path, query string) string {
	list := p.Kind == oci.Tags || p.Kind == oci.Referrers
	if strings.HasPrefix(p.Name, h.prefix) && (list || strings.HasPrefix(query, "ns=") || strings.Contains(query, "&ns=")) {
		return ""
	}
	return h.prefix
}

// repository returns the name of a repository without the prefix of the upstream, if
// the name has it already.
func (h *Handler) repository(p oci.Path, query string) string {
	if h.prefix != "" && h.prefixOf(p, query) == "" {
		return p.Name[len(h.prefix):]
	}
	return p.Name
}
