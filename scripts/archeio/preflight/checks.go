package preflight

import (
	"context"
	"time"

	"archeio/infra/stage"
	"archeio/ranges"
	"archeio/scripts/archeio/cli"
)

// Values of check.Where that are not regions.
const (
	inUpstream = "upstream"
	inAccount  = "account"
	inRelease  = "release"
)

type preflight struct {
	external
	stage *stage.Stage
	cloud cloud
	// qualifier is that of the CDK's bootstrap stacks.
	qualifier string
	rate      float64 // requests per second of a redirector region
	image     string  // of the upstream, as NAME:TAG; empty for none
	progress  cli.Progress
	checks    []cli.Check
}

// run makes all checks but that of another stage. It stops and returns false if
// the credentials are not for the stage's account.
func (p *preflight) run(ctx context.Context) bool {
	p.upstreams(ctx)
	p.progress.Show("the account")
	if !p.credentials(ctx) {
		return false
	}
	p.publicAccess(ctx)
	p.organization(ctx)
	p.zone(ctx)
	p.certificates(ctx)
	p.domain(ctx)
	p.hosts(ctx)
	p.alarms()
	p.ranges()
	p.edge(ctx)
	p.abandoned(ctx)
	p.routed(ctx)
	regions := p.stage.StackRegions()
	for i, region := range regions {
		p.progress.Show("%s (region %d of %d)", region, i+1, len(regions))
		p.region(ctx, region)
	}
	return true
}

// ranges shows the date of the IP ranges that are deployed.
func (p *preflight) ranges() {
	const what = "IP ranges"
	date := ranges.Date().Format(time.DateOnly)
	if p.stage.Refreshes() {
		p.pass(inAccount, what, "those in the binary are of %s, and are refreshed without a deployment", date)
		return
	}
	p.pass(inAccount, what, "those in the binary are of %s, and are not refreshed", date)
}
