// Package stacks assembles the constructs into stacks: a mirror stack in each mirror
// region, a filler stack in the primary's region, a home stack with state and dashboard,
// a redirector stack in each redirector region, an edge stack for the distribution, a
// domain stack for the records of the domain, a budget stack, and a watch stack with the
// alarm topic in each region, and a canary stack in each redirector region.
//
// A stack refers to what AWS generates in another one by an output of that stack, which
// CloudFormation reads when the referring stack is deployed: nothing is exported, so no
// stack prevents a change of another one.
package stacks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	parts "archeio/infra/constructs"
	"archeio/infra/stage"
	"archeio/lambda/build"
)

// Code holds the folders of the built functions. Mirror is required for stages with a
// Filler, Refresh for those that refresh the IP ranges, Rollout for those with a Release,
// Canary for those with a Canary.
type Code struct{ Redirector, Mirror, Refresh, Rollout, Canary string }

// Add adds all stacks of a stage to an app. It returns an error and adds none if the
// stage is too large for a distribution.
func Add(app constructs.Construct, s *stage.Stage, code Code) error {
	if s.HasDistribution() {
		if _, err := parts.ViewerRequest(s); err != nil {
			return err
		}
	}
	for _, region := range s.Regions() {
		watch(app, s, region)
	}
	state := home(app, s)
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
	primary := mirror(app, s, s.Primary)
	for _, replica := range replicas {
		primary.AddStackDependency(replica, jsii.String("the destinations of replication must exist"))
	}
	if s.Refreshes() {
		if err := refresh(app, s, state, code.Refresh); err != nil {
			return err
		}
	}
	if s.Filler != nil {
		if err := filler(app, s, state, primary, code.Mirror); err != nil {
			return err
		}
	}
	var redirectors []awscdk.Stack
	var before awscdk.Stack
	for _, region := range s.Redirectors {
		st, err := redirector(app, s, region, code)
		if err != nil {
			return err
		}
		if s.Release != nil && !s.Release.Skipped && before != nil {
			st.AddStackDependency(before, jsii.String("a version that fails in one region is not rolled out to the next ones"))
		}
		before = st
		redirectors = append(redirectors, st)
	}
	entry := redirectors
	if s.HasDistribution() {
		st, err := edge(app, s, redirectors)
		if err != nil {
			return err
		}
		entry = []awscdk.Stack{st}
	}
	if slices.ContainsFunc(s.Hosts(), s.InZone) {
		entry = append(slices.Clone(entry), domain(app, s, entry))
	}
	if s.Canary != nil {
		for _, region := range s.Redirectors {
			canary(app, s, region, entry, code.Canary)
		}
	}
	if s.Budget > 0 {
		parts.Budget(stack(app, s, "budget", stage.EdgeRegion, "monthly budget"), s)
	}
	return nil
}

func stack(app constructs.Construct, s *stage.Stage, what, region, description string) awscdk.Stack {
	st := awscdk.NewStack(app, jsii.String(s.Stack(what, region)), &awscdk.StackProps{
		StackName:             jsii.String(s.Stack(what, region)),
		Description:           jsii.String("Archeio, stage " + s.Name + ": " + description),
		Env:                   &awscdk.Environment{Account: jsii.String(s.Account), Region: jsii.String(region)},
		TerminationProtection: jsii.Bool(s.Protected && !s.IsRetired(what, region)),
	})
	tags := awscdk.Tags_Of(st)
	tags.Add(jsii.String(stage.Tag), jsii.String(s.Name), nil)
	return st
}

// watch adds the topic of a region's alarms, which the other stacks refer to by its
// name.
func watch(app constructs.Construct, s *stage.Stage, region string) {
	parts.Topic(stack(app, s, "watch", region, "alarm topic"), s, region)
}

// home adds the stack with what must stay where it is when another mirror becomes the
// primary: the state of the fillers, with the list of withdrawn blobs, and the dashboard.
func home(app constructs.Construct, s *stage.Stage) awscdk.Stack {
	st := stack(app, s, "home", s.Home, "dashboard and state")
	parts.Dashboard(st, s)
	output(st, "DashboardURL", "CloudWatch dashboard", jsii.String(fmt.Sprintf(
		"https://%s.console.aws.amazon.com/cloudwatch/home?region=%[1]s#dashboards/dashboard/%s", s.Home, s.Dashboard())))
	if s.HasState() {
		parts.StateBucket(st, s)
		output(st, "StateBucket", "bucket for the state of the functions", jsii.String(s.StateBucket()))
	}
	return st
}

// uses outputs the regions of the stacks that a stack refers to, so that a deployed stack
// that is still in use is not deleted.
func uses(st awscdk.Stack, name string, regions []string) {
	if len(regions) > 0 {
		output(st, name, "regions of the stacks that this one refers to", jsii.String(strings.Join(regions, ",")))
	}
}

func output(st awscdk.Stack, name, description string, value *string) {
	awscdk.NewCfnOutput(st, jsii.String(name), &awscdk.CfnOutputProps{Value: value, Description: jsii.String(description)})
}

func mirror(app constructs.Construct, s *stage.Stage, region string) awscdk.Stack {
	description := "mirror bucket"
	if region == s.Primary {
		description = "primary mirror bucket"
	}
	st := stack(app, s, "mirror", region, description)
	if s.IsExisting(region) {
		parts.ExistingBucket(st, s, region)
		output(st, stage.BucketName, "existing bucket", jsii.String(s.Bucket(region)))
		output(st, "RequiredPolicy", "statements that the policy of the bucket must have", jsii.String(s.PublicStatements(region)))
		output(st, "RequiredSettings", "other settings that the bucket must have", jsii.String(parts.RequiredSettings))
		if region == s.Primary {
			if role := parts.ReplicationRole(st, s); role != nil {
				output(st, stage.RequiredReplication, "replication configuration that the bucket must have", jsii.String(s.ReplicationConfiguration(*role.RoleArn())))
				uses(st, stage.UsesMirrors, s.Replicas())
			}
		}
		return st
	}
	bucket := parts.MirrorBucket(st, s, region)
	if region == s.Primary {
		parts.Replicate(st, s, bucket)
		uses(st, stage.UsesMirrors, s.Replicas())
	}
	output(st, stage.BucketName, "mirror bucket", bucket.BucketName())
	return st
}

// filler adds the filler stack. It depends on the primary, and so on all mirrors.
func filler(app constructs.Construct, s *stage.Stage, home, primary awscdk.Stack, code string) error {
	st := stack(app, s, "filler", s.Primary, "functions that fill the mirrors")
	st.AddStackDependency(home, jsii.String("the functions store their state there"))
	st.AddStackDependency(primary, jsii.String("the functions write to the mirrors"))
	planner, err := parts.Filler(st, s, code)
	if err != nil {
		return err
	}
	uses(st, stage.UsesMirrors, s.Filled())
	output(st, "PlannerName", "function that finds missing blobs", planner.FunctionName())
	output(st, "QueueName", "work queue", jsii.String(s.FillQueue()))
	output(st, "State", "state of the functions, as for archeio mirror -state", jsii.String("s3://"+s.StateBucket()+"@"+s.Home))
	output(st, "TryPlanner", "fills the mirrors now instead of on schedule", jsii.String(fmt.Sprintf(
		`aws lambda invoke --region %s --function-name %s --invocation-type Event --cli-binary-format raw-in-base64-out --payload '{"mirror":"plan"}' /dev/stdout`,
		s.Primary, *planner.FunctionName())))
	return nil
}

// refresh adds the stack of the function that keeps the range tables up to date.
func refresh(app constructs.Construct, s *stage.Stage, home awscdk.Stack, code string) error {
	st := stack(app, s, "refresh", stage.EdgeRegion, "function that keeps the IP ranges up to date")
	st.AddStackDependency(home, jsii.String("the function stores its state there"))
	function, err := parts.Refresher(st, s, code)
	if err != nil {
		return err
	}
	uses(st, stage.UsesMirrors, s.Filled())
	output(st, "RefresherName", "function that keeps the IP ranges up to date", function.FunctionName())
	return nil
}

// redirector adds a redirector stack.
func redirector(app constructs.Construct, s *stage.Stage, region string, code Code) (awscdk.Stack, error) {
	st := stack(app, s, "redirector", region, "redirector function")
	alias, hook, err := parts.RedirectorFunction(st, s, region, code.Redirector, code.Rollout)
	if err != nil {
		return nil, err
	}
	hash, err := build.Hash(code.Redirector)
	if err != nil {
		return nil, err
	}
	uses(st, stage.UsesMirrors, s.Routed())
	output(st, stage.CodeHash, "SHA-256 of the function's binary", jsii.String(hash))
	if hook != nil {
		output(st, "TryRollout", "smoke-tests the newest version as a rollout does", jsii.String(fmt.Sprintf(
			`aws lambda invoke --region %s --function-name %s --cli-binary-format raw-in-base64-out --payload '{"try":true}' /dev/stdout`, region, *hook.FunctionName())))
	}
	if s.HasLoadBalancers() {
		balancer := parts.LoadBalancer(st, s, region, alias)
		output(st, stage.BalancerName, "domain name of the load balancer; clients use "+s.BalancerDomain(), balancer.AttrDnsName())
		hosts := []string{s.BalancerDomain()}
		if !s.HasDistribution() {
			address(st, jsii.String(s.Domain))
			hosts = append(hosts, s.Hosts()...)
		}
		toCreate(st, s, hosts, balancer.AttrDnsName())
	}
	// A stage without a distribution has function URLs too: a distribution that it had
	// before must serve requests until DNS caches no longer lead to it.
	if stage.HasFunctionURL(region) {
		output(st, stage.FunctionHost, "host of the function URL, which only CloudFront can call", hostOf(parts.FunctionURL(st, s, region, alias)))
	}
	return st, nil
}

// hostOf returns the host of a function URL, which is https://HOST/.
func hostOf(url awslambda.FunctionUrl) *string {
	return awscdk.Fn_Select(jsii.Number(2), awscdk.Fn_Split(jsii.String("/"), url.Url(), nil))
}

func edge(app constructs.Construct, s *stage.Stage, redirectors []awscdk.Stack) (awscdk.Stack, error) {
	st := stack(app, s, "edge", stage.EdgeRegion, "CloudFront distribution")
	var hosts []*string
	for _, redirector := range redirectors {
		st.AddStackDependency(redirector, jsii.String("the function URLs are origins"))
		hosts = append(hosts, outputOf(redirector, stage.FunctionHost))
	}
	distribution, err := parts.Distribution(st, s, hosts)
	if err != nil {
		return nil, err
	}
	uses(st, stage.UsesMirrors, s.Routed())
	uses(st, stage.UsesRedirectors, s.Redirectors)
	output(st, stage.DistributionName, "domain name of the distribution", distribution.AttrDomainName())
	toCreate(st, s, s.Hosts(), distribution.AttrDomainName())
	address(st, parts.Address(s, distribution))
	return st, nil
}

// outputOf returns an output of a stack as a value for another stack.
func outputOf(st awscdk.Stack, name string) *string {
	return awscdk.Fn_GetStackOutput(st.StackName(), jsii.String(name), st.Region(), nil)
}

// domain adds the stack with the records of the domain, which lead to the entry points:
// the edge stack, or the redirector stacks. One stack has them for all fronts, so that
// another front changes records that exist.
func domain(app constructs.Construct, s *stage.Stage, entry []awscdk.Stack) awscdk.Stack {
	st := stack(app, s, "domain", stage.EdgeRegion, "records of the domain")
	for _, before := range entry {
		st.AddStackDependency(before, jsii.String("the domain leads there"))
	}
	to := stage.ToBalancers
	if s.HasDistribution() {
		to = stage.ToDistribution
		parts.DistributionRecords(st, s, outputOf(entry[0], stage.DistributionName))
	} else {
		parts.BalancerAlias(st, s)
	}
	inZone := slices.DeleteFunc(s.Hosts(), func(host string) bool { return !s.InZone(host) })
	output(st, stage.Records, "host names of the records", jsii.String(strings.Join(inZone, ",")))
	output(st, stage.DomainTarget, "what the domain leads to", jsii.String(to))
	return st
}

// canary adds the stack with the canary of a region. entry are the stacks that clients
// connect to.
func canary(app constructs.Construct, s *stage.Stage, region string, entry []awscdk.Stack, code string) {
	st := stack(app, s, "canary", region, "synthetic pulls")
	for _, before := range entry {
		st.AddStackDependency(before, jsii.String("the canary pulls through the entry points"))
	}
	distribution := ""
	if s.HasDistribution() {
		distribution = *outputOf(entry[0], stage.DistributionName)
	}
	parts.Canary(st, s, region, distribution, code)
}

// toCreate outputs the records of hosts that are not in the hosted zone: the operators of
// their zone must create them.
func toCreate(st awscdk.Stack, s *stage.Stage, hosts []string, target *string) {
	var records []string
	for _, host := range hosts {
		if !s.InZone(host) {
			records = append(records, host+". CNAME "+*target+".")
		}
	}
	if len(records) > 0 {
		output(st, "RecordsToCreate", "DNS records to create, or aliases of the same names", jsii.String(strings.Join(records, "\n")))
	}
}

// address outputs the host name of the registry, and commands to try it.
func address(st awscdk.Stack, name *string) {
	output(st, "Registry", "host name of the registry", name)
	output(st, "TryCrane", "fetches a manifest; replace NAME:TAG with an image of the upstream", jsii.String(fmt.Sprintf("crane manifest %s/NAME:TAG", *name)))
	output(st, "TryDocker", "pulls an image; replace NAME:TAG with an image of the upstream", jsii.String(fmt.Sprintf("docker pull %s/NAME:TAG", *name)))
}
