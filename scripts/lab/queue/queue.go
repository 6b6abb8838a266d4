// Package queue plays SQS for a function on this machine: it takes what the
// function sends by the AWS SDK, and hands it to workers one message at a time,
// as an event source mapping does. A message that fails is received again, and
// after the last time it is a dead letter. There is no time in it: what failed
// is received again at once.
package queue

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-lambda-go/events"
)

// Queue is a queue on a port of the loopback interface. All methods are safe
// for concurrent use.
type Queue struct {
	// MaxReceiveCount is how often a message is received before it is a dead
	// letter. Set it before the first one.
	MaxReceiveCount int

	listener net.Listener
	server   *http.Server

	mu      sync.Mutex
	changed *sync.Cond
	waiting []*message
	working int
	sent    int
	dead    []string
}

type message struct {
	id, body string
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

// Endpoint is the value of AWS_ENDPOINT_URL_SQS, URL that of the queue.
func (q *Queue) Endpoint() string { return "http://" + q.listener.Addr().String() }

// URL is the queue's own.
func (q *Queue) URL() string { return q.Endpoint() + "/000000000000/fill" }

// Close ends all connections.
func (q *Queue) Close() error { return q.server.Close() }

// Sent is how many messages were sent so far.
func (q *Queue) Sent() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sent
}

// DeadLetters are the bodies of the dead letters.
func (q *Queue) DeadLetters() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]string(nil), q.dead...)
}

// Purge drops all messages that nobody works on.
func (q *Queue) Purge() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = nil
}

// Send puts a message into the queue.
func (q *Queue) Send(body string) (id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sent++
	id = fmt.Sprintf("%08x-0000-4000-8000-000000000000", q.sent)
	q.waiting = append(q.waiting, &message{id: id, body: body})
	q.changed.Broadcast()
	return id
}

// ServeHTTP answers SendMessageBatch and GetQueueAttributes as SQS does, by its
// JSON protocol.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
func (q *Queue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	var in struct {
		QueueUrl string
		Entries  []struct{ Id, MessageBody string }
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	switch {
	case err == nil && in.QueueUrl != q.URL():
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"there is no such queue"}`)
		return
	case err == nil && action == "GetQueueAttributes":
		q.mu.Lock()
		defer q.mu.Unlock()
		fmt.Fprintf(w, `{"Attributes":{"ApproximateNumberOfMessages":"%d"}}`, len(q.waiting))
		return
	case err != nil || action != "SendMessageBatch" || len(in.Entries) == 0 || len(in.Entries) > 10:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#UnsupportedOperation","message":"this queue takes up to ten messages by SendMessageBatch, and GetQueueAttributes"}`)
		return
	}
	type taken struct {
		Id, MessageId, MD5OfMessageBody string
	}
	var out struct{ Successful []taken }
	for _, e := range in.Entries {
		out.Successful = append(out.Successful, taken{e.Id, q.Send(e.MessageBody), fmt.Sprintf("%x", md5.Sum([]byte(e.MessageBody)))})
	}
	json.NewEncoder(w).Encode(out)
}

// Drain hands messages to workers until there are none and none is being worked
// on. invoke is one invocation of the function.
func (q *Queue) Drain(ctx context.Context, workers int, invoke func(context.Context, []byte) ([]byte, error)) error {
	stop := context.AfterFunc(ctx, q.changed.Broadcast)
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
	for len(q.waiting) == 0 && q.working > 0 && ctx.Err() == nil {
		q.changed.Wait()
	}
	if len(q.waiting) == 0 || ctx.Err() != nil {
		return nil
	}
	m := q.waiting[0]
	q.waiting = q.waiting[1:]
	m.received++
	q.working++
	return m
}

func (q *Queue) done(m *message, handled bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.working--
	switch {
	case handled:
	case m.received >= q.MaxReceiveCount:
		q.dead = append(q.dead, m.body)
	default:
		q.waiting = append(q.waiting, m)
	}
	q.changed.Broadcast()
}

// deliver tells whether a message was handled. A batch of which the answer
// names no failure was, as a whole.
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
	var answer events.SQSEventResponse
	if err != nil || json.Unmarshal(out, &answer) != nil {
		return false
	}
	for _, f := range answer.BatchItemFailures {
		if f.ItemIdentifier == m.id || strings.TrimSpace(f.ItemIdentifier) == "" {
			return false
		}
	}
	return true
}
