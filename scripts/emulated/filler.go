package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"time"

	"archeio/infra/constructs"
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
	queue, err := c.queueURL(ctx, c.stage.FillQueue())
	if err != nil {
		return err
	}
	if err := c.aws(ctx, regions[0], nil, "sqs", "send-message", "--queue-url", queue, "--message-body", poison); err != nil {
		return err
	}
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
	return wait(ctx, 2*time.Minute, "the workers have emptied the queue", func() (bool, error) {
		n, err := c.messages(ctx, queue)
		return n == 0, err
	})
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
			url := c.stage.MirrorURL(region) + "/containers/images/" + blob.String()
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
