package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"archeio/infra/constructs"
	"archeio/lambda/build"
	"archeio/lambda/config"
	"archeio/lambda/copier"
	"archeio/scripts/lab/system"
)

// poison is a message that no worker understands.
const poison = "not a message of ours"

// queueURL is that of a queue by its name.
func (d *deployed) queueURL(ctx context.Context, name string) (string, error) {
	var answer struct{ QueueUrl string }
	err := d.aws(ctx, regions[0], &answer, "sqs", "get-queue-url", "--queue-name", name)
	return answer.QueueUrl, err
}

// shortenRetries lets a message that failed come back soon.
func (d *deployed) shortenRetries(ctx context.Context) error {
	queue, err := d.queueURL(ctx, d.stage.FillQueue())
	if err != nil {
		return err
	}
	return d.aws(ctx, regions[0], nil, "sqs", "set-queue-attributes", "--queue-url", queue, "--attributes", "VisibilityTimeout=1")
}

// allowBatches gives the functions' roles a permission that AWS does not have:
// there, sqs:SendMessage is enough.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
func (d *deployed) allowBatches(ctx context.Context) error {
	for _, id := range []string{constructs.PlannerID, constructs.WorkerID} {
		name, err := d.resource(ctx, "filler", id)
		if err != nil {
			return err
		}
		var function struct{ Role string }
		if err := d.aws(ctx, regions[0], &function, "lambda", "get-function-configuration", "--function-name", name); err != nil {
			return err
		}
		policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sqs:SendMessageBatch","Resource":"arn:aws:sqs:%s:%s:%s"}}`,
			regions[0], account, d.stage.FillQueue())
		if err := d.aws(ctx, regions[0], nil, "iam", "put-role-policy", "--role-name", path.Base(function.Role), "--policy-name", "batches", "--policy-document", policy); err != nil {
			return err
		}
	}
	return nil
}

// fill runs the deployed planner, and waits until the workers have emptied the
// queue. A poisoned message is in it too.
func (c *checks) fill(ctx context.Context) error {
	c.say("the planner looks through the registry, the workers fill the mirrors")
	if err := c.plan(ctx); err != nil {
		return err
	}
	queue, err := c.queueURL(ctx, c.stage.FillQueue())
	if err != nil {
		return err
	}
	if err := c.aws(ctx, regions[0], nil, "sqs", "send-message", "--queue-url", queue, "--message-body", poison); err != nil {
		return err
	}
	return c.worked(ctx)
}

// worked waits until the workers have emptied the queue.
func (d *deployed) worked(ctx context.Context) error {
	queue, err := d.queueURL(ctx, d.stage.FillQueue())
	if err != nil {
		return err
	}
	return wait(ctx, 2*time.Minute, "the workers have emptied the queue", func() (bool, error) {
		n, err := d.messages(ctx, queue)
		return n == 0, err
	})
}

// plan runs the deployed planner.
func (c *checks) plan(ctx context.Context) error {
	planner, err := c.resource(ctx, "filler", constructs.PlannerID)
	if err != nil {
		return err
	}
	file := filepath.Join(c.dir, "planner.json")
	if err := c.aws(ctx, regions[0], nil, "lambda", "invoke", "--function-name", planner,
		"--payload", `{"mirror":"plan"}`, file); err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var answer struct {
		Messages int
		Done     bool
	}
	if err := json.Unmarshal(text, &answer); err != nil || !answer.Done || answer.Messages != 1 {
		return fmt.Errorf("the planner answered %s, want one message for the one repository", text)
	}
	return nil
}

// messages is how many are in a queue, those that are worked on too.
func (d *deployed) messages(ctx context.Context, queue string) (n int, err error) {
	var answer struct {
		Attributes struct {
			ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible json.Number
		}
	}
	if err := d.aws(ctx, regions[0], &answer, "sqs", "get-queue-attributes", "--queue-url", queue, "--attribute-names", "All"); err != nil {
		return 0, err
	}
	waiting, err1 := answer.Attributes.ApproximateNumberOfMessages.Int64()
	working, err2 := answer.Attributes.ApproximateNumberOfMessagesNotVisible.Int64()
	return int(waiting + working), errors.Join(err1, err2)
}

// filled checks what the functions have done.
func (c *checks) filled(ctx context.Context) {
	for _, blob := range c.image.Blobs {
		if blob == c.image.Missing {
			continue
		}
		for _, region := range regions {
			url := c.stage.MirrorURL(region) + "/" + config.BlobPrefix + blob.String()
			c.expect(ctx, "the workers have filled "+region+" with "+blob.String()[:19], url, nil, http.StatusOK,
				map[string]string{"Cache-Control": "public, max-age=31536000, immutable"})
		}
	}
	c.expect(ctx, "nobody may read the state of the functions", "https://localhost:"+c.port+"/"+c.stage.StateBucket()+"/plan.json", nil, http.StatusForbidden, nil)
	c.check("a poisoned message is a dead letter", c.deadLetter(ctx))
}

func (c *checks) deadLetter(ctx context.Context) string {
	queue, err := c.queueURL(ctx, c.stage.DeadFillQueue())
	if err != nil {
		return err.Error()
	}
	var found struct{ Messages []struct{ Body string } }
	if err := c.aws(ctx, regions[0], &found, "sqs", "receive-message", "--queue-url", queue, "--max-number-of-messages", "10"); err != nil {
		return err.Error()
	}
	if len(found.Messages) != 1 || found.Messages[0].Body != poison {
		return fmt.Sprintf("the dead letters are %q", found.Messages)
	}
	return ""
}

// shell does what a person does from a shell, against the deployed mirrors.
func (c *checks) shell(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.say("mirror status, copy, verify and withdraw from a shell")
	missing := c.image.Missing.String()
	run := func(into any, args ...string) error { return c.mirror(ctx, into, args...) }
	var status struct {
		Mirrors []struct{ Missing int }
	}
	err := run(&status, "status")
	c.check("mirror status finds the blob that was pushed afterwards", found(err, len(status.Mirrors) == 2 && status.Mirrors[0].Missing == 1, fmt.Sprint(status)))

	var copied struct {
		Copied struct{ Blobs, FromBucket, Existed, Pending int }
	}
	err = run(&copied, "copy")
	// What replication has carried on until then, or is carrying on, is left out.
	c.check("mirror copy copies it, and leaves the replica to S3", found(err, copied.Copied.Blobs == 1 && copied.Copied.Existed+copied.Copied.Pending == 1, fmt.Sprint(copied)))

	err = c.lose(ctx, regions[1], missing)
	if err == nil {
		err = run(&copied, "copy")
	}
	c.check("what a replica lost is copied from bucket to bucket", found(err, copied.Copied.Blobs == 1 && copied.Copied.FromBucket == 1, fmt.Sprint(copied)))
	c.check("S3 refuses to copy what has changed since it was hashed", c.copyChanged(ctx, missing))

	var verified struct {
		Checked int
		Wrong   []any
	}
	err = run(&verified, "verify")
	c.check("mirror verify finds nothing wrong", found(err, verified.Checked >= 8 && len(verified.Wrong) == 0, fmt.Sprint(verified)))

	id, err := c.distributionID(ctx)
	var withdrawn struct {
		Buckets []struct{ Versions int }
		Edge    string
	}
	if err == nil {
		err = run(&withdrawn, "withdraw", "-distribution", id, missing)
	}
	c.check("mirror withdraw removes a blob everywhere, and has the edge forget it", found(err, len(withdrawn.Buckets) == 2 && withdrawn.Buckets[0].Versions > 0 && withdrawn.Buckets[1].Versions > 0 && withdrawn.Edge != "", fmt.Sprint(withdrawn)))
	for _, region := range regions {
		c.expect(ctx, "it is gone in "+region, c.stage.MirrorURL(region)+"/"+config.BlobPrefix+missing, nil, http.StatusNotFound, nil)
	}
	var plan struct{ Withdrawn, Blobs int }
	err = run(&plan, "plan")
	c.check("it is not copied again", found(err, plan.Withdrawn == 1, fmt.Sprint(plan)))
}

// mirror runs the program with the deployed mirrors and state. Its exit code 1
// is for something that is missing, and no error here.
func (d *deployed) mirror(ctx context.Context, into any, args ...string) error {
	program, err := build.Bootstrap(ctx, "mirror")
	if err != nil {
		return err
	}
	all := []string{args[0], "-json", "-state", "s3://" + d.stage.StateBucket()}
	for _, region := range d.settings.filled() {
		all = append(all, "-bucket", bucketName(region)+"@"+region)
	}
	if args[0] != "withdraw" && args[0] != "verify" {
		all = append(all, "-source", strings.TrimPrefix(d.upstream, "http://")+"/"+system.Prefix)
	}
	out, text, err := d.command(ctx, regions[0], program, append(all, args[1:]...)...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("mirror %s: %w: %s", args[0], err, end(text))
	}
	return json.Unmarshal(out, into)
}

// lose deletes every version of a blob in a region.
func (d *deployed) lose(ctx context.Context, region, digest string) error {
	_, err := d.bucket(region).Remove(ctx, digest)
	return err
}

func (d *deployed) bucket(region string) *copier.Bucket {
	return copier.NewBucket(bucketName(region), d.s3(region))
}

// copyChanged copies a blob as the object that it is not any more.
func (c *checks) copyChanged(ctx context.Context, digest string) string {
	from, to := c.bucket(regions[0]), c.bucket(regions[1])
	there, err := from.Stat(ctx, digest)
	switch {
	case err != nil:
		return err.Error()
	case there == nil || !there.Proven:
		return fmt.Sprintf("the primary says %+v of it", there)
	}
	if err := to.Copy(ctx, copier.Blob{Digest: digest, Size: there.Size}, from, `"another"`); !errors.Is(err, copier.ErrExists) {
		return fmt.Sprintf("the copy ended with %v", err)
	}
	return ""
}

func (d *deployed) distributionID(ctx context.Context) (string, error) {
	var all struct {
		DistributionList struct {
			Items []struct{ Id, DomainName string }
		}
	}
	if err := d.aws(ctx, regions[0], &all, "cloudfront", "list-distributions"); err != nil {
		return "", err
	}
	for _, x := range all.DistributionList.Items {
		if x.DomainName == d.distribution {
			return x.Id, nil
		}
	}
	return "", fmt.Errorf("there is no distribution %s", d.distribution)
}
