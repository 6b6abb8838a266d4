package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"archeio/lambda/copier"
)

type handler struct{ *copier.Filler }

// event is an event of a schedule, a rule of EventBridge, or a queue.
type event struct {
	// Mirror is "plan" or "status", as the schedules of this repository send it.
	Mirror string `json:"mirror"`
	// DetailType is set by a rule of EventBridge without an input of its own.
	DetailType string              `json:"detail-type"`
	Records    []events.SQSMessage `json:"Records"`
}

// handle returns the result of a run of the planner, or the messages that failed:
// SQS delivers only those again.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func (h handler) handle(ctx context.Context, payload json.RawMessage) (any, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("decoding the event: %w", err)
	}
	switch {
	case e.Mirror == "plan" || e.Mirror == "" && e.DetailType == "Scheduled Event":
		return h.Plan(ctx)
	case e.Mirror == "status":
		return h.Status(ctx)
	case len(e.Records) > 0:
		return h.work(ctx, e.Records), nil
	}
	return nil, errors.New(`unknown event: want {"mirror": "plan"}, {"mirror": "status"}, a scheduled event of EventBridge, or messages of SQS`)
}

func (h handler) work(ctx context.Context, messages []events.SQSMessage) events.SQSEventResponse {
	// An empty list and not null reports that no message failed.
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for _, m := range messages {
		if err := h.Work(ctx, m.Body); err != nil {
			h.Log.Error("processing a message failed", "message", m.MessageId, "received", m.Attributes["ApproximateReceiveCount"], "error", err.Error())
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return response
}

// oneLine returns the first line of an error of the SDK.
func oneLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}
