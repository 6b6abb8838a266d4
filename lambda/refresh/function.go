package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-lambda-go/events"

	"archeio/lambda/refresher"
)

type handler struct {
	*refresher.Refresher
	// notices is the ARN of the topic whose notices are accepted.
	notices string
}

// event is an event of a schedule, of SNS, or of an operator.
type event struct {
	// Ranges is "refresh", "approve" or "rollback". ID is that of a table.
	Ranges string `json:"ranges"`
	ID     string `json:"id"`
	// DetailType is set by a rule of EventBridge without an input of its own.
	DetailType string                  `json:"detail-type"`
	Records    []events.SNSEventRecord `json:"Records"`
}

func (h *handler) handle(ctx context.Context, payload json.RawMessage) (any, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, errors.New("decoding the event: want a JSON object")
	}
	switch {
	case len(e.Records) > 0:
		return h.notice(ctx, e.Records)
	case e.Ranges == "refresh" || e.Ranges == "" && e.DetailType == "Scheduled Event":
		return h.Run(ctx, nil)
	case e.Ranges == "approve":
		return h.Approve(ctx, e.ID)
	case e.Ranges == "rollback":
		return h.Rollback(ctx, e.ID)
	}
	return nil, errors.New(`unknown event: want a notice of SNS, a scheduled event of EventBridge, or {"ranges": "refresh"}, "approve" or "rollback"`)
}

// notice runs for the latest of some notices. SNS sends one at a time.
func (h *handler) notice(ctx context.Context, records []events.SNSEventRecord) (any, error) {
	var latest *refresher.Notice
	for _, r := range records {
		if r.SNS.TopicArn != h.notices {
			return nil, fmt.Errorf("notice of the topic %.120q: want %s", r.SNS.TopicArn, h.notices)
		}
		n, err := refresher.ParseNotice(r.SNS.Message)
		if err != nil {
			return nil, err
		}
		if latest == nil || n.Token > latest.Token {
			latest = n
		}
	}
	return h.Run(ctx, latest)
}
