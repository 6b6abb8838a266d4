package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"archeio/lambda/config"
	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/system"
)

// checkRedeploy deploys again, without a change.
func (c *checks) checkRedeploy(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Step("deploying again")
	out, err := c.deploy(ctx, c.settings)
	var changed []string
	for _, stack := range c.stage.Stacks() {
		if !strings.Contains(out, stack.Name+" (no changes)") {
			changed = append(changed, stack.Name)
		}
	}
	if err == nil && len(changed) > 0 {
		err = outputError(fmt.Errorf("%s changed", strings.Join(changed, ", ")), out)
	}
	c.check("a second cdk deploy changes nothing", err)
}

// startTokenUpstream starts a registry that requires a token, with the published image, as
// the upstream of the stage.
func (c *checks) startTokenUpstream(ctx context.Context) error {
	u, stop, err := system.StartTokenUpstream(ctx, c.log, c.dir, "")
	c.closers = append(c.closers, stop)
	if err != nil {
		return err
	}
	repository := strings.TrimPrefix(u.Publisher, "http://") + "/" + system.Prefix + "/" + pull.Repository
	image, err := pull.Publish(ctx, repository, func(context.Context) error { return nil })
	if err == nil && image.Digest != c.image.Digest {
		err = fmt.Errorf("it has the image %s, the other one has %s", image.Digest, c.image.Digest)
	}
	if err == nil {
		c.token = u
	}
	return err
}

// checkRelayed pulls through the distribution from the upstream that requires a token.
func (c *checks) checkRelayed(ctx context.Context) error {
	want := pull.Want{Present: distribution, PresentReason: "default-mirror", Missing: "upstream storage", MissingReason: "mirror-absent"}
	p, err := c.client(c.distribution, viewer(homeClient)).Pull(ctx, c.image)
	if err != nil {
		return err
	}
	if mismatch := p.Mismatch(want, c.image, c.serverName); mismatch != "" {
		return errors.New(mismatch)
	}
	if from := c.serverName(p.Manifest); from != distribution {
		return fmt.Errorf("the manifest came from %s, want it relayed by the distribution", from)
	}
	for _, h := range p.Hops {
		if h.Status == http.StatusUnauthorized {
			return fmt.Errorf("%s responded with 401", c.serverName(h.URL))
		}
	}
	return nil
}

// checkDestroy destroys the stage.
func (c *checks) checkDestroy(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	if c.settings.protected { // unless the part that removes it was not selected
		c.progress.Step("removing termination protection")
		c.settings.protected = false
		if _, err := c.deploy(ctx, c.settings); err != nil {
			c.check("termination protection is removed", err)
			return
		}
	}
	c.progress.Step("cdk destroy")
	_, err := c.cdk(ctx, c.settings, "destroy", "--all", "--force")
	c.check("the unprotected stage is destroyed", err)
	for _, region := range regions {
		c.check("the bucket in "+region+" is retained, with its blobs", c.hasFirstBlob(ctx, region))
	}
}

// hasFirstBlob returns an error unless the bucket of a region has the image's first
// blob.
func (c *checks) hasFirstBlob(ctx context.Context, region string) error {
	return c.aws(ctx, region, nil, "s3api", "head-object", "--bucket", bucketName(region), "--key", config.BlobPrefix+c.image.Blobs[0].String())
}
