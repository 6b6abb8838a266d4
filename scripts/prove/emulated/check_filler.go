package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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

// plan runs the deployed planner, which must find work in the one repository.
func (c *checks) plan(ctx context.Context) error {
	messages, err := c.runPlanner(ctx)
	return cmp.Or(err, want(messages == 1, "the planner has sent %d messages, want one for the one repository", messages))
}

// runPlanner runs the deployed planner and returns how many messages it has sent.
func (c *checks) runPlanner(ctx context.Context) (messages int, err error) {
	planner, err := c.resource(ctx, "filler", stage.PlannerID)
	if err != nil {
		return 0, err
	}
	text, err := c.invoke(ctx, c.settings.primary, planner, `{"mirror":"plan"}`)
	if err != nil {
		return 0, err
	}
	var result struct {
		Messages int
		Done     bool
	}
	err = json.Unmarshal(text, &result)
	return result.Messages, cmp.Or(err, want(result.Done, "the planner returned %s, want it to be done", text))
}

// invoke invokes a function and returns its response.
func (d *deployed) invoke(ctx context.Context, region, function, payload string) ([]byte, error) {
	file := filepath.Join(d.dir, "response.json")
	var output struct{ FunctionError string }
	if err := d.aws(ctx, region, &output, "lambda", "invoke", "--function-name", function, "--cli-read-timeout", "300", "--payload", payload, file); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	return text, cmp.Or(err, want(output.FunctionError == "", "the function %s failed: %s", function, text))
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
	err := d.aws(ctx, d.settings.primary, &output, "sqs", "get-queue-url", "--queue-name", name)
	return output.QueueUrl, err
}

// messages returns how many messages a queue has, those in flight included.
func (d *deployed) messages(ctx context.Context, queue string) (n int, err error) {
	var output struct {
		Attributes struct {
			ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible json.Number
		}
	}
	if err := d.aws(ctx, d.settings.primary, &output, "sqs", "get-queue-attributes", "--queue-url", queue, "--attribute-names", "All"); err != nil {
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
