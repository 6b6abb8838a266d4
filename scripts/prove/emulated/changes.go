package main

import (
	"context"
	"fmt"
	"strings"
)

// change is a change of the live stage.
type change struct {
	what string
	// apply changes the settings, and does what operators do before they deploy.
	apply func(context.Context) error
	// effect does what operators do afterwards, and returns an error unless the change is
	// deployed.
	effect func(context.Context) error
}

// set returns an apply that only changes the settings.
func set(change func()) func(context.Context) error {
	return func(context.Context) error { change(); return nil }
}

// changeWhilePulling makes changes of the stage by one deployment, while clients pull
// through all entry points but those that the changes remove.
func (c *checks) changeWhilePulling(ctx context.Context, without []string, changes ...change) {
	if ctx.Err() != nil {
		return
	}
	var names []string
	for _, x := range changes {
		names = append(names, x.what)
	}
	c.progress.Step("while clients pull: %s", strings.Join(names, "; "))
	all := names[0]
	if more := len(names) - 1; more > 0 {
		all += fmt.Sprintf(", and %d more", more)
	}
	p := c.startPulls(ctx, without...)
	defer func() { c.check("no client noticed: "+all, p.failed(c)) }()
	for _, x := range changes {
		if err := x.apply(ctx); err != nil {
			c.check(x.what, err)
			return
		}
	}
	if err := c.redeploy(ctx); err != nil {
		c.check("deployed: "+all, err)
		return
	}
	for _, x := range changes {
		c.check(x.what, x.effect(ctx))
	}
}

// failed stops the pulls and returns an error if one failed, or one of their requests.
func (p *pulls) failed(c *checks) error {
	p.stop()
	total, byClient := p.count()
	c.progress.Note("pulls at the same time: %s; %d requests", byClient, p.requests)
	for i, n := range p.pulled {
		if n == 0 {
			p.fail("%s has not pulled", p.clients[i].name)
		}
	}
	return want(len(p.failures) == 0 && total > 0, "%d failures:\n%s", len(p.failures), strings.Join(p.failures, "\n"))
}

// destroyLeftOver runs archeio destroy for a region, as make destroy REGION= does, and
// returns an error unless exactly these kinds of stacks were deleted.
func (c *checks) destroyLeftOver(ctx context.Context, region string, kinds ...string) error {
	if err := c.writeStages(c.settings.json()); err != nil {
		return err
	}
	before, err := c.stacks(ctx, region)
	if err != nil {
		return err
	}
	_, all, code, err := c.archeio(ctx, "destroy", "-stage", stageName, "-file", c.stagesFile(), "-region", region, "-yes")
	if err == nil && code != 0 {
		err = fmt.Errorf("archeio destroy: exit code %d", code)
	}
	if err != nil {
		return outputError(err, all)
	}
	after, err := c.stacks(ctx, region)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		name := c.stage.Stack(kind, region)
		if before[name] == "" || after[name] != "" {
			return fmt.Errorf("stack %s was %q before and is %q after archeio destroy, want it deleted", name, before[name], after[name])
		}
	}
	return want(len(before)-len(after) == len(kinds), "there were %d stacks and there are %d, want %d fewer", len(before), len(after), len(kinds))
}
