package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"archeio/lambda/copier"
)

// sqsQueue is a queue of SQS.
type sqsQueue struct {
	client *sqs.Client
	url    string
}

// batchSize is how many messages SQS accepts in one request.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
const batchSize = 10

// Send implements copier.Queue.
func (q *sqsQueue) Send(ctx context.Context, messages ...copier.Message) error {
	for batch := range slices.Chunk(messages, batchSize) {
		in := &sqs.SendMessageBatchInput{QueueUrl: &q.url}
		for i, m := range batch {
			body, err := json.Marshal(m)
			if err != nil {
				return err
			}
			in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(body)), DelaySeconds: int32(m.Delay.Seconds())})
		}
		out, err := q.client.SendMessageBatch(ctx, in)
		if err != nil {
			return fmt.Errorf("queue %q: sending messages: %s", q.url, oneLine(err))
		}
		if len(out.Failed) > 0 {
			return fmt.Errorf("queue %q: %d of %d messages were not accepted: %s", q.url, len(out.Failed), len(batch), aws.ToString(out.Failed[0].Message))
		}
	}
	return nil
}

// Waiting implements copier.Queue.
func (q *sqsQueue) Waiting(ctx context.Context) (waiting, inFlight int, err error) {
	names := []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible}
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: names})
	if err != nil {
		return 0, 0, fmt.Errorf("queue %q: getting the numbers of messages: %s", q.url, oneLine(err))
	}
	for i, n := range []*int{&waiting, &inFlight} {
		if *n, err = strconv.Atoi(out.Attributes[string(names[i])]); err != nil {
			return 0, 0, fmt.Errorf("queue %q: getting %s: %w", q.url, names[i], err)
		}
	}
	return waiting, inFlight, nil
}
