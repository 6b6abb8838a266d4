package constructs

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsroute53"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

// cloudFrontZone is the hosted zone of all distributions.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-route53-aliastarget.html
const cloudFrontZone = "Z2FDTNDATAQYW2"

// DistributionRecords creates the records of the stage's host names that lead to the
// distribution with a host name.
func DistributionRecords(scope constructs.Construct, s *stage.Stage, host *string) {
	records(scope, s, []string{"A", "AAAA"}, awsroute53.CfnRecordSet_AliasTargetProperty{
		DnsName: host, HostedZoneId: jsii.String(cloudFrontZone),
	})
}

// BalancerAlias creates the records of the stage's host names that lead to the host name of
// its load balancers.
func BalancerAlias(scope constructs.Construct, s *stage.Stage) {
	kinds := []string{"A"}
	if slices.ContainsFunc(s.Redirectors, s.BalancerIPv6) {
		kinds = append(kinds, "AAAA")
	}
	records(scope, s, kinds, awsroute53.CfnRecordSet_AliasTargetProperty{
		DnsName: jsii.String(s.BalancerDomain() + "."), HostedZoneId: jsii.String(s.Zone.ID), EvaluateTargetHealth: jsii.Bool(true),
	})
}

// records creates the records of the stage's host names that are in its hosted zone.
func records(scope constructs.Construct, s *stage.Stage, kinds []string, to awsroute53.CfnRecordSet_AliasTargetProperty) {
	for _, host := range s.Hosts() {
		if !s.InZone(host) {
			continue
		}
		id := "Record"
		if host != s.Domain {
			id += hashOf(host)
		}
		for _, kind := range kinds {
			awsroute53.NewCfnRecordSet(scope, jsii.String(id+kind), &awsroute53.CfnRecordSetProps{
				HostedZoneId: jsii.String(s.Zone.ID), Name: jsii.String(host + "."), Type: jsii.String(kind), AliasTarget: &to,
			})
		}
	}
}
