package main

import (
	"context"
	"fmt"
	"strings"

	"archeio/infra/stage"
)

// checkAdopt adopts the buckets of the destroyed stage, and deploys the rest of the
// stage.
func (c *checks) checkAdopt(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Step("adopting the buckets, and deploying the rest")
	c.check("the buckets of a destroyed stage are adopted, with their blobs", c.adopt(ctx))
}

func (c *checks) adopt(ctx context.Context) error {
	for _, b := range c.stage.RetainedBuckets() {
		// The emulator's CloudFormation does not tag buckets.
		err := c.aws(ctx, b.Region, nil, "s3api", "put-bucket-tagging", "--bucket", b.Name, "--tagging", "TagSet=[{Key="+stage.Tag+",Value="+stageName+"}]")
		if err != nil {
			return err
		}
	}
	if err := c.writeStages(c.settings.json()); err != nil {
		return err
	}
	cdk := strings.Join(append(c.cdkLine(c.settings), "--require-approval=never"), " ")
	_, all, code, err := c.archeio(ctx, "adopt", "-stage", stageName, "-file", c.stagesFile(), "-cdk", cdk)
	if err == nil && code != 0 {
		err = fmt.Errorf("archeio adopt: exit code %d", code)
	}
	if err != nil {
		return outputError(err, all)
	}
	for _, region := range regions {
		stacks, err := c.stacks(ctx, region)
		if err != nil {
			return err
		}
		if name := c.stage.Stack("mirror", region); stacks[name] != "CREATE_COMPLETE" {
			return outputError(fmt.Errorf("stack %s is %q, want CREATE_COMPLETE", name, stacks[name]), all)
		}
		if err := c.hasFirstBlob(ctx, region); err != nil {
			return err
		}
	}
	_, err = c.deploy(ctx, c.settings)
	return err
}
