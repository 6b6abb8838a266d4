package verify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"archeio/infra/leftover"
	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/copier"
	"archeio/lambda/registry"
	"archeio/lambda/testpull/image"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/archeio/query"
)

// cloud is AWS as the checks see it.
type cloud interface {
	// account returns the ID of the credentials' account. It must be called before
	// the other methods.
	account(context.Context) (string, error)
	// Output returns an output of a stack, empty if the stack or the output does not
	// exist.
	Output(ctx context.Context, region, stack, key string) (string, error)
	// created returns when a stack was created, zero if it does not exist.
	created(ctx context.Context, region, stack string) (time.Time, error)
	// resource returns the physical ID of a resource of a stack.
	resource(ctx context.Context, region, stack, logicalID string) (string, error)
	aliases(ctx context.Context, region, function string) ([]alias, error)
	// function returns a version of a function, which may be named by an alias.
	function(ctx context.Context, region, name, version string) (*version, error)
	// policy returns the policy of an alias, empty if it has none.
	policy(ctx context.Context, region string, f function) (string, error)
	// concurrency returns the unreserved concurrent executions of the account.
	concurrency(ctx context.Context, region string) (int, error)
	// invocations returns how many times a function was invoked, and how many of that
	// failed.
	invocations(ctx context.Context, region, function string, from, to time.Time) (runs, errs int, err error)
	// alarms returns the alarms with names that begin with a prefix.
	alarms(ctx context.Context, region, prefix string) ([]alarm, error)
	// subscriptions returns how many subscriptions of a topic are confirmed and how many
	// are not.
	subscriptions(ctx context.Context, region, topic string) (confirmed, waiting int, err error)
	// distribution returns the distribution with a host name, nil if there is none.
	distribution(ctx context.Context, host string) (*distribution, error)
	// invalidate invalidates paths in the distribution with a host name.
	invalidate(ctx context.Context, host string, paths []string) error

	// state returns an object of the state bucket, nil if it does not exist.
	state(ctx context.Context, key string) ([]byte, error)
	// blob returns the smallest of the first blobs of a mirror, the zero value if it
	// has none.
	blob(ctx context.Context, region string) (blob, error)
	// exists reports whether a mirror has an object with a name, and whether it ever had
	// one of which S3 still has a version or a delete marker.
	exists(ctx context.Context, region, name string) (now, ever bool, err error)
	put(ctx context.Context, region, digest, content string) error
	has(ctx context.Context, region, digest string) (bool, error)
	// remove removes every version of a blob; it may not exist.
	remove(ctx context.Context, region, digest string) error
}

type alias struct {
	name string
	// shifting is whether a part of the traffic goes to another version.
	shifting bool
}

type version struct {
	version, codeSHA string
	environment      map[string]string
}

type alarm struct {
	name, state string
	// notifies is whether its actions are enabled.
	notifies bool
}

type distribution struct {
	id, status, httpVersion, priceClass string
	aliases                             []string
	enabled, ipv6                       bool
}

// sdk is a cloud that is accessed with the AWS SDK.
type sdk struct {
	*leftover.AWS // set by account
	config        aws.Config
	stage         *stage.Stage
}

func newCloud(ctx context.Context, s *stage.Stage) (cloud, error) {
	c, err := cli.LoadAWS(ctx, "")
	if err != nil {
		return nil, err
	}
	// The region that global services are signed for.
	c.Region = stage.EdgeRegion
	return &sdk{config: c, stage: s}, nil
}

func (s *sdk) in(region string) aws.Config {
	c := s.config.Copy()
	c.Region = region
	return c
}

func (s *sdk) account(ctx context.Context) (string, error) {
	out, err := sts.NewFromConfig(s.config).GetCallerIdentity(ctx, nil)
	if err != nil {
		return "", err
	}
	id := aws.ToString(out.Account)
	s.AWS = leftover.NewAWS(s.config, id)
	return id, nil
}

func (s *sdk) created(ctx context.Context, region, stack string) (time.Time, error) {
	out, err := cloudformation.NewFromConfig(s.in(region)).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil || len(out.Stacks) == 0 {
		return time.Time{}, err
	}
	return aws.ToTime(out.Stacks[0].CreationTime), nil
}

func (s *sdk) resource(ctx context.Context, region, stack, logicalID string) (string, error) {
	out, err := cloudformation.NewFromConfig(s.in(region)).DescribeStackResource(ctx, &cloudformation.DescribeStackResourceInput{
		StackName: &stack, LogicalResourceId: &logicalID,
	})
	if err != nil {
		return "", err
	}
	if out.StackResourceDetail == nil {
		return "", fmt.Errorf("no resource %s", logicalID)
	}
	return aws.ToString(out.StackResourceDetail.PhysicalResourceId), nil
}

func (s *sdk) aliases(ctx context.Context, region, function string) ([]alias, error) {
	out, err := lambda.NewFromConfig(s.in(region)).ListAliases(ctx, &lambda.ListAliasesInput{FunctionName: &function})
	if err != nil {
		return nil, err
	}
	var all []alias
	for _, a := range out.Aliases {
		all = append(all, alias{aws.ToString(a.Name), a.RoutingConfig != nil && len(a.RoutingConfig.AdditionalVersionWeights) > 0})
	}
	return all, nil
}

func (s *sdk) function(ctx context.Context, region, name, qualifier string) (*version, error) {
	out, err := lambda.NewFromConfig(s.in(region)).GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name, Qualifier: &qualifier})
	if err != nil {
		return nil, err
	}
	v := &version{version: aws.ToString(out.Version), codeSHA: aws.ToString(out.CodeSha256)}
	if out.Environment != nil {
		v.environment = out.Environment.Variables
	}
	return v, nil
}

func (s *sdk) policy(ctx context.Context, region string, f function) (string, error) {
	out, err := lambda.NewFromConfig(s.in(region)).GetPolicy(ctx, &lambda.GetPolicyInput{FunctionName: &f.name, Qualifier: &f.alias})
	if code(err) == "ResourceNotFoundException" {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Policy), nil
}

func (s *sdk) concurrency(ctx context.Context, region string) (int, error) {
	out, err := lambda.NewFromConfig(s.in(region)).GetAccountSettings(ctx, nil)
	if err != nil {
		return 0, err
	}
	if out.AccountLimit == nil {
		return 0, errors.New("no account limit in the response of Lambda")
	}
	return int(aws.ToInt32(out.AccountLimit.UnreservedConcurrentExecutions)), nil
}

func (s *sdk) invocations(ctx context.Context, region, function string, from, to time.Time) (runs, errs int, err error) {
	client := cloudwatch.NewFromConfig(s.in(region))
	var sums [2]float64
	for i, name := range []string{"Invocations", "Errors"} {
		out, err := client.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
			Namespace: aws.String("AWS/Lambda"), MetricName: &name, Statistics: []cwtypes.Statistic{cwtypes.StatisticSum},
			Dimensions: []cwtypes.Dimension{{Name: aws.String("FunctionName"), Value: &function}},
			StartTime:  &from, EndTime: &to, Period: aws.Int32(24 * 3600),
		})
		if err != nil {
			return 0, 0, err
		}
		for _, p := range out.Datapoints {
			sums[i] += aws.ToFloat64(p.Sum)
		}
	}
	return int(sums[0]), int(sums[1]), nil
}

func (s *sdk) alarms(ctx context.Context, region, prefix string) (all []alarm, err error) {
	for p := cloudwatch.NewDescribeAlarmsPaginator(cloudwatch.NewFromConfig(s.in(region)), &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: &prefix}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, a := range page.MetricAlarms {
			all = append(all, alarm{aws.ToString(a.AlarmName), string(a.StateValue), aws.ToBool(a.ActionsEnabled)})
		}
	}
	return all, nil
}

// https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html
func (s *sdk) subscriptions(ctx context.Context, region, topic string) (confirmed, waiting int, err error) {
	var out struct {
		Entries []struct {
			Key   string `xml:"key"`
			Value string `xml:"value"`
		} `xml:"GetTopicAttributesResult>Attributes>entry"`
	}
	form := url.Values{"Action": {"GetTopicAttributes"}, "Version": {"2010-03-31"}, "TopicArn": {topic}}
	if err := query.Call(ctx, s.config, "sns", region, form, &out); err != nil {
		return 0, 0, err
	}
	for _, e := range out.Entries {
		switch e.Key {
		case "SubscriptionsConfirmed":
			_, err = fmt.Sscan(e.Value, &confirmed)
		case "SubscriptionsPending":
			_, err = fmt.Sscan(e.Value, &waiting)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("attribute %s of the topic: %w", e.Key, err)
		}
	}
	return confirmed, waiting, nil
}

func (s *sdk) distribution(ctx context.Context, host string) (*distribution, error) {
	for p := cloudfront.NewListDistributionsPaginator(cloudfront.NewFromConfig(s.config), &cloudfront.ListDistributionsInput{}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		if page.DistributionList == nil {
			return nil, nil
		}
		for _, d := range page.DistributionList.Items {
			if aws.ToString(d.DomainName) != host {
				continue
			}
			found := &distribution{
				id: aws.ToString(d.Id), status: aws.ToString(d.Status), httpVersion: string(d.HttpVersion), priceClass: string(d.PriceClass),
				enabled: aws.ToBool(d.Enabled), ipv6: aws.ToBool(d.IsIPV6Enabled),
			}
			if d.Aliases != nil {
				found.aliases = d.Aliases.Items
			}
			return found, nil
		}
	}
	return nil, nil
}

func (s *sdk) invalidate(ctx context.Context, host string, paths []string) error {
	d, err := s.distribution(ctx, host)
	if err == nil && d == nil {
		err = fmt.Errorf("there is no distribution %s", host)
	}
	if err != nil {
		return err
	}
	_, err = cloudfront.NewFromConfig(s.config).CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
		DistributionId: &d.id,
		InvalidationBatch: &cftypes.InvalidationBatch{
			CallerReference: aws.String(strings.Join(paths, " ")), // they are random
			Paths:           &cftypes.Paths{Quantity: aws.Int32(int32(len(paths))), Items: paths},
		},
	})
	return err
}

func (s *sdk) s3(region string) *s3.Client {
	return s3.NewFromConfig(s.in(region), func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
}

func (s *sdk) bucket(region string) *copier.Bucket {
	return copier.NewBucket(s.stage.Bucket(region), s.s3(region))
}

func (s *sdk) state(ctx context.Context, key string) ([]byte, error) {
	return image.Get(ctx, s.s3(s.stage.Home), s.stage.StateBucket(), key)
}

func (s *sdk) blob(ctx context.Context, region string) (b blob, err error) {
	_, err = s.bucket(region).Page(ctx, "", func(d copier.Digest, size int64) {
		if b.digest == "" || size < b.size {
			b = blob{d.String(), size}
		}
	})
	return b, err
}

func (s *sdk) exists(ctx context.Context, region, name string) (now, ever bool, err error) {
	key := config.BlobPrefix + name
	out, err := s.s3(region).ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: aws.String(s.stage.Bucket(region)), Prefix: &key})
	if err != nil {
		return false, false, err
	}
	for _, v := range out.Versions {
		if aws.ToString(v.Key) == key {
			now, ever = now || aws.ToBool(v.IsLatest), true
		}
	}
	for _, m := range out.DeleteMarkers {
		ever = ever || aws.ToString(m.Key) == key
	}
	return now, ever, nil
}

func (s *sdk) put(ctx context.Context, region, digest, content string) error {
	_, err := s.bucket(region).Put(ctx, registry.Blob{Digest: digest, Size: int64(len(content))}, strings.NewReader(content), "")
	return err
}

func (s *sdk) has(ctx context.Context, region, digest string) (bool, error) {
	o, err := s.bucket(region).Stat(ctx, digest)
	return o != nil, err
}

func (s *sdk) remove(ctx context.Context, region, digest string) error {
	_, err := s.bucket(region).Remove(ctx, digest)
	return err
}

// code returns the code of an AWS error, empty for other errors.
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}
