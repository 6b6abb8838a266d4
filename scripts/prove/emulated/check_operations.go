package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// checkRegionLifecycle adds and removes a mirror region, and kills and repeats a
// deployment, while clients pull. Each step needs the one before it.
func (c *checks) checkRegionLifecycle(ctx context.Context) {
	pulls := c.startPulls(ctx)
	for _, step := range []struct {
		what string
		run  func(context.Context) error
	}{
		{newRegion + " is added as filling: its clients are not redirected to it", c.addRegion},
		{"the functions fill it until mirror status reports nothing missing", c.fillRegion},
		{"it is removed from filling: its clients are redirected to it", c.routeToRegion},
		{"a deployment is killed halfway and repeated", c.killAndRepeat},
		{"it is added to retiring: its clients are redirected to the next region", c.retireRegion},
		{"its stacks are destroyed: its bucket is retained, with its blobs", c.destroyRegion},
		{"it is removed from the stage", c.removeRegion},
	} {
		if ctx.Err() != nil {
			return
		}
		c.progress.Step("%s", step.what)
		err := step.run(ctx)
		c.check(step.what, err)
		if err != nil {
			break
		}
	}
	c.check("no client noticed", pulls.failed(c))
}

// redirectsTo returns an error unless a client in the new region gets the image's
// first blob from a server for a reason.
func (c *checks) redirectsTo(ctx context.Context, server, reason string) error {
	p, err := c.client(c.distribution, viewer(newRegionClient())).Pull(ctx, c.image)
	if err != nil {
		return err
	}
	blob := c.image.Blobs[0].String()
	got := c.serverName(p.Sources[blob])
	return want(got == server && p.Reasons[blob] == reason, "a client in %s got blob %s from %s (%s), want %s (%s)",
		newRegion, blob[:19], got, p.Reasons[blob], server, reason)
}

// redeploy deploys the stage as it is now, and puts the rules that the emulator's
// CloudFormation ignores.
func (c *checks) redeploy(ctx context.Context) (err error) {
	if c.deployed.stage, err = c.settings.load(); err != nil {
		return err
	}
	if _, err := c.deploy(ctx, c.settings); err != nil {
		return err
	}
	return c.putBucketRules(ctx)
}

func (c *checks) addRegion(ctx context.Context) error {
	c.settings.mirrors, c.settings.filling = append(slices.Clone(regions), newRegion), []string{newRegion}
	if err := c.redeploy(ctx); err != nil {
		return err
	}
	return c.redirectsTo(ctx, "mirror "+regions[1], "nearest-region")
}

func (c *checks) fillRegion(ctx context.Context) error {
	if err := c.plan(ctx); err != nil {
		return err
	}
	if err := c.waitForWorkers(ctx); err != nil {
		return err
	}
	var status struct {
		Mirrors []struct {
			Mirror  string
			Missing int
		}
	}
	if err := c.mirror(ctx, &status, "status"); err != nil {
		return err
	}
	for _, m := range status.Mirrors {
		if m.Missing > 0 {
			return fmt.Errorf("mirror status reports %+v", status.Mirrors)
		}
	}
	return nil
}

func (c *checks) routeToRegion(ctx context.Context) error {
	c.settings.filling = nil
	if err := c.redeploy(ctx); err != nil {
		return err
	}
	return c.redirectsTo(ctx, "mirror "+newRegion, "aws-region")
}

func (c *checks) killAndRepeat(ctx context.Context) error {
	c.settings.infoURL = "https://archeio.example/second"
	stacks, err := c.killDeployment(ctx, c.settings, "redirector")
	if err != nil {
		return err
	}
	c.progress.Note("stacks when it was killed: %s", stacks)
	if err := c.redeploy(ctx); err != nil {
		return err
	}
	status, header, err := c.get(ctx, "https://"+c.distribution+"/", nil)
	if err != nil {
		return err
	}
	to := header.Get("Location")
	return want(to == c.settings.infoURL, "the function returns status %d with Location %q, want %q", status, to, c.settings.infoURL)
}

func (c *checks) retireRegion(ctx context.Context) error {
	c.settings.retiring = []string{newRegion}
	if err := c.redeploy(ctx); err != nil {
		return err
	}
	return c.redirectsTo(ctx, "mirror "+regions[1], "nearest-region")
}

func (c *checks) destroyRegion(ctx context.Context) error {
	stacks := []string{c.stage.Stack("mirror", newRegion), c.stage.Stack("watch", newRegion)}
	if _, err := c.cdk(ctx, c.settings, append([]string{"destroy", "--force"}, stacks...)...); err != nil {
		return err
	}
	left, err := c.stacks(ctx, newRegion)
	if err != nil {
		return err
	}
	for name := range left {
		if strings.HasPrefix(name, "archeio-") {
			return fmt.Errorf("stack %s still exists", name)
		}
	}
	return c.hasFirstBlob(ctx, newRegion)
}

func (c *checks) removeRegion(ctx context.Context) error {
	c.settings.mirrors, c.settings.retiring = regions, nil
	if err := c.redeploy(ctx); err != nil {
		return err
	}
	return c.redirectsTo(ctx, "mirror "+regions[1], "nearest-region")
}
