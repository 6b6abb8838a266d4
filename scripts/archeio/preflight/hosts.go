package preflight

import (
	"context"
	"fmt"
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
	deployed, err := p.cloud.StackStatus(ctx, stage.EdgeRegion, p.stage.Stack("domain", stage.EdgeRegion))
	if err != nil {
		p.unknown(stage.EdgeRegion, what, err)
		return
	}
	for _, host := range p.stage.Hosts() {
		switch {
		case !p.stage.InZone(host):
			p.leads(ctx, host, own)
		case deployed == "":
			p.noRecords(ctx, host)
		}
	}
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

// leads checks where public DNS leads a host of which the stage creates no records. own is
// the host name of the distribution, empty if it is not deployed.
func (p *preflight) leads(ctx context.Context, host, own string) {
	const what = "host names"
	if !p.stage.HasDistribution() {
		return // to a load balancer of any region
	}
	missing := "its records must be created after the deployment, see the output RecordsToCreate of the edge stack"
	to, err := p.canonical(ctx, host)
	to = strings.TrimSuffix(to, ".")
	switch {
	case own != "" && to == own:
		p.pass(stage.EdgeRegion, what, "%s leads to the distribution", host)
	case err != nil:
		p.warn(stage.EdgeRegion, what, "%s", fmt.Sprintf("could not look up %s: %s; %s", host, cli.OneLine(err), missing))
	default:
		p.warn(stage.EdgeRegion, what, "%s leads to %s; %s", host, to, missing)
	}
}
