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

	"archeio/infra/leftover"
	"archeio/infra/stage"
)

const (
	// environmentRate is how many requests a second Lambda lets an environment
	// of a function serve.
	// https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
	environmentRate = 10

	// oldestBootstrap is what the CDK's templates ask for.
	oldestBootstrap = 6
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
	// servers answers the name servers that the world is sent to for a zone.
	servers func(ctx context.Context, zone string) ([]string, error)
	rate    float64
	image   string
	rows    []row
}

func (p *preflight) add(where, what string, s state, format string, args ...any) {
	p.rows = append(p.rows, row{where, what, s, fmt.Sprintf(format, args...)})
}

// run stops where nothing else could be found out, and answers false then.
func (p *preflight) run(ctx context.Context) bool {
	p.upstreams(ctx)
	if !p.account(ctx) {
		return false
	}
	p.public(ctx)
	p.organization(ctx)
	p.zone(ctx)
	p.edge(ctx)
	regions := p.stage.Regions()
	if p.stage.HasDistribution() && !slices.Contains(regions, stage.EdgeRegion) {
		regions = append(regions, stage.EdgeRegion)
	}
	slices.Sort(regions)
	for _, region := range regions {
		p.region(ctx, region)
	}
	return true
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
		p.add("account", what, blocked, "the account keeps all buckets from being public; switch BlockPublicPolicy and RestrictPublicBuckets off by aws s3control put-public-access-block; if AWS refuses that, it is the organization's doing")
	default:
		p.add("account", what, fine, "the account lets mirrors be public")
	}
}

// organization asks for the policy that overrides the account's own setting. An
// account may not see it; once it is in force the account's setting shows it.
func (p *preflight) organization(ctx context.Context) {
	const what = "organization's access block"
	switch is, err := p.cloud.organizationBlocks(ctx); {
	case err != nil:
		p.add("account", what, unsure, "whether the organization keeps buckets from being public cannot be seen from here: %s; ask those who run it for its S3 policy", oneLine(err))
	case is:
		p.add("account", what, blocked, "the organization keeps all buckets from being public; ask those who run it to exempt the account %s from its S3 policy", p.stage.Account)
	default:
		p.add("account", what, fine, "no S3 policy of an organization keeps mirrors from being public")
	}
}

func (p *preflight) zone(ctx context.Context) {
	const what = "hosted zone"
	if p.stage.Domain == "" {
		return
	}
	z, err := p.cloud.zone(ctx, p.stage.Zone.ID)
	switch {
	case err != nil:
		p.add("account", what, blocked, "%s is not found: %s; the certificate of %s is validated in it", p.stage.Zone.ID, oneLine(err), p.stage.Domain)
		return
	case strings.TrimSuffix(z.name, ".") != p.stage.Zone.Name:
		p.add("account", what, blocked, "%s is the zone %s, the stage says %s; name the right one in hostedZone", p.stage.Zone.ID, z.name, p.stage.Zone.Name)
		return
	case z.private:
		p.add("account", what, blocked, "%s is a private zone, in which no certificate can be validated; name the public one in hostedZone", p.stage.Zone.ID)
		return
	}
	p.add("account", what, fine, "%s is the zone %s", p.stage.Zone.ID, p.stage.Zone.Name)
	p.certificate(ctx, z)
}

// certificate looks whether the world sees what is written into the zone: a
// certificate is waited for until it does.
func (p *preflight) certificate(ctx context.Context, z zone) {
	const what = "certificate"
	servers, err := p.servers(ctx, p.stage.Zone.Name)
	if err != nil {
		p.add("account", what, unsure, "the name servers of %s are not found from here: %s; unless the world finds those of the zone, the deployment waits for a certificate until it gives up", p.stage.Zone.Name, oneLine(err))
		return
	}
	for _, server := range servers {
		if slices.ContainsFunc(z.servers, func(ours string) bool { return sameName(ours, server) }) {
			p.add("account", what, fine, "%s is asked of the zone's own name servers, so that a certificate of %s can be validated", p.stage.Zone.Name, p.stage.Domain)
			return
		}
	}
	p.add("account", what, blocked, "the world asks %s for %s, the zone is on %s, so no certificate can be validated; set the zone's name servers at the registrar or in the zone above",
		strings.Join(servers, ", "), p.stage.Zone.Name, strings.Join(z.servers, ", "))
}

func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// Quotas of CloudFront by their names in Service Quotas, and how much there is
// of each unless more was asked for.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
const (
	originsQuota, defaultOrigins     = "Origins per distribution", 100
	functionsQuota, defaultFunctions = "Functions per AWS account", 100
)

// edge looks at CloudFront's quotas. Of origin groups there are none: the
// function at the edge makes them for each request.
func (p *preflight) edge(ctx context.Context) {
	if !p.stage.HasDistribution() {
		return
	}
	p.quota(ctx, "CloudFront origins", originsQuota, defaultOrigins, len(p.stage.Routed())+len(p.stage.Redirectors))
	names, err := p.cloud.functions(ctx)
	if err != nil {
		p.unknown(stage.EdgeRegion, "CloudFront functions", err)
		return
	}
	need := len(names)
	if !slices.Contains(names, p.stage.ViewerRequest()) {
		need++
	}
	p.quota(ctx, "CloudFront functions", functionsQuota, defaultFunctions, need)
}

func (p *preflight) quota(ctx context.Context, what, name string, usual, need int) {
	have, told, err := p.cloud.quota(ctx, "cloudfront", name)
	if err != nil {
		p.unknown(stage.EdgeRegion, what, err)
		return
	}
	whose := "the account has"
	if !told {
		have, whose = usual, "Service Quotas does not name it, usual are"
	}
	if need > have {
		p.add(stage.EdgeRegion, what, blocked, "%s %d, and %d are needed; ask for more of %q in Service Quotas", whose, have, need, name)
		return
	}
	p.add(stage.EdgeRegion, what, fine, "%s %d, and %d are needed", whose, have, need)
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
	p.stacks(ctx, region)
	for _, b := range p.stage.RetainedBuckets() {
		if b.Region == region {
			p.bucket(ctx, b)
		}
	}
}

// stacks looks for what an earlier deployment has left undone.
func (p *preflight) stacks(ctx context.Context, region string) {
	well := true
	for _, st := range p.stage.Stacks() {
		if st.Region != region {
			continue
		}
		switch f, err := leftover.Stack(ctx, p.cloud, p.stage, st); {
		case err != nil:
			well = false
			p.unknown(region, "stack "+st.What, err)
		case f != nil:
			well = false
			p.add(region, "stack "+st.What, blocked, "%s: %s", st.Name, f.Says)
		}
	}
	if well {
		p.add(region, "stacks", fine, "none is in the way")
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

func (p *preflight) bucket(ctx context.Context, b stage.Retained) {
	const what = "bucket"
	switch whose, f, err := leftover.Bucket(ctx, p.cloud, p.stage, b); {
	case err != nil:
		p.unknown(b.Region, what, err)
	case f != nil:
		p.add(b.Region, what, blocked, "%s: %s", b.Name, f.Says)
	case whose == leftover.Ours:
		p.add(b.Region, what, fine, "%s is there, in its stack", b.Name)
	default:
		p.add(b.Region, what, fine, "the name %s is free", b.Name)
	}
}

// upstreams tries every upstream as a client without a login does.
func (p *preflight) upstreams(ctx context.Context) {
	const what = "upstream"
	type question struct {
		url string
		// all is whether it has every image; one for signatures has none of them.
		all bool
	}
	seen := map[string]question{}
	for _, region := range p.stage.Redirectors {
		c, err := p.stage.Config(region)
		if err != nil {
			p.unknown(region, what, err)
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
			seen[c.SignatureUpstream] = question{c.SignatureUpstream + path, false}
		}
		seen[c.Upstream] = question{c.Upstream + path, true}
	}
	for _, base := range slices.Sorted(maps.Keys(seen)) {
		q := seen[base]
		status, err := p.get(ctx, q.url)
		switch {
		case err != nil:
			p.add("upstream", base, blocked, "it does not answer: %s", oneLine(err))
		case status == http.StatusOK, status == http.StatusNotFound && !q.all && p.image != "":
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
