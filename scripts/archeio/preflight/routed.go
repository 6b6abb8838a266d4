package preflight

import (
	"context"
	"slices"
	"strings"

	"archeio/infra/stage"
)

// routed checks that clients are not redirected to a new mirror before it is filled: each
// of its missing blobs would cost them a check and a way to another mirror.
func (p *preflight) routed(ctx context.Context) {
	const what = "new mirror"
	first := p.stage.Redirectors[0]
	value, err := p.cloud.Output(ctx, first, p.stage.Stack("redirector", first), stage.UsesMirrors)
	if err != nil {
		p.unknown(first, what, err)
		return
	}
	if value == "" {
		return // nothing is deployed, so no clients are affected
	}
	for _, region := range p.stage.Routed() {
		if region == p.stage.Primary || slices.Contains(strings.Split(value, ","), region) {
			continue
		}
		status, err := p.cloud.StackStatus(ctx, region, p.stage.Stack("mirror", region))
		if err != nil {
			p.unknown(region, what, err)
			continue
		}
		if status == "" {
			p.fail(region, what, "the mirror is new and has no blobs; put %s into filling, deploy, and take it out when archeio mirror status reports it full", region)
			continue
		}
		switch missing, known, err := p.cloud.missingBlobs(ctx, p.stage.Primary, region); {
		case err != nil:
			p.unknown(region, what, err)
		case !known:
			p.warn(region, what, "could not check whether the mirror is full: the planner has not reported it in the last two days; run archeio mirror status, and put %s into filling unless it is full", region)
		case missing > 0:
			p.fail(region, what, "%d blobs are missing; put %s into filling until archeio mirror status reports it full", missing, region)
		default:
			p.pass(region, what, "no blobs are missing")
		}
	}
}
