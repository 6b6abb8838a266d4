package preflight

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"archeio/infra/stage"
	"archeio/scripts/archeio/query"
)

// subnet is a subnet of a VPC.
type subnet struct {
	ID   string `xml:"subnetId"`
	VPC  string `xml:"vpcId"`
	Zone string `xml:"availabilityZone"`
	// IPv6 are its IPv6 blocks.
	IPv6 []struct {
		Block string `xml:"ipv6CidrBlock"`
		State string `xml:"ipv6CidrBlockState>state"`
	} `xml:"ipv6CidrBlockAssociationSet>item"`
}

func (s *subnet) hasIPv6() bool {
	for _, b := range s.IPv6 {
		if b.Block != "" && (b.State == "" || b.State == "associated") {
			return true
		}
	}
	return false
}

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html
func (s *sdk) subnets(ctx context.Context, region string, ids []string) ([]subnet, error) {
	form := url.Values{"Action": {"DescribeSubnets"}, "Version": {"2016-11-15"}}
	for i, id := range ids {
		form.Set(fmt.Sprintf("SubnetId.%d", i+1), id)
	}
	var out subnets
	err := query.Call(ctx, s.config, "ec2", region, form, &out)
	return out.Subnets, err
}

// subnets is the response of DescribeSubnets.
type subnets struct {
	Subnets []subnet `xml:"subnetSet>item"`
}

// The quota of VPCs by its name in Service Quotas, and its default.
// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
const vpcQuota, defaultVPCs = "VPCs per Region", 5

// vpcs implements cloud.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html
func (s *sdk) vpcs(ctx context.Context, region string) (int, error) {
	var out struct {
		VPCs []struct{} `xml:"vpcSet>item"`
	}
	err := query.Call(ctx, s.config, "ec2", region, url.Values{"Action": {"DescribeVpcs"}, "Version": {"2016-11-15"}}, &out)
	return len(out.VPCs), err
}

// newVPC checks that the VPC of a new load balancer can be created.
func (p *preflight) newVPC(ctx context.Context, region string) {
	const what = "VPCs"
	deployed, err := p.cloud.Output(ctx, region, p.stage.Stack("redirector", region), stage.BalancerName)
	if err != nil {
		p.unknown(region, what, err)
		return
	}
	if deployed != "" {
		return
	}
	n, err := p.cloud.vpcs(ctx, region)
	if err != nil {
		p.unknown(region, what, err)
		return
	}
	p.quotaOf(ctx, region, "vpc", what, vpcQuota, defaultVPCs, n+1)
}

// network compares the network that the stage has for a region with the account.
func (p *preflight) network(ctx context.Context, region string) {
	const what = "network"
	if !p.stage.HasLoadBalancers() || !slices.Contains(p.stage.Redirectors, region) {
		return
	}
	n, ok := p.stage.Networks[region]
	if !ok {
		p.newVPC(ctx, region)
		return
	}
	all, err := p.cloud.subnets(ctx, region, n.Subnets)
	if err != nil {
		p.unknown(region, what, err)
		return
	}
	key := "networks." + region
	var zones []string
	for _, id := range n.Subnets {
		i := slices.IndexFunc(all, func(s subnet) bool { return s.ID == id })
		switch {
		case i < 0:
			p.fail(region, what, "there is no subnet %s; correct %s.subnets", id, key)
			return
		case all[i].VPC != n.VPC:
			p.fail(region, what, "the subnet %s is in %s, not in %s; correct %s", id, all[i].VPC, n.VPC, key)
			return
		case slices.Contains(zones, all[i].Zone):
			p.fail(region, what, "two subnets are in the availability zone %s, want different ones; correct %s.subnets", all[i].Zone, key)
			return
		case n.IPv6 && !all[i].hasIPv6():
			p.fail(region, what, "the subnet %s has no IPv6 block; give it one, or remove %s.ipv6", id, key)
			return
		}
		zones = append(zones, all[i].Zone)
	}
	if !n.IPv6 && !slices.ContainsFunc(all, func(s subnet) bool { return !s.hasIPv6() }) {
		p.pass(region, what, "the %d subnets are in different availability zones; they have IPv6 blocks, so %s.ipv6 can be true", len(zones), key)
		return
	}
	p.pass(region, what, "the %d subnets are in different availability zones", len(zones))
}
