package preflight

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"archeio/infra/dashboard"
)

// settings implements cloud.
func (s *sdk) settings(ctx context.Context, region, name string) settings {
	c := s3.NewFromConfig(s.in(region), func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
	bucket, owner := aws.String(name), aws.String(s.id)
	var out settings
	out.errs = map[string]error{}
	// read records an error of a check, unless the bucket has no such setting.
	read := func(what string, err error, none string) bool {
		if err != nil && (none == "" || code(err) != none) {
			out.errs[what] = err
		}
		return err == nil
	}
	if v, err := c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: bucket, ExpectedBucketOwner: owner}); err == nil {
		out.region = aws.ToString(v.BucketRegion)
	}
	if v, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bucket, ExpectedBucketOwner: owner}); read(bucketVersioning, err, "") {
		out.versioned = v.Status == s3types.BucketVersioningStatusEnabled
	}
	if v, err := c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: bucket, ExpectedBucketOwner: owner}); read(bucketBlock, err, "NoSuchPublicAccessBlockConfiguration") && v.PublicAccessBlockConfiguration != nil {
		out.block = *v.PublicAccessBlockConfiguration
	}
	if v, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket, ExpectedBucketOwner: owner}); read(bucketPolicy, err, "NoSuchBucketPolicy") {
		out.policy = aws.ToString(v.Policy)
	}
	// Without a configuration S3 encrypts with SSE-S3.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html
	out.encryption = s3types.ServerSideEncryptionAes256
	if v, err := c.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: bucket, ExpectedBucketOwner: owner}); read(bucketEncryption, err, "ServerSideEncryptionConfigurationNotFoundError") && v.ServerSideEncryptionConfiguration != nil {
		for _, r := range v.ServerSideEncryptionConfiguration.Rules {
			if by := r.ApplyServerSideEncryptionByDefault; by != nil {
				out.encryption = by.SSEAlgorithm
			}
		}
	}
	if v, err := c.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: bucket, ExpectedBucketOwner: owner}); read(bucketOwnership, err, "OwnershipControlsNotFoundError") && v.OwnershipControls != nil {
		for _, r := range v.OwnershipControls.Rules {
			out.ownership = r.ObjectOwnership
		}
	}
	if v, err := c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket, ExpectedBucketOwner: owner}); read(bucketLifecycle, err, "NoSuchLifecycleConfiguration") {
		out.lifecycle = v.Rules
	}
	if v, err := c.GetBucketRequestPayment(ctx, &s3.GetBucketRequestPaymentInput{Bucket: bucket, ExpectedBucketOwner: owner}); read(bucketPayer, err, "") {
		out.payer = v.Payer
	}
	if v, err := c.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: bucket, ExpectedBucketOwner: owner}); read(bucketLock, err, "ObjectLockConfigurationNotFoundError") && v.ObjectLockConfiguration != nil {
		out.locks = v.ObjectLockConfiguration.ObjectLockEnabled == s3types.ObjectLockEnabledEnabled
		if r := v.ObjectLockConfiguration.Rule; r != nil {
			out.retention = r.DefaultRetention
		}
	}
	if v, err := c.GetBucketReplication(ctx, &s3.GetBucketReplicationInput{Bucket: bucket, ExpectedBucketOwner: owner}); read(bucketReplication, err, "ReplicationConfigurationNotFoundError") && v.ReplicationConfiguration != nil {
		out.replication = v.ReplicationConfiguration.Rules
	}
	_, err := c.GetBucketMetricsConfiguration(ctx, &s3.GetBucketMetricsConfigurationInput{Bucket: bucket, ExpectedBucketOwner: owner, Id: aws.String(dashboard.EntireBucket)})
	out.metrics = read(bucketMetrics, err, "NoSuchConfiguration")
	return out
}
