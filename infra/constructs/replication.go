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
	role := ReplicationRole(scope, s)
	if role == nil {
		return
	}
	var rules []interface{}
	for _, r := range s.ReplicationRules() {
		rules = append(rules, &awss3.CfnBucket_ReplicationRuleProperty{
			Id:                      jsii.String(r.ID),
			Status:                  jsii.String("Enabled"),
			Priority:                jsii.Number(float64(r.Priority)),
			Filter:                  &awss3.CfnBucket_ReplicationRuleFilterProperty{Prefix: jsii.String(stage.ReplicatedPrefix)},
			DeleteMarkerReplication: &awss3.CfnBucket_DeleteMarkerReplicationProperty{Status: jsii.String("Disabled")},
			Destination: &awss3.CfnBucket_ReplicationDestinationProperty{
				Bucket:  jsii.String("arn:aws:s3:::" + r.Bucket),
				Metrics: &awss3.CfnBucket_MetricsProperty{Status: jsii.String("Enabled")},
			},
		})
	}
	resource := primary.Node().DefaultChild().(awss3.CfnBucket)
	resource.SetReplicationConfiguration(&awss3.CfnBucket_ReplicationConfigurationProperty{Role: role.RoleArn(), Rules: rules})
	// S3 validates the role's permissions when it is configured.
	if policy, ok := role.Node().TryFindChild(jsii.String("DefaultPolicy")).(awsiam.Policy); ok {
		resource.Node().AddDependency(policy)
	} else {
		panic(fmt.Sprintf("constructs: the replication role %s has no policy", *role.Node().Path()))
	}
}

// ReplicationRole creates the role with which S3 replicates from the primary, and an alarm
// for each rule. It returns nil for a stage with one mirror.
func ReplicationRole(scope constructs.Construct, s *stage.Stage) awsiam.Role {
	rules := s.ReplicationRules()
	if len(rules) == 0 {
		return nil
	}
	role := awsiam.NewRole(scope, jsii.String("Replication"), &awsiam.RoleProps{
		// Without conditions on the source: no page of AWS says that S3 sends them for
		// replication, which fails without retries if it cannot assume the role. The role
		// can read the primary and write to the other mirrors only.
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("s3.amazonaws.com"), nil),
		Description: jsii.String("S3: replicates blobs from the primary mirror to the others"),
	})
	var copies []*string
	for _, r := range rules {
		a := alarms{scope, s, s.Primary}
		a.add("Replication"+pascal(r.Region), runbookMirror, "S3 replication of blobs to "+r.Region+" is failing. The worker copies missing blobs instead. Run "+a.archeio("mirror status")+" to see whether it does.",
			0, 3, metric("AWS/S3", "OperationsFailedReplication", "Maximum", minutes5,
				jsii.String("SourceBucket"), jsii.String(s.Bucket(s.Primary)), jsii.String("DestinationBucket"), jsii.String(r.Bucket), jsii.String("RuleId"), jsii.String(r.ID)))
		copies = append(copies, jsii.String("arn:aws:s3:::"+r.Bucket+"/"+config.BlobPrefix+"*"))
	}
	bucket := "arn:aws:s3:::" + s.Bucket(s.Primary)
	allow(role, nil, []*string{jsii.String(bucket)}, "s3:GetReplicationConfiguration", "s3:ListBucket")
	allow(role, nil, []*string{jsii.String(bucket + "/" + config.BlobPrefix + "*")}, "s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging")
	allow(role, nil, copies, "s3:ReplicateObject", "s3:ReplicateTags")
	return role
}
