package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// foreignHost is a host to which no client of the stage may be redirected.
const foreignHost = "attacker.example"

// checkHook runs the rollout hook against the deployed version of the redirector, and
// against one that redirects to a foreign host.
func (c *checks) checkHook(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Step("the rollout hook tests versions of the redirector")
	if err := c.testVersions(ctx); err != nil {
		c.check("the rollout hook can be created and invoked", err)
	}
}

func (c *checks) testVersions(ctx context.Context) (err error) {
	good, err := c.liveVersion(ctx)
	if err != nil {
		return err
	}
	env, err := c.environmentOf(ctx, "live")
	if err != nil {
		return err
	}
	service := &codeDeploy{}
	endpoint, stop, err := service.serve()
	if err != nil {
		return err
	}
	defer stop()
	h, err := c.createHook(ctx, env, c.versionARN(good), endpoint)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.remove(ctx)) }()

	failures, err := h.try(ctx)
	if err != nil {
		return err
	}
	c.check("the rollout hook passes the deployed version", want(len(failures) == 0, "failures:\n%s", strings.Join(failures, "\n")))
	c.check("the rollout hook reports Succeeded to CodeDeploy", service.expect(func() error { return h.call(ctx) }, "Succeeded"))

	bad, err := c.publishForeign(ctx)
	if err != nil {
		return err
	}
	if failures, err = h.tryVersion(ctx, c.versionARN(bad)); err != nil {
		return err
	}
	c.check("the rollout hook fails a version that redirects to a foreign host", namesForeignHost(failures))
	c.check("the rollout hook reports Failed to CodeDeploy", service.expect(func() error { return h.call(ctx) }, "Failed"))
	c.check("clients are redirected as before", c.redirectsTo(ctx, "mirror "+regions[1], "nearest-region"))

	// The function without a version.
	if failures, err = h.tryVersion(ctx, strings.TrimSuffix(c.versionARN(""), ":")); err != nil {
		return err
	}
	denied := slices.ContainsFunc(failures, func(f string) bool { return strings.Contains(f, "AccessDenied") })
	c.check("the rollout hook may invoke versions only", want(denied, "no AccessDenied in the failures:\n%s", strings.Join(failures, "\n")))

	if err := c.aws(ctx, regions[0], nil, "lambda", "delete-function", "--function-name", c.function, "--qualifier", bad); err != nil {
		return err
	}
	c.check("the alias live and the unpublished version are as before", c.isUnchanged(ctx, good, env))
	return nil
}

func (c *checks) isUnchanged(ctx context.Context, version string, env map[string]string) error {
	now, err := c.liveVersion(ctx)
	if err != nil {
		return err
	}
	latest, err := c.environmentOf(ctx, "$LATEST")
	if err != nil {
		return err
	}
	return want(now == version && maps.Equal(latest, env), "version %s with %v, want version %s with %v", now, latest, version, env)
}

// namesForeignHost returns an error unless a failure at each entry point names the
// foreign host.
func namesForeignHost(failures []string) error {
	for _, entryPoint := range []string{"alb", "url"} {
		if !slices.ContainsFunc(failures, func(f string) bool {
			return strings.HasPrefix(f, entryPoint+", ") && strings.Contains(f, `"https://`+foreignHost+"/")
		}) {
			return fmt.Errorf("no failure of the entry point %s names %s:\n%s", entryPoint, foreignHost, tail(strings.Join(failures, "\n")))
		}
	}
	return nil
}
