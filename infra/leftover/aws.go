package leftover

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"archeio/infra/stage"
)

// deletionTime is how long to wait for the deletion of a stack, far longer than it takes:
// a distribution is disabled first.
const deletionTime = time.Hour

// AWS is an Account that is accessed with the AWS SDK.
type AWS struct {
	config  aws.Config
	account string
}

// NewAWS returns the account with an ID. The credentials of config must be of that
// account.
func NewAWS(config aws.Config, account string) *AWS { return &AWS{config, account} }

func (a *AWS) in(region string) aws.Config {
	c := a.config.Copy()
	c.Region = region
	return c
}

func (a *AWS) stacks(region string) *cloudformation.Client {
	return cloudformation.NewFromConfig(a.in(region))
}

func (a *AWS) buckets(region string) *s3.Client {
	return s3.NewFromConfig(a.in(region), func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
}

// describe returns nil if there is no such stack.
func (a *AWS) describe(ctx context.Context, region, stack string) (*types.Stack, error) {
	out, err := a.stacks(region).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(stack)})
	if missing(err) || err == nil && len(out.Stacks) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &out.Stacks[0], nil
}

// missing reports whether CloudFormation failed because there is no such stack.
func missing(err error) bool {
	return code(err) == "ValidationError" && strings.Contains(err.Error(), "does not exist")
}

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// StackStatus implements Account.
func (a *AWS) StackStatus(ctx context.Context, region, stack string) (string, error) {
	st, err := a.describe(ctx, region, stack)
	if st == nil || st.StackStatus == types.StackStatusDeleteComplete {
		return "", err
	}
	return string(st.StackStatus), nil
}

// Output returns an output of a stack, empty if the stack or the output does not
// exist.
func (a *AWS) Output(ctx context.Context, region, stack, key string) (string, error) {
	st, err := a.describe(ctx, region, stack)
	if st == nil {
		return "", err
	}
	for _, o := range st.Outputs {
		if aws.ToString(o.OutputKey) == key {
			return aws.ToString(o.OutputValue), nil
		}
	}
	return "", nil
}

const bucketType = "AWS::S3::Bucket"

// resources returns the resources that a stack still has, none if there is no such
// stack.
func (a *AWS) resources(ctx context.Context, region, stack string) ([]types.StackResourceSummary, error) {
	var all []types.StackResourceSummary
	for p := cloudformation.NewListStackResourcesPaginator(a.stacks(region), &cloudformation.ListStackResourcesInput{StackName: aws.String(stack)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if missing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, r := range page.StackResourceSummaries {
			if !gone(r.ResourceStatus) && aws.ToString(r.PhysicalResourceId) != "" {
				all = append(all, r)
			}
		}
	}
	return all, nil
}

// gone reports whether a stack has deleted a resource, or no longer manages it.
func gone(status types.ResourceStatus) bool {
	return status == types.ResourceStatusDeleteComplete || status == types.ResourceStatusDeleteSkipped
}

// StackResources implements Account.
func (a *AWS) StackResources(ctx context.Context, region, stack string) ([]string, error) {
	all, err := a.resources(ctx, region, stack)
	var left []string
	for _, r := range all {
		if kind := aws.ToString(r.ResourceType); kind != bucketType {
			left = append(left, kind+" "+aws.ToString(r.PhysicalResourceId))
		}
	}
	return left, err
}

// StackOf implements Account.
func (a *AWS) StackOf(ctx context.Context, region, want, bucket string) (string, error) {
	all, err := a.resources(ctx, region, want)
	if err != nil {
		return "", err
	}
	for _, r := range all {
		if aws.ToString(r.ResourceType) == bucketType && aws.ToString(r.PhysicalResourceId) == bucket {
			return want, nil
		}
	}
	out, err := a.stacks(region).DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{PhysicalResourceId: aws.String(bucket)})
	if missing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, r := range out.StackResources {
		if !gone(r.ResourceStatus) && aws.ToString(r.PhysicalResourceId) == bucket && aws.ToString(r.ResourceType) == bucketType {
			return aws.ToString(r.StackName), nil
		}
	}
	return "", nil
}

// Ownership implements Account.
func (a *AWS) Ownership(ctx context.Context, region, bucket string) (Ownership, error) {
	_, err := a.buckets(region).HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(bucket), ExpectedBucketOwner: aws.String(a.account)})
	var response *awshttp.ResponseError
	switch {
	case err == nil:
		return Own, nil
	case !errors.As(err, &response):
		return Free, err
	case response.HTTPStatusCode() == http.StatusNotFound:
		return Free, nil
	case response.HTTPStatusCode() == http.StatusForbidden, response.HTTPStatusCode() == http.StatusMovedPermanently:
		return Foreign, nil
	}
	return Free, err
}

// StageTag implements Account.
func (a *AWS) StageTag(ctx context.Context, region, bucket string) (string, error) {
	out, err := a.buckets(region).GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: aws.String(bucket), ExpectedBucketOwner: aws.String(a.account)})
	if code(err) == "NoSuchTagSet" {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, tag := range out.TagSet {
		if aws.ToString(tag.Key) == stage.Tag {
			return aws.ToString(tag.Value), nil
		}
	}
	return "", nil
}

// DeleteStack deletes a stack and waits until it is deleted. It does nothing if
// there is no such stack.
func (a *AWS) DeleteStack(ctx context.Context, region, stack string) error {
	c := a.stacks(region)
	// A deleted stack can be described by its ID, but no longer by its name.
	st, err := a.describe(ctx, region, stack)
	if st == nil {
		return err
	}
	if _, err := c.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: st.StackId}); err != nil {
		return err
	}
	return cloudformation.NewStackDeleteCompleteWaiter(c).Wait(ctx, &cloudformation.DescribeStacksInput{StackName: st.StackId}, deletionTime)
}

// existing are the states of stacks that are not deleted.
var existing = func() (all []types.StackStatus) {
	for _, status := range types.StackStatus("").Values() {
		if status != types.StackStatusDeleteComplete {
			all = append(all, status)
		}
	}
	return all
}()

// Stacks implements Lister.
func (a *AWS) Stacks(ctx context.Context, region string) ([]string, error) {
	var names []string
	for p := cloudformation.NewListStacksPaginator(a.stacks(region), &cloudformation.ListStacksInput{StackStatusFilter: existing}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, st := range page.StackSummaries {
			names = append(names, aws.ToString(st.StackName))
		}
	}
	return names, nil
}

// Protected reports whether a stack is protected from deletion.
func (a *AWS) Protected(ctx context.Context, region, stack string) (bool, error) {
	st, err := a.describe(ctx, region, stack)
	return st != nil && aws.ToBool(st.EnableTerminationProtection), err
}

// Unprotect lifts the protection of a stack from deletion.
func (a *AWS) Unprotect(ctx context.Context, region, stack string) error {
	_, err := a.stacks(region).UpdateTerminationProtection(ctx, &cloudformation.UpdateTerminationProtectionInput{StackName: aws.String(stack), EnableTerminationProtection: aws.Bool(false)})
	return err
}

// LoadBalancers returns the ARNs of the load balancers of a stack.
func (a *AWS) LoadBalancers(ctx context.Context, region, stack string) ([]string, error) {
	all, err := a.resources(ctx, region, stack)
	var arns []string
	for _, r := range all {
		if aws.ToString(r.ResourceType) == "AWS::ElasticLoadBalancingV2::LoadBalancer" {
			arns = append(arns, aws.ToString(r.PhysicalResourceId))
		}
	}
	return arns, err
}

// DeletePolicy deletes the policy of a bucket, which then can no longer be read
// from the internet: CloudFormation does not create a policy if there is one.
func (a *AWS) DeletePolicy(ctx context.Context, region, bucket string) error {
	_, err := a.buckets(region).DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: aws.String(bucket), ExpectedBucketOwner: aws.String(a.account)})
	return err
}
