package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

// network is the VPC of a load balancer.
type network struct {
	vpc     *string
	subnets []*string
	// ready is what the load balancer depends on, nil for nothing.
	ready constructs.IDependable
}

// networkOf returns the network that the stage configures for a region, or else a new
// one: two public subnets with an internet gateway, for IPv4 and IPv6. A load
// balancer invokes functions through the Lambda API, so the network has no egress
// and no NAT gateway.
//
// It consists of CloudFormation resources: the CDK's Vpc looks up the availability
// zones during synthesis, which requires credentials.
func networkOf(scope constructs.Construct, s *stage.Stage, region string) network {
	if n, ok := s.Networks[region]; ok {
		return network{vpc: jsii.String(n.VPC), subnets: *jsii.Strings(n.Subnets...)}
	}
	vpc := awsec2.NewCfnVPC(scope, jsii.String("Vpc"), &awsec2.CfnVPCProps{
		CidrBlock:          jsii.String("10.0.0.0/24"),
		EnableDnsHostnames: jsii.Bool(true),
		EnableDnsSupport:   jsii.Bool(true),
	})
	ipv6 := awsec2.NewCfnVPCCidrBlock(scope, jsii.String("VpcIpv6"), &awsec2.CfnVPCCidrBlockProps{
		VpcId:                       vpc.Ref(),
		AmazonProvidedIpv6CidrBlock: jsii.Bool(true),
	})
	gateway := awsec2.NewCfnInternetGateway(scope, jsii.String("Gateway"), nil)
	attachment := awsec2.NewCfnVPCGatewayAttachment(scope, jsii.String("GatewayAttachment"), &awsec2.CfnVPCGatewayAttachmentProps{
		VpcId:             vpc.Ref(),
		InternetGatewayId: gateway.Ref(),
	})
	routes := awsec2.NewCfnRouteTable(scope, jsii.String("Routes"), &awsec2.CfnRouteTableProps{VpcId: vpc.Ref()})
	route := func(id string, props awsec2.CfnRouteProps) {
		props.RouteTableId, props.GatewayId = routes.Ref(), gateway.Ref()
		awsec2.NewCfnRoute(scope, jsii.String(id), &props).AddResourceDependency(attachment, nil)
	}
	route("Route4", awsec2.CfnRouteProps{DestinationCidrBlock: jsii.String("0.0.0.0/0")})
	route("Route6", awsec2.CfnRouteProps{DestinationIpv6CidrBlock: jsii.String("::/0")})
	blocks := awscdk.Fn_Cidr(awscdk.Fn_Select(jsii.Number(0), vpc.AttrIpv6CidrBlocks()), jsii.Number(2), jsii.String("64"))
	n := network{vpc: vpc.Ref(), ready: attachment}
	for i, block := range []string{"10.0.0.0/25", "10.0.0.128/25"} {
		id := []string{"SubnetA", "SubnetB"}[i]
		subnet := awsec2.NewCfnSubnet(scope, jsii.String(id), &awsec2.CfnSubnetProps{
			VpcId:            vpc.Ref(),
			AvailabilityZone: awscdk.Fn_Select(jsii.Number(float64(i)), awscdk.Fn_GetAzs(nil)),
			CidrBlock:        jsii.String(block),
			Ipv6CidrBlock:    awscdk.Fn_Select(jsii.Number(float64(i)), blocks),
		})
		subnet.AddResourceDependency(ipv6, nil)
		awsec2.NewCfnSubnetRouteTableAssociation(scope, jsii.String(id+"Routes"), &awsec2.CfnSubnetRouteTableAssociationProps{
			SubnetId:     subnet.Ref(),
			RouteTableId: routes.Ref(),
		})
		n.subnets = append(n.subnets, subnet.Ref())
	}
	return n
}
