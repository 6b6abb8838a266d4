package main

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/account/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// The answers to whether a name of a bucket is taken.
const (
	bucketFree = iota
	bucketOurs
	bucketTaken
)

// cloud is what is asked of AWS.
type cloud interface {
	account(context.Context) (string, error)
	publicAccessBlocked(context.Context) (bool, error)
	zone(ctx context.Context, id string) (name string, err error)
	enabled(ctx context.Context, region string) (bool, error)
	// bootstrapped answers the version of the CDK's bootstrap stack, 0 for none.
	bootstrapped(ctx context.Context, region string) (int, error)
	concurrency(ctx context.Context, region string) (int, error)
	bucket(ctx context.Context, region, name string) (int, error)
}

// sdk asks AWS itself.
type sdk struct {
	config aws.Config
	id     string // of the account
}

func newCloud(ctx context.Context) (cloud, error) {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	// These are global, and signed for this region.
	c.Region = edgeRegion
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

func (s *sdk) zone(ctx context.Context, id string) (string, error) {
	out, err := route53.NewFromConfig(s.config).GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: aws.String(id)})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.HostedZone.Name), nil
}

func (s *sdk) enabled(ctx context.Context, region string) (bool, error) {
	out, err := account.NewFromConfig(s.config).GetRegionOptStatus(ctx, &account.GetRegionOptStatusInput{RegionName: aws.String(region)})
	if err != nil {
		return false, err
	}
	return out.RegionOptStatus == types.RegionOptStatusEnabled || out.RegionOptStatus == types.RegionOptStatusEnabledByDefault, nil
}

func (s *sdk) bootstrapped(ctx context.Context, region string) (int, error) {
	// Of the bootstrap stack that the CDK makes unless it is told otherwise.
	out, err := ssm.NewFromConfig(s.in(region)).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/cdk-bootstrap/hnb659fds/version")})
	if code(err) == "ParameterNotFound" {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(aws.ToString(out.Parameter.Value))
}

func (s *sdk) concurrency(ctx context.Context, region string) (int, error) {
	out, err := lambda.NewFromConfig(s.in(region)).GetAccountSettings(ctx, nil)
	if err != nil {
		return 0, err
	}
	if out.AccountLimit == nil {
		return 0, errors.New("no limit of the account is told")
	}
	return int(aws.ToInt32(out.AccountLimit.UnreservedConcurrentExecutions)), nil
}

func (s *sdk) bucket(ctx context.Context, region, name string) (int, error) {
	_, err := s3.NewFromConfig(s.in(region)).HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(name), ExpectedBucketOwner: aws.String(s.id)})
	var answer *awshttp.ResponseError
	switch {
	case err == nil:
		return bucketOurs, nil
	case !errors.As(err, &answer):
		return 0, err
	case answer.HTTPStatusCode() == http.StatusNotFound:
		return bucketFree, nil
	case answer.HTTPStatusCode() == http.StatusForbidden, answer.HTTPStatusCode() == http.StatusMovedPermanently:
		return bucketTaken, nil
	}
	return 0, err
}

// code is what AWS calls an error.
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}
