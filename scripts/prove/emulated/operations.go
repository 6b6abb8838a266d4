package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"archeio/lambda/config"
	"archeio/ranges"
	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/system"
)

// operate does what the people of a stage do to it while clients pull: a mirror
// region comes and goes, and a deployment is killed and repeated. Each step needs
// the one before it.
func (c *checks) operate(ctx context.Context) {
	pulling := c.startPulling(ctx)
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{newRegion + " is added as filling; its clients are not sent to it", c.addRegion},
		{"the functions fill it, until mirror status calls it full", c.fillRegion},
		{"it is taken out of filling; its clients are sent to it", c.routeTo},
		{"a deployment is killed half-way, and repeated", c.killAndRepeat},
		{"it is put into retiring; its clients are sent past it", c.retireRegion},
		{"its stacks are destroyed; its bucket is kept, with its blobs", c.destroyRegion},
		{"it is taken out of the stage", c.removeRegion},
	} {
		if ctx.Err() != nil {
			return
		}
		c.say(step.what)
		err := step.do(ctx)
		c.check(step.what, found(err, true, ""))
		if err != nil {
			break
		}
	}
	pulling.stop()
	total, by := pulling.done()
	c.say("pulls meanwhile: %s", by)
	c.check(fmt.Sprintf("none of %d pulls meanwhile failed, and none of their %d requests", total, pulling.requests),
		found(nil, total > 0 && len(pulling.failed) == 0, strings.Join(pulling.failed, "\n")))
}

// newClient is in the region that comes and goes.
func newClient() netip.Addr { return system.Address(ranges.AWS, newRegion) }

// sentTo is an error unless a client of the new region gets the image's first
// blob from a server, for a reason.
func (c *checks) sentTo(ctx context.Context, server, reason string) error {
	p, err := pull.Client{Registry: c.distribution, Secure: true, Transport: c.network, SetAddress: as(newClient())}.Pull(ctx, c.image)
	if err != nil {
		return err
	}
	blob := c.image.Blobs[0].String()
	if from := c.who(p.Sources[blob]); from != server || p.Reasons[blob] != reason {
		return fmt.Errorf("a client of %s got blob %s from %s (%s), it must get it from %s (%s)", newRegion, blob[:19], from, p.Reasons[blob], server, reason)
	}
	return nil
}

// redeploy deploys the stage as it is now, and puts the rules again that the
// emulator's CloudFormation drops.
func (c *checks) redeploy(ctx context.Context) error {
	if _, err := c.deploy(ctx, c.settings); err != nil {
		return err
	}
	return c.putBucketRules(ctx)
}

func (c *checks) addRegion(ctx context.Context) error {
	c.settings.mirrors, c.settings.filling = append(slices.Clone(regions), newRegion), []string{newRegion}
	if _, err := c.cdk(ctx, c.settings, "bootstrap", "aws://"+account+"/"+newRegion); err != nil {
		return err
	}
	if err := c.redeploy(ctx); err != nil {
		return err
	}
	return c.sentTo(ctx, "mirror "+regions[1], "nearest-region")
}

func (c *checks) fillRegion(ctx context.Context) error {
	if err := c.plan(ctx); err != nil {
		return err
	}
	if err := c.worked(ctx); err != nil {
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
			return fmt.Errorf("mirror status says %+v", status.Mirrors)
		}
	}
	return nil
}

func (c *checks) routeTo(ctx context.Context) error {
	c.settings.filling = nil
	if err := c.redeploy(ctx); err != nil {
		return err
	}
	return c.sentTo(ctx, "mirror "+newRegion, "aws-region")
}

func (c *checks) retireRegion(ctx context.Context) error {
	c.settings.retiring = []string{newRegion}
	if err := c.redeploy(ctx); err != nil {
		return err
	}
	return c.sentTo(ctx, "mirror "+regions[1], "nearest-region")
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
			return fmt.Errorf("the stack %s is still there", name)
		}
	}
	return c.aws(ctx, newRegion, nil, "s3api", "head-object", "--bucket", bucketName(newRegion), "--key", config.BlobPrefix+c.image.Blobs[0].String())
}

func (c *checks) removeRegion(ctx context.Context) error {
	c.settings.mirrors, c.settings.retiring = regions, nil
	if err := c.redeploy(ctx); err != nil {
		return err
	}
	return c.sentTo(ctx, "mirror "+regions[1], "nearest-region")
}

func (c *checks) killAndRepeat(ctx context.Context) error {
	c.settings.infoURL = "https://archeio.example/second"
	left, err := c.kill(ctx, c.settings, "redirector")
	if err != nil {
		return err
	}
	c.say("killed; the stacks were: %s", left)
	if err := c.redeploy(ctx); err != nil {
		return err
	}
	status, answer, err := c.get(ctx, "https://"+c.distribution+"/", nil)
	if to := answer.Get("Location"); err == nil && to != c.settings.infoURL {
		err = fmt.Errorf("the function that serves answers %d with %q, not with what was deployed", status, to)
	}
	return err
}

// stacks are the stacks of a region with their status.
func (e *emulator) stacks(ctx context.Context, region string) (map[string]string, error) {
	var answer struct {
		Stacks []struct{ StackName, StackStatus string }
	}
	if err := e.aws(ctx, region, &answer, "cloudformation", "describe-stacks"); err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, s := range answer.Stacks {
		if s.StackStatus != "DELETE_COMPLETE" {
			all[s.StackName] = s.StackStatus
		}
	}
	return all, nil
}
