package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/index"
)

// filler is one of the functions that fill the mirrors, and its role.
type filler struct {
	function awslambda.Function
	role     awsiam.Role
}

// grantFiller grants the planner and the worker what they need. Only the worker can
// write blobs. Both can delete them, because a withdrawn blob must not stay, but not the
// index.
func grantFiller(s *stage.Stage, planner, worker filler, queue awssqs.Queue) {
	state := "arn:aws:s3:::" + s.StateBucket()
	// One resource for all mirrors that the stage creates, because an inline policy has at
	// most 10,240 characters.
	created := "arn:aws:s3:::" + s.MirrorPrefix + "-" + s.Account + "-*"
	digests := []*string{jsii.String(created + "/" + config.BlobPrefix + "sha256:*")}
	indexes := []*string{jsii.String(created + "/" + config.BlobPrefix + index.Name)}
	var mirrors, blobs []*string
	for _, region := range s.Filled() {
		arn := "arn:aws:s3:::" + s.Bucket(region)
		mirrors = append(mirrors, jsii.String(arn))
		blobs = append(blobs, jsii.String(arn+"/"+config.BlobPrefix+"*"))
		if s.IsExisting(region) {
			digests = append(digests, jsii.String(arn+"/"+config.BlobPrefix+"sha256:*"))
			indexes = append(indexes, jsii.String(arn+"/"+config.BlobPrefix+index.Name))
		}
	}
	for _, f := range []filler{planner, worker} {
		f.grantIf(map[string]interface{}{"StringLike": map[string]string{"s3:prefix": config.BlobPrefix + "*"}}, mirrors, "s3:ListBucket", "s3:ListBucketVersions")
		f.grant(blobs, "s3:GetObject")
		f.grant(digests, "s3:DeleteObject", "s3:DeleteObjectVersion")
		f.grant([]*string{jsii.String(state)}, "s3:ListBucket")
		f.grant([]*string{jsii.String(state + "/*")}, "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
		f.grant([]*string{queue.QueueArn()}, "sqs:SendMessage", "sqs:GetQueueAttributes")
		if s.Filler.Secret != "" {
			f.grant([]*string{jsii.String(s.Filler.Secret)}, "secretsmanager:GetSecretValue")
		} else if account, region, isECR := config.ECR(s.Source()); isECR {
			// A token is for all registries that the role may read, so it has no resource.
			// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
			f.grant([]*string{jsii.String("*")}, "ecr:GetAuthorizationToken")
			f.grant([]*string{jsii.String("arn:aws:ecr:" + region + ":" + account + ":repository/*")},
				"ecr:DescribeRepositories", "ecr:ListImages", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
		}
	}
	planner.grant(indexes, "s3:PutObject")
	worker.grant(blobs, "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
	worker.grant([]*string{queue.QueueArn()}, "sqs:ReceiveMessage", "sqs:DeleteMessage")
}

func (f filler) grant(resources []*string, actions ...string) { f.grantIf(nil, resources, actions...) }

func (f filler) grantIf(conditions map[string]interface{}, resources []*string, actions ...string) {
	allow(f.role, conditions, resources, actions...)
}
