package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

// TestDrain delivers three messages and counts the deliveries of each.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		// result returns the function's result for the message b.
		result     func(m events.SQSMessage) (string, error)
		deliveries int // of b; each other message is delivered once
		dead       []string
	}{
		{"handled", func(events.SQSMessage) (string, error) { return `{}`, nil }, 1, nil},
		{"invocation-fails", func(events.SQSMessage) (string, error) { return "", errors.New("timeout") }, 3, []string{"b"}},
		{"not-json", func(events.SQSMessage) (string, error) { return "ok", nil }, 3, []string{"b"}},
		{"item-fails", func(m events.SQSMessage) (string, error) {
			return fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q}]}`, m.MessageId), nil
		}, 3, []string{"b"}},
		{"empty-identifier", func(events.SQSMessage) (string, error) {
			return `{"batchItemFailures":[{"itemIdentifier":""}]}`, nil
		}, 3, []string{"b"}},
		{"other-identifier", func(events.SQSMessage) (string, error) {
			return `{"batchItemFailures":[{"itemIdentifier":"x"}]}`, nil
		}, 1, nil},
		{"second-delivery-succeeds", func(m events.SQSMessage) (string, error) {
			if m.Attributes["ApproximateReceiveCount"] == "1" {
				return "", errors.New("timeout")
			}
			return `{}`, nil
		}, 2, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q := listen(t)
			q.MaxReceiveCount = 3
			for _, body := range []string{"a", "b", "c"} {
				q.Send(body)
			}
			deliveries := map[string]int{}
			err := q.Drain(t.Context(), 1, func(_ context.Context, payload []byte) ([]byte, error) {
				var e events.SQSEvent
				if err := json.Unmarshal(payload, &e); err != nil || len(e.Records) != 1 {
					return nil, fmt.Errorf("event %s: %v", payload, err)
				}
				deliveries[e.Records[0].Body]++
				if e.Records[0].Body != "b" {
					return []byte(`{}`), nil
				}
				out, err := tt.result(e.Records[0])
				return []byte(out), err
			})
			if err != nil {
				t.Fatal(err)
			}
			if deliveries["a"] != 1 || deliveries["b"] != tt.deliveries || deliveries["c"] != 1 {
				t.Errorf("deliveries %v, want %d of b and one of each other message", deliveries, tt.deliveries)
			}
			if dead := q.DeadLetters(); !slices.Equal(dead, tt.dead) {
				t.Errorf("dead letters %q, want %q", dead, tt.dead)
			}
		})
	}
}

// TestDrainSentByWorkers delivers a message that a worker sends while another
// worker waits.
func TestDrainSentByWorkers(t *testing.T) {
	t.Parallel()
	q := listen(t)
	q.Send("parent")
	err := q.Drain(t.Context(), 4, func(_ context.Context, payload []byte) ([]byte, error) {
		if strings.Contains(string(payload), "parent") {
			q.Send("child")
		}
		return []byte(`{}`), nil
	})
	if n := q.Sent(); err != nil || n != 2 || len(q.waiting) != 0 {
		t.Errorf("%d sent, %d waiting, error %v; want 2 and none", n, len(q.waiting), err)
	}
}

// TestDelayed delivers a message with a delay after those that its sender sends later.
func TestDelayed(t *testing.T) {
	t.Parallel()
	q := listen(t)
	q.send("delayed", true)
	q.Send("parent")
	var order []string
	err := q.Drain(t.Context(), 1, func(_ context.Context, payload []byte) ([]byte, error) {
		var e events.SQSEvent
		if err := json.Unmarshal(payload, &e); err != nil {
			return nil, err
		}
		if order = append(order, e.Records[0].Body); len(order) == 1 {
			q.Send("child")
		}
		return []byte(`{}`), nil
	})
	if err != nil || !slices.Equal(order, []string{"parent", "child", "delayed"}) {
		t.Errorf("delivered %q, error %v; want the delayed message last", order, err)
	}
}

func TestDrainInterrupted(t *testing.T) {
	t.Parallel()
	q := listen(t)
	q.Send("a")
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	err := q.Drain(ctx, 2, func(ctx context.Context, _ []byte) ([]byte, error) {
		cancel(interrupted)
		return nil, ctx.Err()
	})
	if err != interrupted {
		t.Errorf("error %v, want %v", err, interrupted)
	}
}

func TestServeHTTP(t *testing.T) {
	t.Parallel()
	q := listen(t)
	batch := func(n int) string {
		return `{"QueueUrl":"` + q.URL() + `","Entries":[` + strings.TrimSuffix(strings.Repeat(`{"Id":"1","MessageBody":"x"},`, n), ",") + `]}`
	}
	for _, tt := range []struct {
		name, action, body string
		status             int
		want               string // a part of the response
	}{
		{"send", "SendMessageBatch", batch(2), http.StatusOK, `"MD5OfMessageBody":"9dd4e461268c8034f5c8564e155c67a6"`},
		{"delayed", "SendMessageBatch", strings.Replace(batch(1), `"x"`, `"x","DelaySeconds":120`, 1), http.StatusOK, `"MessageId"`},
		{"attributes", "GetQueueAttributes", `{"QueueUrl":"` + q.URL() + `"}`, http.StatusOK, `"ApproximateNumberOfMessages":"2"`},
		{"other-queue", "SendMessageBatch", `{"QueueUrl":"http://127.0.0.1:1/000000000000/x"}`, http.StatusBadRequest, "QueueDoesNotExist"},
		{"too-many", "SendMessageBatch", batch(11), http.StatusBadRequest, "UnsupportedOperation"},
		{"empty", "SendMessageBatch", batch(0), http.StatusBadRequest, "UnsupportedOperation"},
		{"other-action", "ReceiveMessage", `{"QueueUrl":"` + q.URL() + `"}`, http.StatusBadRequest, "UnsupportedOperation"},
		{"not-json", "SendMessageBatch", `{`, http.StatusBadRequest, "UnsupportedOperation"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, q.Endpoint(), strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Amz-Target", "AmazonSQS."+tt.action)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != tt.status || !strings.Contains(string(body), tt.want) {
				t.Errorf("%s %s, error %v; want %d with %s", resp.Status, body, err, tt.status, tt.want)
			}
		})
	}
	if q.Purge(); q.Sent() != 3 || len(q.waiting) != 0 {
		t.Errorf("after Purge %d sent, %d waiting; want 3 and none", q.Sent(), len(q.waiting))
	}
}

func listen(t *testing.T) *Queue {
	t.Helper()
	q, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}
