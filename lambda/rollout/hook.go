package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"

	"archeio/lambda/config"
	"archeio/lambda/rollout/smoketest"
)

const (
	// answerTime is how long the new version may take to start and to answer.
	answerTime = 10 * time.Second

	// tellTime is kept for telling CodeDeploy, which else waits for an hour.
	tellTime = 5 * time.Second

	// longestPayload is how much of what a version answers is shown.
	longestPayload = 300
)

// call is what CodeDeploy tells a hook.
// https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html
type call struct {
	DeploymentID string `json:"DeploymentId"`
	ExecutionID  string `json:"LifecycleEventHookExecutionId"`
	// Try is what people say from a shell: the newest version is tried, and
	// CodeDeploy is told nothing.
	Try bool `json:"try"`
}

type hook struct {
	getenv func(string) string
	log    *slog.Logger
	lambda *sdk.Client
	deploy *codedeploy.Client
}

// verdict is what people get: nothing is wrong where Wrong is empty.
type verdict struct {
	Version string   `json:"version"`
	Wrong   []string `json:"wrong"`
}

func (h hook) handle(ctx context.Context, c call) (*verdict, error) {
	if c.Try {
		wrong, err := h.try(ctx)
		return &verdict{h.getenv("RELEASE_VERSION"), append([]string{}, wrong...)}, err
	}
	return nil, h.release(ctx, c)
}

// release tries the new version, and tells CodeDeploy how that ended. What could
// not be tried has failed.
func (h hook) release(ctx context.Context, c call) error {
	if c.DeploymentID == "" || c.ExecutionID == "" {
		return errors.New(`the event names no DeploymentId and LifecycleEventHookExecutionId, as CodeDeploy does; people say {"try": true}`)
	}
	status := types.LifecycleEventStatusSucceeded
	trial, cancel := ctx, func() {}
	if end, ok := ctx.Deadline(); ok {
		trial, cancel = context.WithDeadlineCause(ctx, end.Add(-tellTime), errors.New("the hook's time is up"))
	}
	defer cancel()
	switch wrong, err := h.try(trial); {
	case err != nil:
		status = types.LifecycleEventStatusFailed
		h.log.Error("the new version cannot be tried", "deployment", c.DeploymentID, "error", err.Error())
	case len(wrong) > 0:
		status = types.LifecycleEventStatusFailed
		for _, w := range wrong {
			h.log.Error("the new version is refused", "deployment", c.DeploymentID, "version", h.getenv("RELEASE_VERSION"), "answer", w)
		}
	default:
		h.log.Info("the new version answers as it must", "deployment", c.DeploymentID, "version", h.getenv("RELEASE_VERSION"))
	}
	_, err := h.deploy.PutLifecycleEventHookExecutionStatus(ctx, &codedeploy.PutLifecycleEventHookExecutionStatusInput{
		DeploymentId:                  aws.String(c.DeploymentID),
		LifecycleEventHookExecutionId: aws.String(c.ExecutionID),
		Status:                        status,
	})
	if err != nil {
		return fmt.Errorf("telling CodeDeploy that the deployment %q has %s: %w", c.DeploymentID, status, err)
	}
	return nil
}

func (h hook) try(ctx context.Context) ([]string, error) {
	c, err := config.Load(h.getenv)
	if err != nil {
		return nil, err
	}
	fronts, err := smoketest.ParseFronts(h.getenv("RELEASE_FRONTS"))
	if err != nil {
		return nil, fmt.Errorf("RELEASE_FRONTS: %w", err)
	}
	version := h.getenv("RELEASE_VERSION")
	if version == "" {
		return nil, errors.New("RELEASE_VERSION: takes the ARN of the new version; it is missing")
	}
	return smoketest.Run(ctx, c, fronts, func(ctx context.Context, event []byte) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		out, err := h.lambda.Invoke(ctx, &sdk.InvokeInput{FunctionName: aws.String(version), Payload: event})
		if err != nil {
			return nil, err
		}
		if out.FunctionError != nil {
			return nil, fmt.Errorf("it fails: %.*s", longestPayload, out.Payload)
		}
		return out.Payload, nil
	})
}
