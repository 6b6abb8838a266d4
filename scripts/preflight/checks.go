package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"archeio/infra/stage"
)

const (
	// environmentRate is how many requests a second Lambda lets an environment
	// of a function serve.
	// https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
	environmentRate = 10

	// oldestBootstrap is what the CDK's templates ask for.
	oldestBootstrap = 6

	edgeRegion = "us-east-1"
)

// state is how a check ended.
type state string

const (
	fine    state = "ok"
	unsure  state = "look"
	blocked state = "STOP"
)

// row is a check with a sentence; where is a region, or what is not in one.
type row struct {
	where, what string
	state       state
	says        string
}

type preflight struct {
	stage  *stage.Stage
	cloud  cloud
	client *http.Client
	rate   float64
	image  string
	rows   []row
}

func (p *preflight) add(where, what string, s state, format string, args ...any) {
	p.rows = append(p.rows, row{where, what, s, fmt.Sprintf(format, args...)})
}

// run stops where nothing else could be found out.
func (p *preflight) run(ctx context.Context) {
	p.upstreams(ctx)
	if !p.account(ctx) {
		return
	}
	p.public(ctx)
	p.zone(ctx)
	regions := p.stage.Regions()
	if p.stage.HasDistribution() && !slices.Contains(regions, edgeRegion) {
		regions = append(regions, edgeRegion)
	}
	slices.Sort(regions)
	for _, region := range regions {
		p.region(ctx, region)
	}
}

func (p *preflight) account(ctx context.Context) bool {
	const what = "credentials"
	account, err := p.cloud.account(ctx)
	switch {
	case err != nil:
		p.add("account", what, blocked, "AWS does not take the credentials: %s; log in, as by aws sso login", oneLine(err))
	case account != p.stage.Account:
		p.add("account", what, blocked, "they are of the account %s, the stage is in %s; switch to its profile", account, p.stage.Account)
	default:
		p.add("account", what, fine, "they are of the account %s", account)
		return true
	}
	return false
}

func (p *preflight) public(ctx context.Context) {
	const what = "public access block"
	is, err := p.cloud.publicAccessBlocked(ctx)
	switch {
	case err != nil:
		p.unknown("account", what, err)
	case is:
		p.add("account", what, blocked, "the account keeps all buckets from being public; switch BlockPublicPolicy and RestrictPublicBuckets off by aws s3control put-public-access-block")
	default:
		p.add("account", what, fine, "mirrors may be public; whether the organization agrees, the deployment tells")
	}
}

func (p *preflight) zone(ctx context.Context) {
	const what = "hosted zone"
	if p.stage.Domain == "" {
		return
	}
	switch name, err := p.cloud.zone(ctx, p.stage.Zone.ID); {
	case err != nil:
		p.add("account", what, blocked, "%s is not found: %s; the certificate of %s is validated in it", p.stage.Zone.ID, oneLine(err), p.stage.Domain)
	case strings.TrimSuffix(name, ".") != p.stage.Zone.Name:
		p.add("account", what, blocked, "%s is the zone %s, the stage says %s; name the right one in hostedZone", p.stage.Zone.ID, name, p.stage.Zone.Name)
	default:
		p.add("account", what, fine, "%s is the zone %s", p.stage.Zone.ID, p.stage.Zone.Name)
	}
}

func (p *preflight) region(ctx context.Context, region string) {
	switch enabled, err := p.cloud.enabled(ctx, region); {
	case err != nil:
		p.unknown(region, "enabled", err)
	case !enabled:
		p.add(region, "enabled", blocked, "the account has not enabled the region; do it by aws account enable-region --region-name %s, and wait", region)
		return
	default:
		p.add(region, "enabled", fine, "the region is enabled")
	}
	switch version, err := p.cloud.bootstrapped(ctx, region); {
	case err != nil:
		p.unknown(region, "bootstrap", err)
	case version < oldestBootstrap:
		p.add(region, "bootstrap", blocked, "the region is not prepared for the CDK; run make bootstrap STAGE=%s", p.stage.Name)
	default:
		p.add(region, "bootstrap", fine, "the CDK's bootstrap stack has version %d", version)
	}
	p.concurrency(ctx, region)
	if slices.Contains(p.stage.Mirrors, region) {
		p.bucket(ctx, region, p.stage.Bucket(region))
	}
	if p.stage.Filler != nil && region == p.stage.Primary {
		p.bucket(ctx, region, p.stage.StateBucket())
	}
}

func (p *preflight) concurrency(ctx context.Context, region string) {
	const what = "Lambda concurrency"
	need := 0
	if slices.Contains(p.stage.Redirectors, region) {
		need += int(math.Ceil(p.rate / environmentRate))
	}
	if p.stage.Filler != nil && region == p.stage.Primary {
		need += p.stage.Filler.Workers + 1
	}
	if need == 0 {
		return
	}
	switch have, err := p.cloud.concurrency(ctx, region); {
	case err != nil:
		p.unknown(region, what, err)
	case have < need:
		p.add(region, what, blocked, "the account has %d of the %d that the stage needs at once; ask for more in Service Quotas", have, need)
	default:
		p.add(region, what, fine, "the account has %d, the stage needs %d at once", have, need)
	}
}

func (p *preflight) bucket(ctx context.Context, region, name string) {
	const what = "bucket"
	switch is, err := p.cloud.bucket(ctx, region, name); {
	case err != nil:
		p.unknown(region, what, err)
	case is == bucketFree:
		p.add(region, what, fine, "the name %s is free", name)
	case is == bucketOurs:
		p.add(region, what, unsure, "%s is there and the account's own: fine if its stack is there too, and else import it before the stack is made anew", name)
	default:
		p.add(region, what, blocked, "%s belongs to another account or region; take another mirrorPrefix", name)
	}
}

// upstreams tries every upstream as a client without a login does.
func (p *preflight) upstreams(ctx context.Context) {
	const what = "upstream"
	seen := map[string]string{}
	for _, region := range p.stage.Redirectors {
		c, err := p.stage.Config(region)
		if err != nil {
			p.unknown(region, what, err)
			continue
		}
		seen[c.Upstream] = c.Upstream + "/v2/"
		if name, tag, ok := strings.Cut(p.image, ":"); ok {
			if c.Prefix != "" {
				name = c.Prefix + "/" + name
			}
			seen[c.Upstream] += name + "/manifests/" + tag
		}
	}
	for _, base := range slices.Sorted(maps.Keys(seen)) {
		status, err := p.get(ctx, seen[base])
		switch {
		case err != nil:
			p.add("upstream", base, blocked, "it does not answer: %s", oneLine(err))
		case status == http.StatusOK:
			p.add("upstream", base, fine, "it answers without a token")
		case p.image == "":
			p.add("upstream", base, unsure, "it answers %d to /v2/, which not all registries give to everybody; name an image by -image to know", status)
		case status == http.StatusUnauthorized, status == http.StatusForbidden:
			p.add("upstream", base, blocked, "it wants a token for %s; only what everybody may read can stand behind an anonymous registry", p.image)
		default:
			p.add("upstream", base, blocked, "it answers %d for %s; name an image that it has", status, p.image)
		}
	}
}

func (p *preflight) get(ctx context.Context, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json")
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// unknown is for what AWS does not tell, mostly for want of a permission.
func (p *preflight) unknown(where, what string, err error) {
	p.add(where, what, unsure, "it cannot be found out: %s", oneLine(err))
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func table(out io.Writer, rows []row) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHERE\tWHAT\t\tWHAT TO KNOW")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.where, r.what, r.state, r.says)
	}
	return w.Flush()
}
