// Package stacks puts the constructs together: a mirror stack per mirror
// region, one for what fills the mirrors, a redirector stack per redirector
// region, one for the edge, and one per region for its alarms.
package stacks

import (
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	parts "archeio/infra/constructs"
	"archeio/infra/stage"
	"archeio/lambda/build"
)

// Code has the folders with the built functions. Mirror is of use only for
// stages that have a Filler, Release for those that have one.
type Code struct{ Redirector, Mirror, Release string }

// Add puts all stacks of a stage into an app, and none of a stage that is too
// large for a distribution.
func Add(app constructs.Construct, s *stage.Stage, code Code) error {
	if s.HasDistribution() {
		if _, err := parts.ViewerRequest(s); err != nil {
			return err
		}
	}
	for _, region := range s.Regions() {
		watch(app, s, region)
	}
	var replicas []awscdk.Stack
	filled := s.Replicas()
	for _, region := range s.Mirrors {
		if region == s.Primary {
			continue
		}
		if st := mirror(app, s, region); slices.Contains(filled, region) {
			replicas = append(replicas, st)
		}
	}
	// Replication needs its destinations.
	primary := mirror(app, s, s.Primary)
	for _, replica := range replicas {
		primary.AddStackDependency(replica, jsii.String("replication needs its destinations"))
	}
	if s.Filler != nil {
		if err := filler(app, s, primary, code.Mirror); err != nil {
			return err
		}
	}
	var hosts []*string
	var before awscdk.Stack
	for _, region := range s.Redirectors {
		st, host, err := redirector(app, s, region, code)
		if err != nil {
			return err
		}
		if s.Release != nil && before != nil {
			st.AddStackDependency(before, jsii.String("a version that one region has refused is for none of the next"))
		}
		before = st
		hosts = append(hosts, host)
	}
	if s.HasDistribution() {
		return edge(app, s, hosts)
	}
	return nil
}

func stack(app constructs.Construct, s *stage.Stage, what, region, description string) awscdk.Stack {
	st := awscdk.NewStack(app, jsii.String(s.Stack(what, region)), &awscdk.StackProps{
		StackName:             jsii.String(s.Stack(what, region)),
		Description:           jsii.String("Archeio, stage " + s.Name + ": " + description),
		Env:                   &awscdk.Environment{Account: jsii.String(s.Account), Region: jsii.String(region)},
		TerminationProtection: jsii.Bool(s.Protected && !s.Leaves(what, region)),
		// Only a function's address is ever handed on, as it is made up by AWS.
		CrossRegionReferences: jsii.Bool(true),
	})
	tags := awscdk.Tags_Of(st)
	tags.Add(jsii.String(stage.Tag), jsii.String(s.Name), nil)
	return st
}

// watch is what the alarms of a region's other stacks speak to; they know it by
// its name. In the primary's region it is also what people look at.
func watch(app constructs.Construct, s *stage.Stage, region string) {
	st := stack(app, s, "watch", region, "tells people")
	parts.Topic(st, s, region)
	if region != s.Primary {
		return
	}
	parts.Dashboard(st, s)
	output(st, "DashboardAddress", "what the stage does, at a glance", jsii.String(fmt.Sprintf(
		"https://%s.console.aws.amazon.com/cloudwatch/home?region=%[1]s#dashboards/dashboard/%s", region, s.Dashboard())))
	if s.Budget > 0 {
		parts.Budget(st, s)
	}
}

func output(st awscdk.Stack, name, description string, value *string) {
	awscdk.NewCfnOutput(st, jsii.String(name), &awscdk.CfnOutputProps{Value: value, Description: jsii.String(description)})
}

func mirror(app constructs.Construct, s *stage.Stage, region string) awscdk.Stack {
	what := "mirror"
	if region == s.Primary {
		what = "primary mirror"
	}
	st := stack(app, s, "mirror", region, what)
	bucket := parts.MirrorBucket(st, s, region)
	if region == s.Primary {
		parts.Replicate(st, s, bucket)
	}
	output(st, "BucketName", "the mirror's bucket", bucket.BucketName())
	return st
}

// filler comes after the primary, and so after all mirrors.
func filler(app constructs.Construct, s *stage.Stage, primary awscdk.Stack, code string) error {
	st := stack(app, s, "filler", s.Primary, "fills the mirrors")
	st.AddStackDependency(primary, jsii.String("it writes to the mirrors"))
	planner, err := parts.Filler(st, s, code)
	if err != nil {
		return err
	}
	output(st, "PlannerName", "the function that finds out what the mirrors lack", planner.FunctionName())
	output(st, "QueueName", "the queue of its work", jsii.String(s.FillQueue()))
	output(st, "StateBucket", "the bucket of its state", jsii.String(s.StateBucket()))
	output(st, "TryPlanner", "fill the mirrors now, before the schedule does", jsii.String(fmt.Sprintf(
		`aws lambda invoke --region %s --function-name %s --invocation-type Event --cli-binary-format raw-in-base64-out --payload '{"mirror":"plan"}' /dev/stdout`,
		s.Primary, *planner.FunctionName())))
	return nil
}

// redirector answers the stack, and the host of the function's address, nil if
// it has none.
func redirector(app constructs.Construct, s *stage.Stage, region string, code Code) (awscdk.Stack, *string, error) {
	st := stack(app, s, "redirector", region, "redirector")
	alias, hook, err := parts.RedirectorFunction(st, s, region, code.Redirector, code.Release)
	if err != nil {
		return nil, nil, err
	}
	hash, err := build.Hash(code.Redirector)
	if err != nil {
		return nil, nil, err
	}
	output(st, stage.CodeHash, "SHA-256 of the function's bootstrap", jsii.String(hash))
	if hook != nil {
		output(st, "TryRelease", "try the newest version, as a release does before clients get to it", jsii.String(fmt.Sprintf(
			`aws lambda invoke --region %s --function-name %s --cli-binary-format raw-in-base64-out --payload '{"try":true}' /dev/stdout`, region, *hook.FunctionName())))
	}
	if s.HasLoadBalancers() {
		balancer := parts.LoadBalancer(st, s, region, alias)
		output(st, "BalancerName", "the load balancer's own name; clients use "+s.BalancerDomain(), balancer.AttrDnsName())
		if !s.HasDistribution() {
			address(st, jsii.String(s.BalancerDomain()))
		}
	}
	if !s.HasDistribution() {
		return st, nil, nil
	}
	return st, hostOf(parts.FunctionURL(st, s, alias)), nil
}

// hostOf takes the host out of https://HOST/.
func hostOf(url awslambda.FunctionUrl) *string {
	return awscdk.Fn_Select(jsii.Number(2), awscdk.Fn_Split(jsii.String("/"), url.Url(), nil))
}

func edge(app constructs.Construct, s *stage.Stage, hosts []*string) error {
	st := stack(app, s, "edge", stage.EdgeRegion, "distribution")
	distribution, err := parts.Distribution(st, s, hosts)
	if err != nil {
		return err
	}
	output(st, "DistributionName", "the distribution's own name", distribution.AttrDomainName())
	address(st, parts.Address(s, distribution))
	return nil
}

// address prints the registry's name, and what to try with it.
func address(st awscdk.Stack, name *string) {
	output(st, "Registry", "pull images from here", name)
	output(st, "TryCrane", "replace NAME:TAG by an image of the upstream", jsii.String(fmt.Sprintf("crane manifest %s/NAME:TAG", *name)))
	output(st, "TryDocker", "replace NAME:TAG by an image of the upstream", jsii.String(fmt.Sprintf("docker pull %s/NAME:TAG", *name)))
}
