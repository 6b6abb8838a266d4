package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"archeio/lambda/copier"
	"archeio/scripts/lab/queue"
)

// TestDelay tests that SQS is told how long to hold a message back, and that messages in
// flight are counted.
func TestDelay(t *testing.T) {
	t.Parallel()
	server, err := queue.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	q := &sqsQueue{sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: aws.String(server.Endpoint()), Credentials: credentials.NewStaticCredentialsProvider("key", "secret", "")}), server.URL()}
	if err := q.Send(t.Context(), copier.Message{Do: "index", Delay: 2 * time.Minute}, copier.Message{Do: "round", Run: "x"}); err != nil {
		t.Fatal(err)
	}
	if n, inFlight, err := q.Waiting(t.Context()); err != nil || n != 1 || inFlight != 0 {
		t.Errorf("%d messages can be received, %d are in flight, error %v; want 1 of 2 and none", n, inFlight, err)
	}
	var order []string
	err = server.Drain(t.Context(), 1, func(_ context.Context, payload []byte) ([]byte, error) {
		order = append(order, string(payload))
		if n, inFlight, err := q.Waiting(t.Context()); err != nil || n != 0 || inFlight != 1 {
			t.Errorf("%d messages can be received, %d are in flight, error %v; want none and this one", n, inFlight, err)
		}
		return []byte(`{}`), nil
	})
	if err != nil || !slices.EqualFunc(order, []string{"round", "index"}, func(payload, do string) bool { return strings.Contains(payload, do) }) {
		t.Errorf("delivered %q, error %v; want the delayed message last", order, err)
	}
}
