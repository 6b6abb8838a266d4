package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"archeio/lambda/config"
	"archeio/lambda/copier"
)

// serve runs as a function: as the planner or as a worker, whatever the event
// asks for.
func serve() {
	functions, err := load(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "mirror:", err)
		os.Exit(1)
	}
	lambda.Start(handler{functions}.handle)
}

func load(ctx context.Context) (*copier.Functions, error) {
	c, err := config.LoadFill(os.Getenv)
	if err != nil {
		return nil, err
	}
	sdk, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the AWS SDK's environment: %w", err)
	}
	options := copier.SourceOptions{Rate: c.Rate}
	if c.Secret != "" {
		if options.Keychain, err = readSecret(ctx, secretsmanager.NewFromConfig(sdk), c.Secret); err != nil {
			return nil, err
		}
	}
	f := &copier.Functions{
		Queue:     &queue{sqs.NewFromConfig(sdk), c.Queue},
		State:     copier.StateBucket{Name: c.State, Client: s3Client(sdk, sdk.Region)},
		Referrers: c.Referrers,
		Log:       slog.New(slog.NewJSONHandler(os.Stdout, nil)),
		Metrics:   os.Stdout,
	}
	if f.Source, err = copier.NewSource(c.Source, options); err != nil {
		return nil, err
	}
	for i, b := range c.Buckets {
		if b.Filling {
			f.Filling = append(f.Filling, i)
		}
		f.Buckets = append(f.Buckets, copier.NewBucket(b.Name, s3Client(sdk, b.Region)))
		f.Regions = append(f.Regions, b.Region)
	}
	return f, nil
}

type handler struct{ *copier.Functions }

// event is what schedules and queues send. What a rule of EventBridge sends by
// itself has a detail-type; ours says more plainly what is wanted.
type event struct {
	Mirror     string              `json:"mirror"`
	DetailType string              `json:"detail-type"`
	Records    []events.SQSMessage `json:"Records"`
}

// handle answers what was handed out, or which messages failed: those alone are
// received again.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func (h handler) handle(ctx context.Context, payload json.RawMessage) (any, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	switch {
	case e.Mirror == "plan" || e.Mirror == "" && e.DetailType == "Scheduled Event":
		return h.Plan(ctx)
	case e.Mirror == "status":
		return h.Status(ctx)
	case len(e.Records) > 0:
		return h.work(ctx, e.Records)
	}
	return nil, errors.New(`the event is none that is known: takes {"mirror": "plan"}, {"mirror": "status"}, a scheduled event of EventBridge, or messages of SQS`)
}

func (h handler) work(ctx context.Context, messages []events.SQSMessage) (any, error) {
	// An empty list, and not null, says that none failed.
	answer := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for _, m := range messages {
		if err := h.Work(ctx, m.Body); err != nil {
			h.Log.Error("a message failed", "message", m.MessageId, "received", m.Attributes["ApproximateReceiveCount"], "error", err.Error())
			answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return answer, nil
}

// oneLine keeps an error of the SDK short.
func oneLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}
