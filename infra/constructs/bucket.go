// Package constructs holds the parts of the stacks, one file each.
package constructs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/dashboard"
	"archeio/infra/stage"
	"archeio/lambda/config"
)

// MirrorBucket creates the bucket of a mirror region. Its blobs are public over TLS,
// everything else is private.
func MirrorBucket(scope constructs.Construct, s *stage.Stage, region string) awss3.Bucket {
	bucket := awss3.NewBucket(scope, jsii.String("Mirror"), &awss3.BucketProps{
		BucketName: jsii.String(s.Bucket(region)),
		// Anonymous clients cannot read objects that are encrypted with KMS.
		Encryption:      awss3.BucketEncryption_S3_MANAGED,
		ObjectOwnership: awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		// The policy below is public on purpose. ACLs are not used.
		BlockPublicAccess: awss3.NewBlockPublicAccess(&awss3.BlockPublicAccessOptions{
			BlockPublicAcls:       jsii.Bool(true),
			IgnorePublicAcls:      jsii.Bool(true),
			BlockPublicPolicy:     jsii.Bool(false),
			RestrictPublicBuckets: jsii.Bool(false),
		}),
		EnforceSSL: jsii.Bool(true),
		Versioned:  jsii.Bool(true),
		LifecycleRules: &[]*awss3.LifecycleRule{{
			Id:                                  jsii.String("expire-noncurrent-versions"),
			AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(7)),
			NoncurrentVersionExpiration:         awscdk.Duration_Days(jsii.Number(30)),
			ExpiredObjectDeleteMarker:           jsii.Bool(true),
		}},
		RemovalPolicy: awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE,
	})
	fixLogicalID(bucket, "Mirror")
	inNamespace(bucket, region)
	bucket.Node().DefaultChild().(awss3.CfnBucket).SetMetricsConfigurations([]interface{}{
		&awss3.CfnBucket_MetricsConfigurationProperty{Id: jsii.String(dashboard.EntireBucket)},
	})
	downloads(scope, s, region)
	blobs := jsii.String(*bucket.BucketArn() + "/" + config.BlobPrefix + "*")
	bucket.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("AllowPublicRead"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()},
		Actions:    jsii.Strings("s3:GetObject"),
		Resources:  &[]*string{blobs},
		Conditions: &map[string]interface{}{"Bool": map[string]string{"aws:SecureTransport": "true"}},
	}))
	// For every front, as function URLs are.
	bucket.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("AllowDistributionRead"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudfront.amazonaws.com"), nil)},
		Actions:    jsii.Strings("s3:GetObject"),
		Resources:  &[]*string{blobs},
		Conditions: &map[string]interface{}{"ArnLike": map[string]string{"aws:SourceArn": s.AnyDistribution()}},
	}))
	return bucket
}

// downloads adds the alarm on what is downloaded from a mirror.
func downloads(scope constructs.Construct, s *stage.Stage, region string) {
	alarms{scope, s, region}.add("Downloads", runbookBill, fmt.Sprintf("More than %d GB were downloaded from the mirror within an hour. Traffic that leaves the region is billed. Find its source, and raise downloadAlarm if it is expected.", s.DownloadAlarm),
		float64(s.DownloadAlarm)*1e9, 1, metric("AWS/S3", "BytesDownloaded", "Sum", hour,
			jsii.String("BucketName"), jsii.String(s.Bucket(region)), jsii.String("FilterId"), jsii.String(dashboard.EntireBucket)))
}

// RequiredSettings are the settings that an existing bucket must have besides its policy.
const RequiredSettings = "versioning, which replication needs; default encryption with SSE-S3; object ownership BucketOwnerEnforced; " +
	"no BlockPublicPolicy and RestrictPublicBuckets; no Requester Pays; no default retention of Object Lock; no lifecycle rule that deletes or archives " + config.BlobPrefix +
	"; request metrics " + dashboard.EntireBucket

// ExistingBucket adds what the stage has for a mirror in an existing bucket: an alarm.
// Resources of the bucket itself would replace the settings of its owner.
func ExistingBucket(scope constructs.Construct, s *stage.Stage, region string) {
	downloads(scope, s, region)
}

// inNamespace puts a bucket into the namespace of the account if the region supports
// it. The construct's own property accepts a prefix only, but the name must be known.
func inNamespace(bucket awss3.Bucket, region string) {
	if stage.AccountNamespace(region) {
		bucket.Node().DefaultChild().(awss3.CfnBucket).SetBucketNamespace(jsii.String("account-regional"))
	}
}

// fixLogicalID gives the resource of a construct a short logical id, which does not
// change with the code around it.
func fixLogicalID(c constructs.Construct, id string) {
	c.Node().DefaultChild().(awscdk.CfnElement).OverrideLogicalId(jsii.String(id))
}
