package preflight

import (
	"context"
	"slices"
	"strings"

	"archeio/infra/stage"
	"archeio/scripts/archeio/cli"
)

// alarms checks whether anyone is notified of alarms.
func (p *preflight) alarms() {
	const what = "alarms"
	if p.stage.Email == "" {
		p.warn(inAccount, what, "no one is notified of alarms; set email, or subscribe to the topic %s in each region", p.stage.AlarmTopic())
		return
	}
	p.pass(inAccount, what, "%s is notified, after the subscription of each region is confirmed", p.stage.Email)
}

// hosts checks the host names of the registry: no other distribution has one of them, and
// no records are in the way, or those that the stage cannot create exist.
func (p *preflight) hosts(ctx context.Context) {
	const what = "host names"
	if p.stage.Domain == "" {
		return
	}
	own, err := p.cloud.Output(ctx, stage.EdgeRegion, p.stage.Stack("edge", stage.EdgeRegion), stage.DistributionName)
	if err != nil {
		p.unknown(stage.EdgeRegion, what, err)
		return
	}
	if p.stage.HasDistribution() {
		taken, err := p.cloud.aliases(ctx)
		if err != nil {
			p.unknown(stage.EdgeRegion, what, err)
		}
		for _, host := range p.stage.Hosts() {
			if other := taken[host]; other != "" && other != own {
				p.fail(stage.EdgeRegion, what, "%s is an alternate domain name of the distribution %s, and CloudFront allows it in one only; remove it there", host, other)
			}
		}
	}
	records, err := p.cloud.Output(ctx, stage.EdgeRegion, p.stage.Stack("domain", stage.EdgeRegion), stage.Records)
	if err != nil {
		p.unknown(stage.EdgeRegion, what, err)
		return
	}
	deployed := strings.Split(records, ",")
	hosts := p.stage.Hosts()
	if p.stage.HasLoadBalancers() {
		hosts = append(hosts, p.stage.BalancerDomain())
		if name, err := p.balancer(ctx); err != nil {
			p.unknown(stage.EdgeRegion, what, err)
			return
		} else if name != "" {
			deployed = append(deployed, p.stage.BalancerDomain())
		}
	}
	for _, host := range hosts {
		switch {
		case !p.stage.InZone(host):
			p.leads(ctx, host, own)
		case !slices.Contains(deployed, host):
			p.noRecords(ctx, host)
		}
	}
}

// balancer returns the host name of a deployed load balancer, or the empty string if none is deployed.
func (p *preflight) balancer(ctx context.Context) (string, error) {
	for _, region := range p.stage.Redirectors {
		if name, err := p.cloud.Output(ctx, region, p.stage.Stack("redirector", region), stage.BalancerName); err != nil || name != "" {
			return name, err
		}
	}
	return "", nil
}

// noRecords checks that the records of a host can be created.
func (p *preflight) noRecords(ctx context.Context, host string) {
	const what = "host names"
	kinds, err := p.cloud.records(ctx, p.stage.Zone.ID, host)
	switch {
	case err != nil:
		p.unknown(stage.EdgeRegion, what, err)
	case len(kinds) > 0:
		p.fail(stage.EdgeRegion, what, "%s has %s records, which CloudFormation does not replace; delete them right before the deployment, or deploy without hostedZone and change them afterwards", host, strings.Join(kinds, " and "))
	default:
		p.pass(stage.EdgeRegion, what, "%s has no records, so they can be created", host)
	}
}

// balancers is the suffix of the host names of load balancers.
const balancers = ".elb.amazonaws.com"

// leads checks where public DNS leads a host of which the stage creates no records. own is
// the host name of the distribution, empty if it is not deployed.
func (p *preflight) leads(ctx context.Context, host, own string) {
	const what = "host names"
	kind, stack := "the distribution", "the edge stack"
	toBalancer := !p.stage.HasDistribution() || host == p.stage.BalancerDomain()
	if toBalancer {
		kind, stack = "a load balancer", "each redirector stack"
	}
	missing := "its records must be created after the deployment, see the output RecordsToCreate of " + stack
	found, err := p.canonical(ctx, host)
	found = strings.TrimSuffix(found, ".")
	switch {
	case err != nil:
		p.warn(stage.EdgeRegion, what, "could not look up %s: %s; %s", host, cli.OneLine(err), missing)
	case toBalancer && strings.HasSuffix(found, balancers), !toBalancer && own != "" && found == own:
		p.pass(stage.EdgeRegion, what, "%s leads to %s", host, kind)
	default:
		p.warn(stage.EdgeRegion, what, "%s leads to %s; %s", host, found, missing)
	}
}
