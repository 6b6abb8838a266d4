package constructs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/lambda/config"
)

// Replicate configures the primary bucket to replicate all blobs, and nothing else,
// to the other mirrors: each has its own blob index. Deletions are not replicated, so
// that a mistake is limited to one region.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html
func Replicate(scope constructs.Construct, s *stage.Stage, primary awss3.Bucket) {
	replicas := s.Replicas()
	if len(replicas) == 0 {
		return
	}
	role := awsiam.NewRole(scope, jsii.String("Replication"), &awsiam.RoleProps{
		// Without conditions on the source: no page of AWS says that S3 sends them for
		// replication, which fails without retries if it cannot assume the role. The role
		// can read the primary and write to the other mirrors only.
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("s3.amazonaws.com"), nil),
		Description: jsii.String("S3: replicates blobs from the primary mirror to the others"),
	})
	var copies []*string
	var rules []interface{}
	for i, region := range replicas {
		arn, rule := "arn:aws:s3:::"+s.Bucket(region), "to-"+region
		alarms{scope, s, s.Primary}.add("Replication"+pascal(region), "S3 replication of blobs to "+region+` is failing. The worker copies missing blobs instead. Run "archeio mirror status" to see whether it does.`,
			0, 3, metric("AWS/S3", "OperationsFailedReplication", "Maximum", minutes5,
				jsii.String("SourceBucket"), jsii.String(s.Bucket(s.Primary)), jsii.String("DestinationBucket"), jsii.String(s.Bucket(region)), jsii.String("RuleId"), jsii.String(rule)))
		copies = append(copies, jsii.String(arn+"/"+config.BlobPrefix+"*"))
		rules = append(rules, &awss3.CfnBucket_ReplicationRuleProperty{
			Id:                      jsii.String(rule),
			Status:                  jsii.String("Enabled"),
			Priority:                jsii.Number(float64(i + 1)),
			Filter:                  &awss3.CfnBucket_ReplicationRuleFilterProperty{Prefix: jsii.String(config.BlobPrefix + "sha256:")},
			DeleteMarkerReplication: &awss3.CfnBucket_DeleteMarkerReplicationProperty{Status: jsii.String("Disabled")},
			Destination: &awss3.CfnBucket_ReplicationDestinationProperty{
				Bucket:  jsii.String(arn),
				Metrics: &awss3.CfnBucket_MetricsProperty{Status: jsii.String("Enabled")},
			},
		})
	}
	allow := func(resources []*string, actions ...string) {
		role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Actions:   jsii.Strings(actions...),
			Resources: &resources,
		}))
	}
	bucket := "arn:aws:s3:::" + s.Bucket(s.Primary)
	allow([]*string{jsii.String(bucket)}, "s3:GetReplicationConfiguration", "s3:ListBucket")
	allow([]*string{jsii.String(bucket + "/" + config.BlobPrefix + "*")}, "s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging")
	allow(copies, "s3:ReplicateObject", "s3:ReplicateTags")
	resource := primary.Node().DefaultChild().(awss3.CfnBucket)
	resource.SetReplicationConfiguration(&awss3.CfnBucket_ReplicationConfigurationProperty{Role: role.RoleArn(), Rules: rules})
	// S3 validates the role's permissions when it is configured.
	if policy, ok := role.Node().TryFindChild(jsii.String("DefaultPolicy")).(awsiam.Policy); ok {
		resource.Node().AddDependency(policy)
	} else {
		panic(fmt.Sprintf("constructs: the replication role %s has no policy", *role.Node().Path()))
	}
}
