package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"archeio/infra/stage"
)

// checkFronts changes the front of a stage from alb to cloudfront as the operations page
// says, removes the domain, and adds the first domain, while clients pull.
func (c *checks) checkFronts(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	if !c.full {
		c.progress.Note("skipped here: front from alb to both to cloudfront, and the first domain of a stage; make prove-all runs them")
		return
	}
	c.distribution = "" // of the edge that was destroyed
	opened := make(chan error, 1)
	c.changeWhilePulling(ctx, nil, change{"from alb to both: the domain leads to the distribution, and load balancers do not redirect to it", func(ctx context.Context) error {
		c.settings.front, c.settings.pending = stage.Both, true
		// Before the domain leads to the distribution, which does not sign requests here.
		go func() { opened <- c.openNewFunctionURL(ctx) }()
		return nil
	}, func(ctx context.Context) error {
		return cmp.Or(<-opened, c.leadsToDistribution(ctx), c.balancerRedirectsTo(ctx, "mirror "+regions[0]))
	}})
	if ctx.Err() != nil {
		return
	}
	if err := c.lookUp(ctx); err != nil {
		c.check("the new distribution is found", err)
		return
	}
	c.changeWhilePulling(ctx, nil, change{"both: load balancers redirect to the distribution", set(func() { c.settings.pending = false }), func(ctx context.Context) error {
		return c.balancerRedirectsTo(ctx, distribution)
	}})
	c.changeWhilePulling(ctx, []string{loadBalancer}, change{"another front: cloudfront", set(func() { c.settings.front = stage.CloudFront }), func(ctx context.Context) error {
		records, err := c.records(ctx, c.stage.BalancerDomain())
		return cmp.Or(err, want(len(records) == 0, "%s leads to %d load balancers, want none", c.stage.BalancerDomain(), len(records)), c.leadsToDistribution(ctx))
	}})
	c.changeWhilePulling(ctx, []string{domain}, change{"no domain, and its records are destroyed", func(ctx context.Context) error {
		c.settings.domain, c.settings.zoned, c.settings.aliases, c.settings.certificates = "", false, nil, nil
		return c.destroyLeftOver(ctx, stage.EdgeRegion, "domain") // preflight requires it
	}, func(ctx context.Context) error {
		records, err := c.records(ctx, domain)
		return cmp.Or(err, want(len(records) == 0, "the domain has %d records, want none", len(records)))
	}})
	c.changeWhilePulling(ctx, nil, change{"the first domain", set(func() { c.settings.domain, c.settings.zoned = domain, true }), c.leadsToDistribution})
}

// openNewFunctionURL waits for the function URL that a deployment creates, and opens it.
func (c *checks) openNewFunctionURL(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		err := c.openFunctionURL(ctx, regions[0], c.function)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return fmt.Errorf("waiting for the function URL: %w", err)
		}
	}
}

// leadsToDistribution returns an error unless the domain leads to the distribution, and
// serves the image.
func (c *checks) leadsToDistribution(ctx context.Context) error {
	name, err := c.distributionName(ctx)
	if err != nil {
		return err
	}
	records, err := c.records(ctx, domain)
	if err != nil {
		return err
	}
	if len(records) != 1 {
		return fmt.Errorf("the domain has %d records, want 1", len(records))
	}
	if to := strings.TrimSuffix(*records[0].AliasTarget.DNSName, "."); to != name {
		return fmt.Errorf("the domain leads to %s, want %s", to, name)
	}
	_, err = c.client(domain, viewer(homeClient)).Pull(ctx, c.image)
	return err
}

// balancerRedirectsTo returns an error unless a client in no cloud gets the image's first
// blob from a server if it pulls through the load balancer.
func (c *checks) balancerRedirectsTo(ctx context.Context, server string) error {
	p, err := c.client(c.stage.BalancerDomain(), nil).Pull(ctx, c.image)
	if err != nil {
		return err
	}
	got := c.serverName(p.Sources[c.image.Blobs[0].String()])
	return want(got == server, "a client of the load balancer got a blob from %s, want %s", got, server)
}
