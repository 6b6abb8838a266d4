package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/lambda/config"
)

// StateBucket creates the bucket for what must outlive an invocation of the functions
// that fill the mirrors. It is private, and not a mirror: clients never get its objects.
func StateBucket(scope constructs.Construct, s *stage.Stage) {
	bucket := awss3.NewBucket(scope, jsii.String("State"), &awss3.BucketProps{
		BucketName:        jsii.String(s.StateBucket()),
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		EnforceSSL:        jsii.Bool(true),
		// The list of withdrawn blobs is stored here only.
		Versioned: jsii.Bool(true),
		LifecycleRules: &[]*awss3.LifecycleRule{{
			Id:         jsii.String("expire-runs"),
			Prefix:     jsii.String(config.RunPrefix),
			Expiration: awscdk.Duration_Days(jsii.Number(30)),
		}, {
			Id:                                  jsii.String("expire-noncurrent-versions"),
			AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(7)),
			NoncurrentVersionExpiration:         awscdk.Duration_Days(jsii.Number(7)),
			ExpiredObjectDeleteMarker:           jsii.Bool(true),
		}},
		RemovalPolicy: awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE,
	})
	fixLogicalID(bucket, "State")
	inNamespace(bucket, s.Home)
}
