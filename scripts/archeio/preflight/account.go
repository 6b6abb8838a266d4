package preflight

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"archeio/infra/stage"
	"archeio/scripts/archeio/cli"
)

func (p *preflight) credentials(ctx context.Context) bool {
	const what = "credentials"
	account, err := p.cloud.account(ctx)
	switch {
	case err != nil:
		p.fail(inAccount, what, "no valid AWS credentials: %s; log in, for example with aws sso login", cli.OneLine(err))
	case account != p.stage.Account:
		p.fail(inAccount, what, "the credentials are for account %s, but the stage is in %s; switch to a profile for that account", account, p.stage.Account)
	default:
		p.pass(inAccount, what, "the credentials are for account %s", account)
		return true
	}
	return false
}

func (p *preflight) publicAccess(ctx context.Context) {
	const what = "public access block"
	blocked, err := p.cloud.publicAccessBlocked(ctx)
	switch {
	case err != nil:
		p.unknown(inAccount, what, err)
	case blocked:
		p.fail(inAccount, what, "S3 Block Public Access is on for the whole account; turn off BlockPublicPolicy and RestrictPublicBuckets with aws s3control put-public-access-block; if AWS refuses, the organization enforces it")
	default:
		p.pass(inAccount, what, "the account allows public buckets")
	}
}

// organization checks the policy that overrides the account's own setting. The
// account may not be allowed to read it.
func (p *preflight) organization(ctx context.Context) {
	const what = "organization S3 policy"
	switch blocked, err := p.cloud.organizationBlocks(ctx); {
	case err != nil:
		p.warn(inAccount, what, "could not check whether the organization blocks public buckets: %s; ask its administrators for its S3 policy", cli.OneLine(err))
	case blocked:
		p.fail(inAccount, what, "the organization blocks public buckets; ask its administrators to exempt account %s from its S3 policy", p.stage.Account)
	default:
		p.pass(inAccount, what, "no S3 policy of an organization blocks public buckets")
	}
}

func (p *preflight) zone(ctx context.Context) {
	const what = "hosted zone"
	if p.stage.Zone.ID == "" {
		return
	}
	id, name := p.stage.Zone.ID, p.stage.Zone.Name
	z, err := p.cloud.zone(ctx, id)
	switch {
	case err != nil:
		p.fail(inAccount, what, "could not find %s, in which the certificate for %s is validated: %s; correct hostedZone", id, p.stage.Domain, cli.OneLine(err))
		return
	case strings.TrimSuffix(z.name, ".") != name:
		p.fail(inAccount, what, "%s is the zone %s, but the stage has %s; correct hostedZone", id, z.name, name)
		return
	case z.private:
		p.fail(inAccount, what, "%s is a private zone, which cannot validate a certificate; set hostedZone to the public zone", id)
		return
	}
	p.pass(inAccount, what, "%s is the public zone %s", id, name)
	p.validation(ctx, z)
}

// validation checks that public DNS uses the hosted zone. If it does not, the
// deployment would wait for the certificate until it times out.
func (p *preflight) validation(ctx context.Context, z zone) {
	const what = "certificate"
	name := p.stage.Zone.Name
	servers, err := p.nameServers(ctx, name)
	if err != nil {
		p.warn(inAccount, what, "could not look up the name servers of %s: %s; unless they are those of the hosted zone, the deployment waits for a certificate until it times out", name, cli.OneLine(err))
		return
	}
	for _, server := range servers {
		if slices.ContainsFunc(z.servers, func(own string) bool { return sameName(own, server) }) {
			p.pass(inAccount, what, "public DNS uses the hosted zone for %s, so a certificate for %s can be validated", name, p.stage.Domain)
			return
		}
	}
	p.fail(inAccount, what, "public DNS has the name servers %s for %s, but the hosted zone is on %s, so no certificate can be validated; set the zone's name servers at the registrar or in the parent zone",
		strings.Join(servers, ", "), name, strings.Join(z.servers, ", "))
}

func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// domain checks that the stage's domain leads to a distribution before load balancers
// redirect to it or are deleted. CloudFront names itself in every response.
func (p *preflight) domain(ctx context.Context) {
	const what = "domain"
	if p.stage.Domain == "" || p.stage.Front == stage.ALB || p.stage.DomainPending {
		return
	}
	const remedy = `load balancers would redirect blobs there; set "domainPending": true until a deployment has created its records`
	switch to, err := p.cloud.Output(ctx, stage.EdgeRegion, p.stage.Stack("domain", stage.EdgeRegion), stage.DomainTarget); {
	case err != nil:
		p.unknown(stage.EdgeRegion, what, err)
		return
	case to == stage.ToBalancers && p.stage.Front == stage.CloudFront:
		p.fail(stage.EdgeRegion, what, `%s leads to load balancers, which would be deleted before it leads to the distribution; deploy with "front": "both" and "domainPending": true first`, p.stage.Domain)
		return
	case to == stage.ToBalancers:
		p.fail(stage.EdgeRegion, what, "%s leads to load balancers; %s", p.stage.Domain, remedy)
		return
	case p.stage.Front == stage.CloudFront:
		return
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+p.stage.Domain+"/v2/", nil)
	if err != nil {
		p.unknown(stage.EdgeRegion, what, err)
		return
	}
	resp, err := p.client.Do(r)
	if err != nil {
		p.warn(stage.EdgeRegion, what, "%s is not reachable: %s; %s", p.stage.Domain, cli.OneLine(err), remedy)
		return
	}
	_ = resp.Body.Close()
	if resp.Header.Get("X-Amz-Cf-Id") == "" {
		p.warn(stage.EdgeRegion, what, "%s does not lead to a CloudFront distribution; %s", p.stage.Domain, remedy)
		return
	}
	p.pass(stage.EdgeRegion, what, "%s leads to a distribution", p.stage.Domain)
}
