package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"archeio/infra/stage"
	"archeio/lambda/config"
)

// adopt takes back the buckets of the stage that was destroyed, by the program
// of make adopt, and deploys the rest of the stage around them.
func (c *checks) adopt(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.say("taking the buckets back in, and deploying the rest")
	c.check("the buckets of a stage that was destroyed are adopted, with their blobs", found(c.adopted(ctx), true, ""))
}

func (c *checks) adopted(ctx context.Context) error {
	for _, b := range c.stage.RetainedBuckets() {
		// The emulator's CloudFormation puts no tags on buckets.
		err := c.aws(ctx, b.Region, nil, "s3api", "put-bucket-tagging", "--bucket", b.Name, "--tagging", "TagSet=[{Key="+stage.Tag+",Value="+stageName+"}]")
		if err != nil {
			return err
		}
	}
	if err := c.build(ctx, "adopt"); err != nil {
		return err
	}
	if err := c.writeStages(c.settings.json()); err != nil {
		return err
	}
	cdk := strings.Join(append(c.cdkLine(c.settings), "--require-approval=never"), " ")
	_, all, err := c.commandIn(ctx, c.root, append(c.environment(regions[0]), "HTTPS_PROXY=http://"+c.proxy),
		filepath.Join(c.dir, "adopt"), "-stage", stageName, "-file", c.stagesFile(), "-cdk", cdk)
	if err != nil {
		return fmt.Errorf("%w; the end of what it wrote:\n%s", err, end(all))
	}
	for _, region := range regions {
		stacks, err := c.stacks(ctx, region)
		if err != nil {
			return err
		}
		if name := c.stage.Stack("mirror", region); stacks[name] != "CREATE_COMPLETE" {
			return fmt.Errorf("the stack %s is in %q; the end of what adopt wrote:\n%s", name, stacks[name], end(all))
		}
		if err := c.aws(ctx, region, nil, "s3api", "head-object", "--bucket", bucketName(region), "--key", config.BlobPrefix+c.image.Blobs[0].String()); err != nil {
			return err
		}
	}
	_, err = c.deploy(ctx, c.settings)
	return err
}
