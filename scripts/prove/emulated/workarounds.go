package main

import (
	"context"
	"errors"
	"fmt"
	"path"

	"archeio/infra/stage"
	"archeio/scripts/prove/cli"
)

// workAround does by the API of AWS what the emulator's CloudFormation ignores, with
// the values of the synthesized templates. Each limitation is printed.
func (d *deployed) workAround(ctx context.Context, progress *cli.Progress) error {
	for _, x := range []struct {
		limitation, workaround string
		do                     func(context.Context) error // nil if there is nothing to do here
	}{
		{"CloudFront does not sign requests to a function URL", "after the check that other callers are rejected, the URL's auth type is set to NONE", func(ctx context.Context) error {
			return d.openFunctionURL(ctx, regions[0], d.function)
		}},
		{"CloudFormation ignores the Targets of a target group", "the alias is registered by elbv2 register-targets", d.registerTarget},
		{"CloudFront Functions have no module cloudfront and no origin groups", "the import is removed from the viewer-request function, and the origin of each behavior serves", nil},
		{"CloudFormation ignores replication and lifecycle rules", "those of the templates are put by s3api", d.putBucketRules},
		{"a failed message becomes visible after 90 minutes", "the queue's visibility timeout is set to a second", d.shortenRetries},
		{"IAM has a permission of its own for SendMessageBatch", "the functions' roles get it", d.allowBatches},
		{"the topic of AWS's notices is in another account", "the refresher is subscribed to a topic of this one, and reads documents from a server of this program", nil},
		{"CopyObject ignores If-None-Match", "two copies at the same time are not checked", nil},
		{"ECR serves /v2/ of every host", "it was disabled when the emulator started", nil},
		{"Fn::GetStackOutput ignores its Region", "it was changed when the emulator started", nil},
		{"the functions' hosts are not resolved", "the canary reaches the entry points through the proxy", nil},
		{"there is no CodeDeploy", "the stage has no release; with -operations, the rollout hook is created next to the redirector and reports to a server of this program", nil},
		{"alternate domain names are not served", "a proxy on loopback serves the names of the hosted zone, by its records", nil},
		{"a VPC has no IPv6 blocks", "the stage uses a network that was created before; that of the stack is not deployed", nil},
		{"the port accepts TLS only, and CloudFront caches nothing and adds no CloudFront-Viewer headers; a missing key is a 404", "plain HTTP, caching and the 403 of S3 are not checked, and clients send the viewer's address", nil},
	} {
		progress.Note("%s: %s", x.limitation, x.workaround)
		if x.do == nil {
			continue
		}
		if err := x.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployed) openFunctionURL(ctx context.Context, region, function string) error {
	return d.aws(ctx, region, nil, "lambda", "update-function-url-config", "--function-name", function, "--qualifier", "live", "--auth-type", "NONE")
}

func (d *deployed) registerTarget(ctx context.Context) error {
	target, err := d.target(ctx)
	if err != nil {
		return err
	}
	return d.aws(ctx, regions[0], nil, append([]string{"elbv2", "register-targets"}, target...)...)
}

// target returns the target of the load balancer as options of elbv2.
func (d *deployed) target(ctx context.Context) ([]string, error) {
	var groups struct {
		TargetGroups []struct{ TargetGroupArn string }
	}
	if err := d.aws(ctx, regions[0], &groups, "elbv2", "describe-target-groups"); err != nil {
		return nil, err
	}
	if len(groups.TargetGroups) == 0 {
		return nil, errors.New("there is no target group")
	}
	return []string{"--target-group-arn", groups.TargetGroups[0].TargetGroupArn,
		"--targets", "Id=arn:aws:lambda:" + regions[0] + ":" + account + ":function:" + d.function + ":live"}, nil
}

// shortenRetries makes a failed message visible again after a second.
func (d *deployed) shortenRetries(ctx context.Context) error {
	queue, err := d.queueURL(ctx, d.stage.FillQueue())
	if err != nil {
		return err
	}
	return d.aws(ctx, d.settings.primary, nil, "sqs", "set-queue-attributes", "--queue-url", queue, "--attributes", "VisibilityTimeout=1")
}

// allowBatches gives the functions' roles a permission that AWS does not have: there,
// sqs:SendMessage is enough.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
func (d *deployed) allowBatches(ctx context.Context) error {
	for _, id := range []string{stage.PlannerID, stage.WorkerID} {
		name, err := d.resource(ctx, "filler", id)
		if err != nil {
			return err
		}
		var function struct{ Role string }
		if err := d.aws(ctx, d.settings.primary, &function, "lambda", "get-function-configuration", "--function-name", name); err != nil {
			return err
		}
		policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sqs:SendMessageBatch","Resource":"arn:aws:sqs:%s:%s:%s"}}`,
			d.settings.primary, account, d.stage.FillQueue())
		if err := d.aws(ctx, regions[0], nil, "iam", "put-role-policy", "--role-name", path.Base(function.Role), "--policy-name", "batches", "--policy-document", policy); err != nil {
			return err
		}
	}
	return nil
}
