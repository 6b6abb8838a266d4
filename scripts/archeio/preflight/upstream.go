package preflight

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"archeio/lambda/config"
	"archeio/lambda/field"
	"archeio/lambda/oci"
	"archeio/lambda/upstreams"
	"archeio/scripts/archeio/cli"
)

// registry is an upstream that clients are redirected to.
type registry struct {
	url string // of the request that tests it
	// signatures is whether it is one for signatures, which may not have the image.
	signatures bool
}

// upstreams sends a request to every upstream as an anonymous client would, or as the
// function would, if it relays what the upstream responds with.
func (p *preflight) upstreams(ctx context.Context) {
	open, relayed := map[string]registry{}, map[string]*config.Config{}
	for _, region := range p.stage.Redirectors {
		c, err := p.stage.Config(region)
		if err != nil {
			p.unknown(inUpstream, "configuration", err)
			continue
		}
		path := "/v2/"
		if name, tag, ok := strings.Cut(p.image, ":"); ok {
			path += repository(c, name) + "/manifests/" + tag
		}
		if c.SignatureUpstream != "" && !(c.Relays() && c.SignaturesAtUpstream()) {
			open[c.SignatureUpstream] = registry{c.SignatureUpstream + path, true}
		}
		if c.Relays() {
			relayed[c.Upstream] = c
		} else {
			open[c.Upstream] = registry{c.Upstream + path, false}
		}
	}
	for _, base := range slices.Sorted(maps.Keys(open)) {
		p.progress.Show("%s", base)
		p.redirected(ctx, base, open[base])
	}
	for _, base := range slices.Sorted(maps.Keys(relayed)) {
		p.progress.Show("%s", base)
		p.relayed(ctx, relayed[base])
	}
}

// repository returns the name of a repository at the upstream.
func repository(c *config.Config, name string) string {
	if c.Prefix != "" {
		name = c.Prefix + "/" + name
	}
	if c.Relay.Library && !strings.Contains(name, "/") {
		name = "library/" + name
	}
	return name
}

// redirected checks an upstream that clients are redirected to.
func (p *preflight) redirected(ctx context.Context, base string, r registry) {
	status, header, err := p.get(ctx, r.url)
	switch {
	case err != nil:
		p.fail(inUpstream, base, "no response: %s", cli.OneLine(err))
	case status == http.StatusOK, status == http.StatusNotFound && r.signatures && p.image != "":
		p.pass(inUpstream, base, "it serves requests without a token")
	case p.image == "":
		p.warn(inUpstream, base, "it returned %d for /v2/, which some registries do not serve to anonymous clients; pass -image to test with an image", status)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		p.fail(inUpstream, base, "%s", p.requiresToken(base, r.signatures, header))
	default:
		p.fail(inUpstream, base, "it returned %d for %s; pass an image that it has", status, p.image)
	}
}

// requiresToken returns what is wrong with an upstream that does not serve anonymous
// clients, and what to do.
func (p *preflight) requiresToken(base string, signatures bool, header http.Header) string {
	text := "it requires a token for " + p.image
	realm, bearer := realm(header)
	switch {
	case !bearer:
		return text + ", and issues none to anonymous clients; use a registry that serves public images to them"
	case signatures:
		return text + ", and only the upstream's responses are relayed; use the upstream itself or a registry without tokens as signatureUpstream"
	}
	text += `; set "access": "token" in upstream`
	own, err := url.Parse(base)
	if err != nil || realm == "" || strings.EqualFold(realm, own.Host) {
		return text
	}
	text += ", its token server is " + realm
	if known := upstreams.Find(own.Hostname()); known == nil || !upstreams.MatchAny(known.TokenHosts, realm) {
		text += `: "tokenHosts": ["` + realm + `"]`
	}
	return text
}

// realm returns the host of the token server of a response, and whether it asks for a
// bearer token. The host is empty if it is not valid.
func realm(header http.Header) (host string, bearer bool) {
	for _, c := range field.Challenges(header) {
		if c.Scheme != "bearer" {
			continue
		}
		bearer = true
		if host = hostOf(c.Params["realm"]); host != "" {
			break
		}
	}
	return host, bearer
}

// hostOf returns the host of an address that a server sent, in lower case and printable,
// empty if it has none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return cli.Printable(strings.TrimSuffix(strings.ToLower(u.Host), ":443"))
}

func (p *preflight) get(ctx context.Context, url string) (int, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Accept", oci.ManifestTypes)
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, resp.Header, resp.Body.Close()
}
