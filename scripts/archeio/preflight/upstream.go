package preflight

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"archeio/scripts/archeio/cli"
)

// manifestTypes are the media types of manifests and indexes.
const manifestTypes = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " +
	"application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"

// upstreams sends a request to every upstream as an anonymous client would.
func (p *preflight) upstreams(ctx context.Context) {
	const what = "configuration"
	// Whether each has all images: the one for signatures has none.
	type request struct {
		url       string
		hasImages bool
	}
	requests := map[string]request{}
	for _, region := range p.stage.Redirectors {
		c, err := p.stage.Config(region)
		if err != nil {
			p.unknown(inUpstream, what, err)
			continue
		}
		path := "/v2/"
		if name, tag, ok := strings.Cut(p.image, ":"); ok {
			if c.Prefix != "" {
				name = c.Prefix + "/" + name
			}
			path += name + "/manifests/" + tag
		}
		if c.SignatureUpstream != "" {
			requests[c.SignatureUpstream] = request{c.SignatureUpstream + path, false}
		}
		requests[c.Upstream] = request{c.Upstream + path, true}
	}
	for _, base := range slices.Sorted(maps.Keys(requests)) {
		p.progress.Show("%s", base)
		q := requests[base]
		status, err := p.get(ctx, q.url)
		switch {
		case err != nil:
			p.fail(inUpstream, base, "no response: %s", cli.OneLine(err))
		case status == http.StatusOK, status == http.StatusNotFound && !q.hasImages && p.image != "":
			p.pass(inUpstream, base, "it serves requests without a token")
		case p.image == "":
			p.warn(inUpstream, base, "it returned %d for /v2/, which some registries do not serve to anonymous clients; pass -image to test with an image", status)
		case status == http.StatusUnauthorized, status == http.StatusForbidden:
			p.fail(inUpstream, base, "it requires a token for %s; an anonymous registry can only serve public images", p.image)
		default:
			p.fail(inUpstream, base, "it returned %d for %s; pass an image that it has", status, p.image)
		}
	}
}

func (p *preflight) get(ctx context.Context, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", manifestTypes)
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
