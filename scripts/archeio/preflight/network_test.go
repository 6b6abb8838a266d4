package preflight

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"archeio/scripts/archeio/query"
)

// described is what EC2 returns for a subnet.
func described(id, vpc, zone, ipv6 string) string {
	if ipv6 != "" {
		ipv6 = "<item><ipv6CidrBlock>" + ipv6 + "</ipv6CidrBlock><ipv6CidrBlockState><state>associated</state></ipv6CidrBlockState></item>"
	}
	return fmt.Sprintf("<item><subnetId>%s</subnetId><vpcId>%s</vpcId><availabilityZone>%s</availabilityZone><ipv6CidrBlockAssociationSet>%s</ipv6CidrBlockAssociationSet></item>", id, vpc, zone, ipv6)
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	const a, b, vpc = "subnet-0123abcd", "subnet-4567cdef", "vpc-0123abcd"
	const v6 = "2001:db8::/64"
	for _, tt := range []struct {
		name, ipv6 string
		subnets    []string
		want       string
	}{
		{"ipv4", "", []string{described(a, vpc, "eu-central-1a", ""), described(b, vpc, "eu-central-1b", "")}, "PASS    the 2 subnets are in different availability zones\n"},
		{"ipv6-possible", "", []string{described(a, vpc, "eu-central-1a", v6), described(b, vpc, "eu-central-1b", v6)}, "PASS    the 2 subnets are in different availability zones; they have IPv6 blocks, so networks.eu-central-1.ipv6 can be true"},
		{"ipv6", `, "ipv6": true`, []string{described(a, vpc, "eu-central-1a", v6), described(b, vpc, "eu-central-1b", v6)}, "PASS    the 2 subnets are in different availability zones\n"},
		{"ipv6-missing", `, "ipv6": true`, []string{described(a, vpc, "eu-central-1a", v6), described(b, vpc, "eu-central-1b", "")}, "FAIL    the subnet subnet-4567cdef has no IPv6 block; give it one, or remove networks.eu-central-1.ipv6"},
		{"same-zone", "", []string{described(a, vpc, "eu-central-1a", ""), described(b, vpc, "eu-central-1a", "")}, "FAIL    two subnets are in the availability zone eu-central-1a"},
		{"other-vpc", "", []string{described(a, "vpc-4567cdef", "eu-central-1a", ""), described(b, vpc, "eu-central-1b", "")}, "FAIL    the subnet subnet-0123abcd is in vpc-4567cdef, not in vpc-0123abcd"},
		{"missing", "", []string{described(a, vpc, "eu-central-1a", "")}, "FAIL    there is no subnet subnet-4567cdef; correct networks.eu-central-1.subnets"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := ready()
			f.domain = responds(http.Header{"X-Amz-Cf-Id": {"x"}})
			var out subnets
			if err := query.Parse("DescribeSubnets", 200, []byte("<DescribeSubnetsResponse><subnetSet>"+strings.Join(tt.subnets, "")+"</subnetSet></DescribeSubnetsResponse>"), &out); err != nil {
				t.Fatal(err)
			}
			f.networks = out.Subnets
			got := preflightWith(t, t.Context(), f, 200, `, "front": "both", "networks": {"eu-central-1": {"vpc": "`+vpc+`", "subnets": ["`+a+`", "`+b+`"]`+tt.ipv6+`}}`)
			if !strings.Contains(got.stdout, tt.want) {
				t.Errorf("no %q in\n%s", tt.want, got.stdout)
			}
		})
	}
}

// A new load balancer needs a VPC.
func TestVPCs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, balancer string // that is deployed
		vpcs           int
		want           string // empty for no row
	}{
		{"few", "", 1, "PASS    quota not listed; assuming the default of 5 (2 needed)"},
		{"all", "", 5, `FAIL    quota not listed; assuming the default of 5 (6 needed); request an increase of "VPCs per Region" in Service Quotas`},
		{"deployed", "archeio.eu-central-1.elb.amazonaws.com", 5, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := ready()
			f.domain, f.vpcCount = responds(http.Header{"X-Amz-Cf-Id": {"x"}}), tt.vpcs
			// Its stack may exist without a load balancer, for another front.
			f.status = map[string]string{"archeio-test-redirector-eu-central-1": "UPDATE_COMPLETE"}
			f.outputs = map[string]string{"archeio-test-redirector-eu-central-1 BalancerName": tt.balancer}
			got := preflightWith(t, t.Context(), f, 200, `, "front": "both"`)
			if tt.want == "" && strings.Contains(got.stdout, " VPCs ") || !strings.Contains(got.stdout, tt.want) {
				t.Errorf("want %q in\n%s", tt.want, got.stdout)
			}
		})
	}
}
