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
	// invokeTimeout is the deadline of one invocation of the new version,
	// including its start.
	invokeTimeout = 10 * time.Second

	// reportTime is reserved for the report to CodeDeploy, which otherwise waits
	// for an hour.
	reportTime = 5 * time.Second

	// maxPayload is how much of an error payload is reported, in bytes.
	maxPayload = 300
)

// event is what CodeDeploy sends to a hook.
// https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html
type event struct {
	DeploymentID string `json:"DeploymentId"`
	ExecutionID  string `json:"LifecycleEventHookExecutionId"`
	// Try is set by operators, to run the smoke test without a deployment.
	Try bool `json:"try"`
}

type hook struct {
	getenv func(string) string
	log    *slog.Logger
	lambda *sdk.Client
	deploy *codedeploy.Client
}

// result is the response to an operator. The version passed if there are no
// failures.
type result struct {
	Version  string   `json:"version"`
	Failures []string `json:"failures"`
}

func (h hook) handle(ctx context.Context, e event) (*result, error) {
	if e.Try {
		failures, err := h.test(ctx)
		return &result{h.getenv("ROLLOUT_VERSION"), append([]string{}, failures...)}, err
	}
	return nil, h.report(ctx, e)
}

// report tests the new version and reports to CodeDeploy whether it passed. A
// version that cannot be tested has failed.
func (h hook) report(ctx context.Context, e event) error {
	if e.DeploymentID == "" || e.ExecutionID == "" {
		return errors.New(`reading the event: no DeploymentId or no LifecycleEventHookExecutionId: want an event of CodeDeploy, or {"try": true}`)
	}
	status := types.LifecycleEventStatusSucceeded
	testing, cancel := ctx, func() {}
	if end, ok := ctx.Deadline(); ok {
		testing, cancel = context.WithDeadlineCause(ctx, end.Add(-reportTime), errors.New("the time of the hook is up"))
	}
	defer cancel()
	switch failures, err := h.test(testing); {
	case err != nil:
		status = types.LifecycleEventStatusFailed
		h.log.Error("the new version cannot be tested", "deployment", e.DeploymentID, "error", err.Error())
	case len(failures) > 0:
		status = types.LifecycleEventStatusFailed
		for _, f := range failures {
			h.log.Error("the new version failed", "deployment", e.DeploymentID, "version", h.getenv("ROLLOUT_VERSION"), "failure", f)
		}
	default:
		h.log.Info("the new version passed", "deployment", e.DeploymentID, "version", h.getenv("ROLLOUT_VERSION"))
	}
	_, err := h.deploy.PutLifecycleEventHookExecutionStatus(ctx, &codedeploy.PutLifecycleEventHookExecutionStatusInput{
		DeploymentId:                  aws.String(e.DeploymentID),
		LifecycleEventHookExecutionId: aws.String(e.ExecutionID),
		Status:                        status,
	})
	if err != nil {
		return fmt.Errorf("reporting status %s of deployment %q to CodeDeploy: %w", status, e.DeploymentID, err)
	}
	return nil
}

// test runs the smoke test against the new version and returns its failures.
func (h hook) test(ctx context.Context) ([]string, error) {
	c, err := config.Load(h.getenv)
	if err != nil {
		return nil, err
	}
	entryPoints, err := smoketest.ParseEntryPoints(h.getenv("ROLLOUT_ENTRY_POINTS"))
	if err != nil {
		return nil, fmt.Errorf("reading ROLLOUT_ENTRY_POINTS: %w", err)
	}
	version := h.getenv("ROLLOUT_VERSION")
	if version == "" {
		return nil, errors.New("reading ROLLOUT_VERSION: missing: want the ARN of the new version")
	}
	return smoketest.Run(ctx, c, entryPoints, func(ctx context.Context, event []byte) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, invokeTimeout)
		defer cancel()
		out, err := h.lambda.Invoke(ctx, &sdk.InvokeInput{FunctionName: aws.String(version), Payload: event})
		if err != nil {
			return nil, err
		}
		if out.FunctionError != nil {
			return nil, fmt.Errorf("the function failed: %.*s", maxPayload, out.Payload)
		}
		return out.Payload, nil
	})
}
