package preflight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/account/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"archeio/infra/leftover"
	"archeio/infra/stage"
	"archeio/lambda/metrics"
	"archeio/scripts/archeio/cli"
)

// cloud is AWS with the credentials of one profile.
type cloud interface {
	// account returns the ID of the credentials' account. It must be called before
	// the other methods.
	account(context.Context) (string, error)
	// publicAccessBlocked reports whether the account blocks public buckets.
	publicAccessBlocked(context.Context) (bool, error)
	// organizationBlocks reports whether the organization blocks public buckets.
	organizationBlocks(context.Context) (bool, error)
	zone(ctx context.Context, id string) (zone, error)
	// records returns the types of the address records of a host in a hosted zone.
	records(ctx context.Context, zone, host string) ([]string, error)
	// aliases returns the host names of the account's distributions by their alternate
	// domain names.
	aliases(context.Context) (map[string]string, error)
	// certificate returns the certificate with an ARN, nil if there is none.
	certificate(ctx context.Context, region, arn string) (*certificate, error)
	// quota returns the quota of a service with a name in a region, and whether Service
	// Quotas lists it. Global services are in stage.EdgeRegion.
	quota(ctx context.Context, region, service, name string) (limit int, listed bool, err error)
	// functions returns the names of all CloudFront functions.
	functions(context.Context) ([]string, error)
	// enabled reports whether the region is enabled for the account.
	enabled(ctx context.Context, region string) (bool, error)
	// bootstrapped returns the version of the CDK's bootstrap stack with a qualifier,
	// 0 for none.
	bootstrapped(ctx context.Context, region, qualifier string) (int, error)
	// concurrency returns the concurrent executions of the account, and how many of
	// them are unreserved.
	concurrency(ctx context.Context, region string) (all, unreserved int, err error)
	// vpcs returns the number of VPCs.
	vpcs(ctx context.Context, region string) (int, error)
	// subnets returns the subnets with these IDs.
	subnets(ctx context.Context, region string, ids []string) ([]subnet, error)
	// missingBlobs returns the number of blobs that a mirror does not have, as the
	// planner in a region reported it last, and whether it did within two days.
	missingBlobs(ctx context.Context, region, mirror string) (n int, known bool, err error)
	// settings returns the settings of a bucket of the account.
	settings(ctx context.Context, region, bucket string) settings
	leftover.Lister
	leftover.Account
}

// zone is a hosted zone with its name servers.
type zone struct {
	name    string
	private bool
	servers []string
}

// sdk is a cloud that is accessed with the AWS SDK.
type sdk struct {
	*leftover.AWS // set by account
	config        aws.Config
	id            string // of the account, set by account
}

// newCloud returns AWS with the credentials of a profile, empty for the default
// one.
func newCloud(ctx context.Context, profile string) (cloud, error) {
	c, err := cli.LoadAWS(ctx, profile)
	if err != nil {
		return nil, err
	}
	// The region that global services are signed for.
	c.Region = stage.EdgeRegion
	return &sdk{config: c}, nil
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
	s.id = aws.ToString(out.Account)
	s.AWS = leftover.NewAWS(s.config, s.id)
	return s.id, nil
}

func (s *sdk) publicAccessBlocked(ctx context.Context) (bool, error) {
	out, err := s3control.NewFromConfig(s.config).GetPublicAccessBlock(ctx, &s3control.GetPublicAccessBlockInput{AccountId: aws.String(s.id)})
	if code(err) == "NoSuchPublicAccessBlockConfiguration" {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	b := out.PublicAccessBlockConfiguration
	return b != nil && (aws.ToBool(b.BlockPublicPolicy) || aws.ToBool(b.RestrictPublicBuckets)), nil
}

// organizationBlocks reads the effective S3 policy of the account.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_s3_syntax.html
func (s *sdk) organizationBlocks(ctx context.Context) (bool, error) {
	out, err := organizations.NewFromConfig(s.config).DescribeEffectivePolicy(ctx, &organizations.DescribeEffectivePolicyInput{
		PolicyType: orgtypes.EffectivePolicyTypeS3Policy,
	})
	if c := code(err); c == "AWSOrganizationsNotInUseException" || c == "EffectivePolicyNotFoundException" {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return policyBlocks(aws.ToString(out.EffectivePolicy.PolicyContent))
}

func policyBlocks(text string) (bool, error) {
	var policy struct {
		S3 struct {
			Block string `json:"public_access_block_configuration"`
		} `json:"s3_attributes"`
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		return false, fmt.Errorf("parsing the organization's S3 policy %q: %w", text, err)
	}
	return policy.S3.Block == "all", nil
}

func (s *sdk) quota(ctx context.Context, region, service, name string) (int, bool, error) {
	for p := servicequotas.NewListServiceQuotasPaginator(servicequotas.NewFromConfig(s.in(region)), &servicequotas.ListServiceQuotasInput{ServiceCode: aws.String(service)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return 0, false, err
		}
		for _, q := range page.Quotas {
			if aws.ToString(q.QuotaName) == name {
				return int(aws.ToFloat64(q.Value)), true, nil
			}
		}
	}
	return 0, false, nil
}

func (s *sdk) functions(ctx context.Context) ([]string, error) {
	var names []string
	c := cloudfront.NewFromConfig(s.config)
	for in := (cloudfront.ListFunctionsInput{}); ; {
		out, err := c.ListFunctions(ctx, &in)
		if err != nil || out.FunctionList == nil {
			return nil, err
		}
		for _, f := range out.FunctionList.Items {
			// Each is listed as DEVELOPMENT and as LIVE.
			if name := aws.ToString(f.Name); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if in.Marker = out.FunctionList.NextMarker; aws.ToString(in.Marker) == "" {
			return names, nil
		}
	}
}

func (s *sdk) zone(ctx context.Context, id string) (zone, error) {
	out, err := route53.NewFromConfig(s.config).GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: aws.String(id)})
	if err != nil {
		return zone{}, err
	}
	z := zone{name: aws.ToString(out.HostedZone.Name)}
	if out.HostedZone.Config != nil {
		z.private = out.HostedZone.Config.PrivateZone
	}
	if out.DelegationSet != nil {
		z.servers = out.DelegationSet.NameServers
	}
	return z, nil
}

func (s *sdk) records(ctx context.Context, zone, host string) ([]string, error) {
	out, err := route53.NewFromConfig(s.config).ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{HostedZoneId: aws.String(zone), StartRecordName: aws.String(host)})
	if err != nil {
		return nil, err
	}
	var kinds []string
	for _, r := range out.ResourceRecordSets {
		if kind := string(r.Type); sameName(aws.ToString(r.Name), host) && slices.Contains([]string{"A", "AAAA", "CNAME"}, kind) && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds, nil
}

func (s *sdk) aliases(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	for p := cloudfront.NewListDistributionsPaginator(cloudfront.NewFromConfig(s.config), &cloudfront.ListDistributionsInput{}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		if page.DistributionList == nil {
			break
		}
		for _, d := range page.DistributionList.Items {
			if d.Aliases == nil {
				continue
			}
			for _, alias := range d.Aliases.Items {
				all[alias] = aws.ToString(d.DomainName)
			}
		}
	}
	return all, nil
}

func (s *sdk) enabled(ctx context.Context, region string) (bool, error) {
	out, err := account.NewFromConfig(s.config).GetRegionOptStatus(ctx, &account.GetRegionOptStatusInput{RegionName: aws.String(region)})
	if err != nil {
		return false, err
	}
	return out.RegionOptStatus == types.RegionOptStatusEnabled || out.RegionOptStatus == types.RegionOptStatusEnabledByDefault, nil
}

func (s *sdk) bootstrapped(ctx context.Context, region, qualifier string) (int, error) {
	out, err := ssm.NewFromConfig(s.in(region)).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/cdk-bootstrap/" + qualifier + "/version")})
	if code(err) == "ParameterNotFound" {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(aws.ToString(out.Parameter.Value))
}

func (s *sdk) concurrency(ctx context.Context, region string) (all, unreserved int, err error) {
	out, err := lambda.NewFromConfig(s.in(region)).GetAccountSettings(ctx, nil)
	if err != nil {
		return 0, 0, err
	}
	if out.AccountLimit == nil {
		return 0, 0, errors.New("no account limit in the response of Lambda")
	}
	return int(out.AccountLimit.ConcurrentExecutions), int(aws.ToInt32(out.AccountLimit.UnreservedConcurrentExecutions)), nil
}

func (s *sdk) missingBlobs(ctx context.Context, region, mirror string) (int, bool, error) {
	now := time.Now()
	out, err := cloudwatch.NewFromConfig(s.in(region)).GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String(metrics.Namespace), MetricName: aws.String(metrics.MissingBlobs),
		Dimensions: []cwtypes.Dimension{{Name: aws.String(metrics.Mirror), Value: aws.String(mirror)}},
		StartTime:  aws.Time(now.Add(-48 * time.Hour)), EndTime: aws.Time(now), Period: aws.Int32(300), Statistics: []cwtypes.Statistic{cwtypes.StatisticMaximum},
	})
	if err != nil || len(out.Datapoints) == 0 {
		return 0, false, err
	}
	last := slices.MaxFunc(out.Datapoints, func(a, b cwtypes.Datapoint) int { return aws.ToTime(a.Timestamp).Compare(aws.ToTime(b.Timestamp)) })
	return int(aws.ToFloat64(last.Maximum)), true, nil
}

// code returns the code of an AWS error, empty for other errors.
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}
