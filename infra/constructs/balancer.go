package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscertificatemanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsroute53"
	"github.com/aws/aws-cdk-go/awscdk/v2/awswafv2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

// tlsPolicy allows TLS 1.2 and 1.3.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
const tlsPolicy = "ELBSecurityPolicy-TLS13-1-2-2021-06"

// LoadBalancer creates a public load balancer on port 443 for the function of a
// region, and the records that resolve to the load balancer with the lowest latency.
func LoadBalancer(scope constructs.Construct, s *stage.Stage, region string, alias awslambda.Alias) awselasticloadbalancingv2.CfnLoadBalancer {
	n := networkOf(scope, s, region)
	open, addresses, kinds := []interface{}{ingress("CidrIp", "0.0.0.0/0")}, "ipv4", []string{"A"}
	if s.BalancerIPv6(region) {
		open, addresses, kinds = append(open, ingress("CidrIpv6", "::/0")), "dualstack", append(kinds, "AAAA")
	}
	group := awsec2.NewCfnSecurityGroup(scope, jsii.String("BalancerSecurityGroup"), &awsec2.CfnSecurityGroupProps{
		GroupDescription:     jsii.String("HTTPS from anywhere to the load balancer"),
		VpcId:                n.vpc,
		SecurityGroupIngress: open,
		// The load balancer opens no connections. Without a rule, EC2 adds one that
		// allows all egress.
		SecurityGroupEgress: []interface{}{&awsec2.CfnSecurityGroup_EgressProperty{
			IpProtocol:  jsii.String("icmp"),
			FromPort:    jsii.Number(252),
			ToPort:      jsii.Number(86),
			CidrIp:      jsii.String("255.255.255.255/32"),
			Description: jsii.String("No egress"),
		}},
	})
	balancer := awselasticloadbalancingv2.NewCfnLoadBalancer(scope, jsii.String("Balancer"), &awselasticloadbalancingv2.CfnLoadBalancerProps{
		Type:           jsii.String("application"),
		Scheme:         jsii.String("internet-facing"),
		IpAddressType:  jsii.String(addresses),
		Subnets:        values(n.subnets...),
		SecurityGroups: values(group.AttrGroupId()),
		LoadBalancerAttributes: []interface{}{
			attribute("routing.http.drop_invalid_header_fields.enabled", "true"),
			attribute("deletion_protection.enabled", onOff(s.Protected)),
		},
	})
	if n.ready != nil {
		balancer.Node().AddDependency(n.ready)
	}

	// The permission must exist before the function is registered as a target, so
	// it cannot refer to the target group. The pattern matches this account only.
	permission := awslambda.NewCfnPermission(scope, jsii.String("BalancerInvokes"), &awslambda.CfnPermissionProps{
		Action:       jsii.String("lambda:InvokeFunction"),
		FunctionName: alias.FunctionArn(),
		Principal:    jsii.String("elasticloadbalancing.amazonaws.com"),
		SourceArn:    jsii.String("arn:aws:elasticloadbalancing:" + region + ":" + s.Account + ":targetgroup/*"),
	})
	target := awselasticloadbalancingv2.NewCfnTargetGroup(scope, jsii.String("Target"), &awselasticloadbalancingv2.CfnTargetGroupProps{
		TargetType: jsii.String("lambda"),
		Targets: []interface{}{
			&awselasticloadbalancingv2.CfnTargetGroup_TargetDescriptionProperty{Id: alias.FunctionArn()},
		},
		TargetGroupAttributes: []interface{}{
			&awselasticloadbalancingv2.CfnTargetGroup_TargetGroupAttributeProperty{
				Key: jsii.String("lambda.multi_value_headers.enabled"), Value: jsii.String("true"),
			},
		},
		HealthCheckEnabled:         jsii.Bool(true),
		HealthCheckPath:            jsii.String("/v2/"),
		HealthCheckIntervalSeconds: jsii.Number(60),
		HealthCheckTimeoutSeconds:  jsii.Number(timeout + 5),
		Matcher:                    &awselasticloadbalancingv2.CfnTargetGroup_MatcherProperty{HttpCode: jsii.String("200")},
	})
	target.AddResourceDependency(permission, nil)
	awselasticloadbalancingv2.NewCfnListener(scope, jsii.String("Listener"), &awselasticloadbalancingv2.CfnListenerProps{
		LoadBalancerArn: balancer.Ref(),
		Port:            jsii.Number(443),
		Protocol:        jsii.String("HTTPS"),
		SslPolicy:       jsii.String(tlsPolicy),
		Certificates: []interface{}{
			&awselasticloadbalancingv2.CfnListener_CertificateProperty{CertificateArn: certificate(scope, "BalancerCertificate", s, region, s.CertificateNames(region))},
		},
		DefaultActions: []interface{}{
			&awselasticloadbalancingv2.CfnListener_ActionProperty{Type: jsii.String("forward"), TargetGroupArn: target.Ref()},
		},
	})
	if !s.InZone(s.BalancerDomain()) {
		kinds = nil
	}
	for _, kind := range kinds {
		awsroute53.NewCfnRecordSet(scope, jsii.String("BalancerRecord"+kind), &awsroute53.CfnRecordSetProps{
			HostedZoneId:  jsii.String(s.Zone.ID),
			Name:          jsii.String(s.BalancerDomain() + "."),
			Type:          jsii.String(kind),
			Region:        jsii.String(region),
			SetIdentifier: jsii.String(region),
			AliasTarget: &awsroute53.CfnRecordSet_AliasTargetProperty{
				DnsName:              balancer.AttrDnsName(),
				HostedZoneId:         balancer.AttrCanonicalHostedZoneId(),
				EvaluateTargetHealth: jsii.Bool(true),
			},
		})
	}
	if s.Firewall != nil {
		awswafv2.NewCfnWebACLAssociation(scope, jsii.String("BalancerFirewall"), &awswafv2.CfnWebACLAssociationProps{
			ResourceArn: balancer.Ref(), WebAclArn: firewall(scope, s, ofLoadBalancers),
		})
	}
	alarms{scope, s, region}.balancer(balancer)
	return balancer
}

// certificate returns the ARN of the certificate in a region: the stage's, or one that it
// creates for names, which are in the hosted zone.
func certificate(scope constructs.Construct, id string, s *stage.Stage, region string, names []string) *string {
	if arn := s.Certificates[region]; arn != "" {
		return jsii.String(arn)
	}
	props := &awscertificatemanager.CertificateProps{
		DomainName: jsii.String(names[0]),
		Validation: awscertificatemanager.CertificateValidation_FromDns(hostedZone(scope, s)),
	}
	if len(names) > 1 {
		props.SubjectAlternativeNames = jsii.Strings(names[1:]...)
	}
	return awscertificatemanager.NewCertificate(scope, jsii.String(id), props).CertificateArn()
}

func hostedZone(scope constructs.Construct, s *stage.Stage) awsroute53.IHostedZone {
	return awsroute53.HostedZone_FromHostedZoneAttributes(scope, jsii.String("Zone"), &awsroute53.HostedZoneAttributes{
		HostedZoneId: jsii.String(s.Zone.ID),
		ZoneName:     jsii.String(s.Zone.Name),
	})
}

func ingress(kind, cidr string) interface{} {
	rule := &awsec2.CfnSecurityGroup_IngressProperty{
		IpProtocol:  jsii.String("tcp"),
		FromPort:    jsii.Number(443),
		ToPort:      jsii.Number(443),
		Description: jsii.String("HTTPS from anywhere"),
	}
	if kind == "CidrIpv6" {
		rule.CidrIpv6 = jsii.String(cidr)
	} else {
		rule.CidrIp = jsii.String(cidr)
	}
	return rule
}

func attribute(key, value string) interface{} {
	return &awselasticloadbalancingv2.CfnLoadBalancer_LoadBalancerAttributeProperty{Key: jsii.String(key), Value: jsii.String(value)}
}

func onOff(on bool) string {
	if on {
		return "true"
	}
	return "false"
}

// values returns a list of strings or references, which some resources require.
func values(items ...*string) *[]interface{} {
	list := make([]interface{}, len(items))
	for i, item := range items {
		list[i] = item
	}
	return &list
}
