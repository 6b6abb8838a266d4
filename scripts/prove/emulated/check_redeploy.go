package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"archeio/lambda/config"
)

// checkRedeploy deploys again, without a change and with one.
func (c *checks) checkRedeploy(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Step("deploying again")
	out, err := c.deploy(ctx, c.settings)
	if n, all := strings.Count(out, "(no changes)"), len(c.stage.Stacks()); err == nil && n != all {
		err = outputError(fmt.Errorf("%d of %d stacks have no changes", n, all), out)
	}
	c.check("a second cdk deploy changes nothing", err)
	c.progress.Step("deploying a changed stage")
	c.settings.infoURL = "https://archeio.example/second"
	_, err = c.deploy(ctx, c.settings)
	c.check("a changed stage can be deployed", err)
	c.expect(ctx, "the changed function serves", "https://"+c.distribution+"/", nil, 302, map[string]string{"Location": c.settings.infoURL})
}

// checkDestroy destroys the stage, with termination protection and without.
func (c *checks) checkDestroy(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Step("cdk destroy")
	out, err := c.cdk(ctx, c.settings, "destroy", "--all", "--force")
	if err != nil && strings.Contains(strings.ToLower(out), "terminationprotection") {
		err = nil
	} else {
		err = outputError(errors.New("cdk destroy did not report termination protection"), out)
	}
	c.check("termination protection blocks cdk destroy", err)
	c.settings.protected = false
	_, err = c.deploy(ctx, c.settings)
	c.check("termination protection can be turned off", err)
	_, err = c.cdk(ctx, c.settings, "destroy", "--all", "--force")
	c.check("cdk destroy succeeds then", err)
	for _, region := range regions {
		c.check("the bucket in "+region+" is retained, with its blobs", c.hasFirstBlob(ctx, region))
	}
}

// hasFirstBlob returns an error unless the bucket of a region has the image's first
// blob.
func (c *checks) hasFirstBlob(ctx context.Context, region string) error {
	return c.aws(ctx, region, nil, "s3api", "head-object", "--bucket", bucketName(region), "--key", config.BlobPrefix+c.image.Blobs[0].String())
}
