package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"archeio/lambda/config"
	"archeio/lambda/copier"
	"archeio/lambda/registry"
	"archeio/scripts/lab/system"
)

// mirror runs archeio mirror with the deployed mirrors and state.
func (d *deployed) mirror(ctx context.Context, into any, command string, args ...string) error {
	all := []string{"mirror", command, "-json"}
	if command != "verify" { // which reads no state unless it replaces blobs
		all = append(all, "-state", "s3://"+d.stage.StateBucket())
	}
	for _, region := range d.settings.filled() {
		all = append(all, "-bucket", d.settings.bucket(region)+"@"+region)
	}
	if command != "withdraw" && command != "verify" {
		all = append(all, "-source", strings.TrimPrefix(d.upstream, "http://")+"/"+system.Prefix)
	}
	return d.archeioJSON(ctx, into, append(all, args...)...)
}

// copyResult is what archeio mirror copy prints.
type copyResult struct {
	Copied struct{ Blobs, FromBucket, Existed, Pending int }
}

// checkMirrorCommands runs the commands of archeio mirror. Each check needs the one
// before it.
func (c *checks) checkMirrorCommands(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Step("archeio mirror status, copy, verify and withdraw")
	var status struct {
		Mirrors []struct{ Missing int }
	}
	err := c.mirror(ctx, &status, "status")
	c.check("mirror status reports the blob that was pushed last as missing",
		cmp.Or(err, want(len(status.Mirrors) == 2 && status.Mirrors[0].Missing == 1, "got %+v", status)))

	var copied copyResult
	err = c.mirror(ctx, &copied, "copy")
	// Replication may have replicated it already, or be about to.
	c.check("mirror copy copies it, and leaves the replica to replication",
		cmp.Or(err, want(copied.Copied.Blobs == 1 && copied.Copied.Existed+copied.Copied.Pending == 1, "got %+v", copied)))

	missing := c.image.Missing.String()
	c.check("a blob that is missing in a replica is copied from bucket to bucket", c.copyFromBucket(ctx, missing))
	c.check("S3 does not copy an object that has changed since it was hashed", c.copyChanged(ctx, missing))

	var verified struct {
		Checked int
		Wrong   []any
	}
	err = c.mirror(ctx, &verified, "verify")
	c.check("mirror verify finds no wrong blob", cmp.Or(err, want(verified.Checked >= 8 && len(verified.Wrong) == 0, "got %+v", verified)))

	c.check("mirror withdraw removes a blob in all versions and invalidates it at the edge", c.withdraw(ctx, missing))
	for _, region := range regions {
		c.expect(ctx, "it is not in "+region, c.stage.MirrorURL(region)+"/"+config.BlobPrefix+missing, nil, http.StatusNotFound, nil)
	}
	var plan struct{ Withdrawn, Blobs int }
	err = c.mirror(ctx, &plan, "plan")
	c.check("it is not copied again", cmp.Or(err, want(plan.Withdrawn == 1, "got %+v", plan)))
}

func (c *checks) copyFromBucket(ctx context.Context, digest string) error {
	if _, err := c.bucket(regions[1]).Remove(ctx, digest); err != nil {
		return err
	}
	var copied copyResult
	if err := c.mirror(ctx, &copied, "copy"); err != nil {
		return err
	}
	return want(copied.Copied.Blobs == 1 && copied.Copied.FromBucket == 1, "got %+v", copied)
}

// copyChanged copies a blob with an ETag that its object does not have.
func (c *checks) copyChanged(ctx context.Context, digest string) error {
	from, to := c.bucket(regions[0]), c.bucket(regions[1])
	object, err := from.Stat(ctx, digest)
	if err != nil {
		return err
	}
	if object == nil || !object.ChecksumVerified {
		return fmt.Errorf("the primary has %+v", object)
	}
	err = to.Copy(ctx, registry.Blob{Digest: digest, Size: object.Size}, from, `"another"`)
	return want(errors.Is(err, copier.ErrExists), "the copy returned %v, want %v", err, copier.ErrExists)
}

func (c *checks) withdraw(ctx context.Context, digest string) error {
	id, err := c.distributionID(ctx)
	if err != nil {
		return err
	}
	var withdrawn struct {
		Buckets []struct{ Versions int }
		Edge    string
	}
	if err := c.mirror(ctx, &withdrawn, "withdraw", "-distribution", id, digest); err != nil {
		return err
	}
	b := withdrawn.Buckets
	return want(len(b) == 2 && b[0].Versions > 0 && b[1].Versions > 0 && withdrawn.Edge != "", "got %+v", withdrawn)
}
