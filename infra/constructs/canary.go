package constructs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/lambda/metrics"
)

// canaryTimeout is in seconds, enough for one pull through each entry point.
const canaryTimeout = 60

// Canary creates the function that pulls through the entry points as a client does, and
// alarms on three failures in a row. It has no access to the stage but to the name of the
// image. distribution is the distribution's own host name; code is the folder with the
// binary.
func Canary(scope constructs.Construct, s *stage.Stage, region, distribution, code string) {
	function, role := newFunction(scope, s, functionProps{
		prefix: stage.CanaryID, id: stage.CanaryID, description: "pulls through the entry points as a client does",
		roleDescription: "Canary: reads which image to pull, writes its own logs",
		code:            code, env: s.CanaryEnvironment(distribution), memory: stage.CanaryMemory, timeout: canaryTimeout,
	})
	allowImage(role, s)
	invokeOn(scope, function, stage.CanaryID, "Pull", "pulls through the entry points", fmt.Sprintf("rate(%d minutes)", stage.CanaryMinutes), "{}")
	a := alarms{scope, s, region}
	a.function(stage.CanaryID, runbookErrors, function, 3, canaryTimeout, closeToTimeout)
	for _, name := range s.EntryPoints() {
		id, what := "CanaryDistribution", "the distribution"
		if name == stage.BalancerEntry {
			id, what = "CanaryLoadBalancer", "the load balancer"
		}
		a.add(id, runbookErrors, "Three pulls in a row have failed through "+what+". Check the canary's log group for the request that fails, then run "+a.archeio("verify")+".",
			0, 3, metric(metrics.Namespace, metrics.CanaryFailures, "Sum", 60*stage.CanaryMinutes, jsii.String(metrics.EntryPoint), jsii.String(name)))
	}
}

// allowImage allows a role to read which image to pull.
func allowImage(role awsiam.Role, s *stage.Stage) {
	if s.Canary == nil || s.Canary.Image != "" {
		return
	}
	allow(role, nil, []*string{jsii.String(s.CanaryImageARN())}, "s3:GetObject")
	// Without it S3 answers 403 for an object that does not exist yet.
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
	allow(role, nil, []*string{jsii.String("arn:aws:s3:::" + s.StateBucket())}, "s3:ListBucket")
}
