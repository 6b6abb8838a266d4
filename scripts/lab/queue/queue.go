// Package queue simulates Amazon SQS for a function on this machine: it accepts
// the messages that the function sends with the AWS SDK, and delivers them to
// the function one at a time, as an event source mapping does. A message that
// fails is delivered again at once, without a visibility timeout, and becomes a
// dead letter after the last delivery. A delayed message is delivered once no other
// message is left, whatever its delay is.
package queue

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-lambda-go/events"
)

// Queue is a queue on a port of the loopback interface. All methods are safe
// for concurrent use.
type Queue struct {
	// MaxReceiveCount is how often a message is delivered before it becomes a
	// dead letter. Set it before the first message is sent.
	MaxReceiveCount int

	listener net.Listener
	server   *http.Server

	mu       sync.Mutex
	changed  *sync.Cond
	waiting  []*message
	inFlight int
	sent     int
	dead     []string
}

type message struct {
	id, body string
	delayed  bool
	received int
}

// Listen opens a queue on a free port.
func Listen() (*Queue, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening a queue: %w", err)
	}
	q := &Queue{MaxReceiveCount: 5, listener: l}
	q.changed = sync.NewCond(&q.mu)
	q.server = &http.Server{Handler: q}
	go q.server.Serve(l)
	return q, nil
}

// Endpoint returns the value for AWS_ENDPOINT_URL_SQS.
func (q *Queue) Endpoint() string { return "http://" + q.listener.Addr().String() }

// URL returns the queue URL.
func (q *Queue) URL() string { return q.Endpoint() + "/000000000000/fill" }

// Close closes the listener and all connections.
func (q *Queue) Close() error { return q.server.Close() }

// Sent returns the number of messages sent so far.
func (q *Queue) Sent() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sent
}

// DeadLetters returns the bodies of the dead letters.
func (q *Queue) DeadLetters() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.dead)
}

// Purge deletes all messages that are not in flight.
func (q *Queue) Purge() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = nil
}

// Send adds a message to the queue.
func (q *Queue) Send(body string) (id string) { return q.send(body, false) }

func (q *Queue) send(body string, delayed bool) (id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sent++
	id = fmt.Sprintf("%08x-0000-4000-8000-000000000000", q.sent)
	q.waiting = append(q.waiting, &message{id: id, body: body, delayed: delayed})
	q.changed.Broadcast()
	return id
}

// ServeHTTP implements SendMessageBatch and GetQueueAttributes in the AWS JSON
// protocol.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
func (q *Queue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	var in struct {
		QueueUrl string
		Entries  []struct {
			Id, MessageBody string
			DelaySeconds    int
		}
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	switch {
	case err == nil && in.QueueUrl != q.URL():
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"the queue does not exist"}`)
		return
	case err == nil && action == "GetQueueAttributes":
		q.mu.Lock()
		defer q.mu.Unlock()
		fmt.Fprintf(w, `{"Attributes":{"ApproximateNumberOfMessages":"%d","ApproximateNumberOfMessagesNotVisible":"%d"}}`, len(q.waiting)-q.delayed(), q.inFlight)
		return
	case err != nil || action != "SendMessageBatch" || len(in.Entries) == 0 || len(in.Entries) > 10:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#UnsupportedOperation","message":"this queue supports GetQueueAttributes and SendMessageBatch with 1 to 10 messages"}`)
		return
	}
	type sent struct {
		Id, MessageId, MD5OfMessageBody string
	}
	var out struct{ Successful []sent }
	for _, e := range in.Entries {
		out.Successful = append(out.Successful, sent{e.Id, q.send(e.MessageBody, e.DelaySeconds > 0), fmt.Sprintf("%x", md5.Sum([]byte(e.MessageBody)))})
	}
	json.NewEncoder(w).Encode(out)
}

// Drain delivers messages with the given number of workers until none is
// waiting or in flight. invoke is one invocation of the function. The error is
// the cause of ctx's end, if it ended.
func (q *Queue) Drain(ctx context.Context, workers int, invoke func(context.Context, []byte) ([]byte, error)) error {
	stop := context.AfterFunc(ctx, func() {
		// Under the lock, so that no worker is between its check and its wait.
		q.mu.Lock()
		defer q.mu.Unlock()
		q.changed.Broadcast()
	})
	defer stop()
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for m := q.next(ctx); m != nil; m = q.next(ctx) {
				q.done(m, deliver(ctx, m, invoke))
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

func (q *Queue) next(ctx context.Context) *message {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == q.delayed() && q.inFlight > 0 && ctx.Err() == nil {
		q.changed.Wait()
	}
	if len(q.waiting) == 0 || ctx.Err() != nil {
		return nil
	}
	i := max(0, slices.IndexFunc(q.waiting, func(m *message) bool { return !m.delayed }))
	m := q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	m.received++
	q.inFlight++
	return m
}

// delayed returns the number of delayed messages. The caller holds the lock.
func (q *Queue) delayed() (n int) {
	for _, m := range q.waiting {
		if m.delayed {
			n++
		}
	}
	return n
}

func (q *Queue) done(m *message, handled bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight--
	switch {
	case handled:
	case m.received >= q.MaxReceiveCount:
		q.dead = append(q.dead, m.body)
	default:
		q.waiting = append(q.waiting, m)
	}
	q.changed.Broadcast()
}

// deliver reports whether a message was handled. An empty identifier among the
// failures fails the whole batch.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func deliver(ctx context.Context, m *message, invoke func(context.Context, []byte) ([]byte, error)) bool {
	payload, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: m.id, Body: m.body, ReceiptHandle: m.id, EventSource: "aws:sqs", AWSRegion: "us-east-1",
		EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:fill",
		Attributes:     map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.received)},
	}}})
	if err != nil {
		return false
	}
	out, err := invoke(ctx, payload)
	var response events.SQSEventResponse
	if err != nil || json.Unmarshal(out, &response) != nil {
		return false
	}
	for _, f := range response.BatchItemFailures {
		if f.ItemIdentifier == m.id || strings.TrimSpace(f.ItemIdentifier) == "" {
			return false
		}
	}
	return true
}
