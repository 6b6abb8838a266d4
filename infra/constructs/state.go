package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/lambda/config"
)

// stateBucket makes the bucket in which the functions that fill the mirrors keep
// what must outlive an invocation. It is private, and no mirror: what is in it
// is never handed to a client.
func stateBucket(scope constructs.Construct, s *stage.Stage) awss3.Bucket {
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
	inNamespace(bucket, s.Primary)
	return bucket
}
