package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"archeio/infra/stage"
	"archeio/lambda/config"
)

// invalidMessage is a message that workers cannot decode.
const invalidMessage = "not a message of the planner"

// fill runs the deployed planner, sends an invalid message too, and waits until the
// workers have emptied the queue.
func (c *checks) fill(ctx context.Context) error {
	c.progress.Step("running the planner, and the workers that fill the mirrors")
	if err := c.plan(ctx); err != nil {
		return err
	}
	queue, err := c.queueURL(ctx, c.stage.FillQueue())
	if err != nil {
		return err
	}
	if err := c.aws(ctx, regions[0], nil, "sqs", "send-message", "--queue-url", queue, "--message-body", invalidMessage); err != nil {
		return err
	}
	return c.waitForWorkers(ctx)
}

// plan runs the deployed planner.
func (c *checks) plan(ctx context.Context) error {
	planner, err := c.resource(ctx, "filler", stage.PlannerID)
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
	var result struct {
		Messages int
		Done     bool
	}
	if err := json.Unmarshal(text, &result); err != nil || !result.Done || result.Messages != 1 {
		return fmt.Errorf("the planner returned %s, want one message for the one repository", text)
	}
	return nil
}

// waitForWorkers waits until the queue is empty.
func (d *deployed) waitForWorkers(ctx context.Context) error {
	queue, err := d.queueURL(ctx, d.stage.FillQueue())
	if err != nil {
		return err
	}
	return waitUntil(ctx, 2*time.Minute, "the workers have emptied the queue", func() (bool, error) {
		n, err := d.messages(ctx, queue)
		return n == 0, err
	})
}

func (d *deployed) queueURL(ctx context.Context, name string) (string, error) {
	var output struct{ QueueUrl string }
	err := d.aws(ctx, regions[0], &output, "sqs", "get-queue-url", "--queue-name", name)
	return output.QueueUrl, err
}

// messages returns how many messages a queue has, those in flight included.
func (d *deployed) messages(ctx context.Context, queue string) (n int, err error) {
	var output struct {
		Attributes struct {
			ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible json.Number
		}
	}
	if err := d.aws(ctx, regions[0], &output, "sqs", "get-queue-attributes", "--queue-url", queue, "--attribute-names", "All"); err != nil {
		return 0, err
	}
	visible, err1 := output.Attributes.ApproximateNumberOfMessages.Int64()
	inFlight, err2 := output.Attributes.ApproximateNumberOfMessagesNotVisible.Int64()
	return int(visible + inFlight), errors.Join(err1, err2)
}

// checkFilled checks what the functions have done.
func (c *checks) checkFilled(ctx context.Context) {
	for _, blob := range c.image.Blobs {
		if blob == c.image.Missing {
			continue
		}
		for _, region := range regions {
			url := c.stage.MirrorURL(region) + "/" + config.BlobPrefix + blob.String()
			c.expect(ctx, "the workers have copied "+blob.String()[:19]+" to "+region, url, nil, http.StatusOK,
				map[string]string{"Cache-Control": "public, max-age=31536000, immutable"})
		}
	}
	c.expect(ctx, "the state of the functions is not readable without credentials", "https://localhost:"+c.port+"/"+c.stage.StateBucket()+"/plan.json", nil, http.StatusForbidden, nil)
	c.check("an invalid message is in the dead-letter queue", c.hasDeadLetter(ctx))
}

func (c *checks) hasDeadLetter(ctx context.Context) error {
	queue, err := c.queueURL(ctx, c.stage.DeadFillQueue())
	if err != nil {
		return err
	}
	var output struct{ Messages []struct{ Body string } }
	if err := c.aws(ctx, regions[0], &output, "sqs", "receive-message", "--queue-url", queue, "--max-number-of-messages", "10"); err != nil {
		return err
	}
	return want(len(output.Messages) == 1 && output.Messages[0].Body == invalidMessage, "the dead letters are %q", output.Messages)
}
