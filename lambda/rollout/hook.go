package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"

	"archeio/lambda/config"
	"archeio/lambda/rollout/smoketest"
	"archeio/lambda/testpull"
	"archeio/lambda/testpull/image"
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
	// transport sends the requests of a test pull to the mirrors and the upstream.
	transport http.RoundTripper
}

// result is the response to an operator. The version passed if there are no
// failures.
type result struct {
	Version string `json:"version"`
	// Pulls has a line for each test pull that is no failure.
	Pulls    []string `json:"pulls"`
	Failures []string `json:"failures"`
}

func (h hook) handle(ctx context.Context, e event) (*result, error) {
	if e.Try {
		return h.test(ctx)
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
	switch r, err := h.test(testing); {
	case err != nil:
		status = types.LifecycleEventStatusFailed
		h.log.Error("the new version cannot be tested", "deployment", e.DeploymentID, "error", err.Error())
	case len(r.Failures) > 0:
		status = types.LifecycleEventStatusFailed
		for _, f := range r.Failures {
			h.log.Error("the new version failed", "deployment", e.DeploymentID, "version", r.Version, "failure", f)
		}
	default:
		h.log.Info("the new version passed", "deployment", e.DeploymentID, "version", r.Version, "pulls", r.Pulls)
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

// test runs the smoke test against the new version. If it passes, it pulls an image
// through the version.
func (h hook) test(ctx context.Context) (*result, error) {
	c, err := config.Load(h.getenv)
	if err != nil {
		return nil, err
	}
	entryPoints, err := smoketest.ParseEntryPoints(h.getenv("ROLLOUT_ENTRY_POINTS"))
	if err != nil {
		return nil, fmt.Errorf("reading ROLLOUT_ENTRY_POINTS: %w", err)
	}
	r := &result{Version: h.getenv("ROLLOUT_VERSION"), Pulls: []string{}, Failures: []string{}}
	if r.Version == "" {
		return nil, errors.New("reading ROLLOUT_VERSION: missing: want the ARN of the new version")
	}
	failures, err := smoketest.Run(ctx, c, entryPoints, h.invoke(r.Version))
	if err != nil || len(failures) > 0 {
		r.Failures = append(r.Failures, failures...)
		return r, err
	}
	i, err := h.image(ctx)
	if err != nil {
		h.log.Warn("finding an image for a test pull failed; none is made", "error", err.Error())
	}
	if i.Name == "" {
		return r, nil
	}
	pulls := smoketest.Pull(ctx, c, entryPoints, i, h.invoke(r.Version), h.invoke(h.getenv("ROLLOUT_LIVE")), h.transport)
	r.Pulls, r.Failures = append(r.Pulls, pulls.Done...), append(r.Failures, pulls.Failures...)
	return r, nil
}

// image returns the image of the canary, or the zero value if none is recorded yet.
func (h hook) image(ctx context.Context) (testpull.Image, error) {
	source, err := image.Load(h.getenv)
	if err != nil || source == nil {
		return testpull.Image{}, err
	}
	return source.Find(ctx)
}

// invoke returns what invokes a version or an alias.
func (h hook) invoke(name string) smoketest.Invoke {
	return func(ctx context.Context, event []byte) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, invokeTimeout)
		defer cancel()
		out, err := h.lambda.Invoke(ctx, &sdk.InvokeInput{FunctionName: aws.String(name), Payload: event})
		if err != nil {
			return nil, err
		}
		if out.FunctionError != nil {
			return nil, fmt.Errorf("the function failed: %.*s", maxPayload, out.Payload)
		}
		return out.Payload, nil
	}
}
