package preflight

import (
	"context"
	"slices"
	"sync"

	"archeio/infra/leftover"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// parallelRegions is how many regions are searched at the same time.
const parallelRegions = 8

// abandoned searches all regions for deployed stacks that the stage does not have: a region
// that was taken out of it may still serve clients, or fill the mirrors.
func (p *preflight) abandoned(ctx context.Context) {
	const what = "other stacks"
	p.progress.Show("all regions for stacks that the stage does not have")
	var names []string
	for r := range regions.All(string(ranges.AWS)) {
		if r.Partition == "aws" {
			names = append(names, r.Name)
		}
	}
	type result struct {
		found []leftover.Abandoned
		err   error
	}
	results := make([]result, len(names))
	free := make(chan struct{}, parallelRegions)
	var wait sync.WaitGroup
	for i, region := range names {
		wait.Go(func() {
			free <- struct{}{}
			results[i].found, results[i].err = leftover.FindAbandoned(ctx, p.cloud, p.stage, region)
			<-free
		})
	}
	wait.Wait()
	own := p.stage.StackRegions()
	clean := true
	for i, region := range names {
		details, blocks := leftover.CheckAbandoned(p.stage, results[i].found)
		switch {
		// A region that the account has not enabled refuses its credentials.
		case results[i].err != nil && !slices.Contains(own, region):
		case results[i].err != nil:
			clean = false
			p.unknown(region, what, results[i].err)
		case blocks:
			clean = false
			p.fail(region, what, "%s", details)
		case details != "":
			clean = false
			p.warn(region, what, "%s", details)
		}
	}
	if clean {
		p.pass(inAccount, what, "no region has stacks of the stage that it does not have any more")
	}
}
