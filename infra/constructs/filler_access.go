package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/index"
)

// filler is a function that has a part in filling the mirrors, with its role.
type filler struct {
	function awslambda.Function
	role     awsiam.Role
}

// allowFiller lets the planner and the worker do what they must, and no more:
// only the worker writes blobs, and neither deletes one.
func allowFiller(s *stage.Stage, planner, worker filler, queue awssqs.Queue, state awss3.Bucket) {
	var mirrors, blobs, indexes []*string
	for _, region := range s.Filled() {
		arn := "arn:aws:s3:::" + s.Bucket(region)
		mirrors = append(mirrors, jsii.String(arn))
		blobs = append(blobs, jsii.String(arn+"/"+config.BlobPrefix+"*"))
		indexes = append(indexes, jsii.String(arn+"/"+config.BlobPrefix+index.Name))
	}
	for _, f := range []filler{planner, worker} {
		f.mayWhere(map[string]interface{}{"StringLike": map[string]string{"s3:prefix": config.BlobPrefix + "*"}}, mirrors, "s3:ListBucket")
		f.may(blobs, "s3:GetObject")
		f.may([]*string{state.BucketArn()}, "s3:ListBucket")
		f.may([]*string{state.ArnForObjects(jsii.String("*"))}, "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
		f.may([]*string{queue.QueueArn()}, "sqs:SendMessage", "sqs:GetQueueAttributes")
		if s.Filler.Secret != "" {
			f.may([]*string{jsii.String(s.Filler.Secret)}, "secretsmanager:GetSecretValue")
		}
	}
	planner.may(indexes, "s3:PutObject")
	worker.may(blobs, "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
	worker.may([]*string{queue.QueueArn()}, "sqs:ReceiveMessage", "sqs:DeleteMessage")
}

func (f filler) may(resources []*string, actions ...string) { f.mayWhere(nil, resources, actions...) }

func (f filler) mayWhere(conditions map[string]interface{}, resources []*string, actions ...string) {
	allow(f.role, conditions, resources, actions...)
}
