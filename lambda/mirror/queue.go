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

// queue sends messages to SQS, ten at a time, which are the most.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
type queue struct {
	client *sqs.Client
	url    string
}

func (q *queue) Send(ctx context.Context, messages ...copier.Message) error {
	for ten := range slices.Chunk(messages, 10) {
		in := &sqs.SendMessageBatchInput{QueueUrl: &q.url}
		for i, m := range ten {
			body, err := json.Marshal(m)
			if err != nil {
				return err
			}
			in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(body))})
		}
		out, err := q.client.SendMessageBatch(ctx, in)
		if err != nil {
			return fmt.Errorf("queue %q: sending messages: %s", q.url, oneLine(err))
		}
		if len(out.Failed) > 0 {
			return fmt.Errorf("queue %q: %d of %d messages were not taken: %s", q.url, len(out.Failed), len(ten), aws.ToString(out.Failed[0].Message))
		}
	}
	return nil
}

// Waiting does not count what is hidden because it is worked on, or failed.
func (q *queue) Waiting(ctx context.Context) (int, error) {
	const name = types.QueueAttributeNameApproximateNumberOfMessages
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{name}})
	if err != nil {
		return 0, fmt.Errorf("queue %q: asking how much is in it: %s", q.url, oneLine(err))
	}
	n, err := strconv.Atoi(out.Attributes[string(name)])
	if err != nil {
		return 0, fmt.Errorf("queue %q: asking how much is in it: %w", q.url, err)
	}
	return n, nil
}
