// Package constructs has the parts of a deployment, a file for each: mirror
// buckets, the functions that fill them, the redirector function, its load
// balancer, the distribution.
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

// MirrorBucket makes the bucket of a mirror region: open for reading blobs over
// TLS, and closed otherwise.
func MirrorBucket(scope constructs.Construct, s *stage.Stage, region string) awss3.Bucket {
	bucket := awss3.NewBucket(scope, jsii.String("Mirror"), &awss3.BucketProps{
		BucketName: jsii.String(s.Bucket(region)),
		// Anonymous readers can read nothing that is encrypted by KMS.
		Encryption:      awss3.BucketEncryption_S3_MANAGED,
		ObjectOwnership: awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		// The policy below is public, on purpose; lists of access are not used.
		BlockPublicAccess: awss3.NewBlockPublicAccess(&awss3.BlockPublicAccessOptions{
			BlockPublicAcls:       jsii.Bool(true),
			IgnorePublicAcls:      jsii.Bool(true),
			BlockPublicPolicy:     jsii.Bool(false),
			RestrictPublicBuckets: jsii.Bool(false),
		}),
		EnforceSSL: jsii.Bool(true),
		Versioned:  jsii.Bool(true),
		LifecycleRules: &[]*awss3.LifecycleRule{{
			Id:                                  jsii.String("expire-what-nobody-reads"),
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
	watcher{scope, s, region}.alarm("Downloads", fmt.Sprintf("the mirror sends more than %d GB in an hour; what leaves its region is paid for, so look who pulls, and raise downloadAlarm if that is meant", s.DownloadAlarm),
		float64(s.DownloadAlarm)*1e9, 1, metric("AWS/S3", "BytesDownloaded", "Sum", hour,
			jsii.String("BucketName"), jsii.String(s.Bucket(region)), jsii.String("FilterId"), jsii.String(dashboard.EntireBucket)))
	blobs := jsii.String(*bucket.BucketArn() + "/" + config.BlobPrefix + "*")
	bucket.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("AnybodyReadsBlobs"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()},
		Actions:    jsii.Strings("s3:GetObject"),
		Resources:  &[]*string{blobs},
		Conditions: &map[string]interface{}{"Bool": map[string]string{"aws:SecureTransport": "true"}},
	}))
	if s.HasDistribution() {
		bucket.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid:        jsii.String("DistributionReadsBlobs"),
			Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudfront.amazonaws.com"), nil)},
			Actions:    jsii.Strings("s3:GetObject"),
			Resources:  &[]*string{blobs},
			Conditions: &map[string]interface{}{"ArnLike": map[string]string{"aws:SourceArn": anyDistribution(s)}},
		}))
	}
	return bucket
}

// inNamespace puts a bucket into the account's own namespace where there is one.
// The construct itself takes a prefix only, and the name is needed.
func inNamespace(bucket awss3.Bucket, region string) {
	if stage.AccountNamespace(region) {
		bucket.Node().DefaultChild().(awss3.CfnBucket).SetBucketNamespace(jsii.String("account-regional"))
	}
}

// anyDistribution is a pattern for the stage's distribution, which is made
// after everything that lets it in.
func anyDistribution(s *stage.Stage) string {
	return "arn:aws:cloudfront::" + s.Account + ":distribution/*"
}

// fixLogicalID gives the resource behind a construct a short name in the
// template, and one that no change of the code around it changes.
func fixLogicalID(c constructs.Construct, id string) {
	c.Node().DefaultChild().(awscdk.CfnElement).OverrideLogicalId(jsii.String(id))
}
