//go:build !race

package stacks

import (
	"fmt"
	"slices"
	"testing"
)

// balancers runs a test for the redirector stacks that have a load balancer.
func balancers(t *testing.T, test func(*testing.T, *synthStack)) {
	t.Helper()
	fronts := map[string]bool{}
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		if st.stage.HasLoadBalancers() {
			fronts[string(st.stage.Front)] = true
			test(t, st)
		}
	})
	if !fronts["alb"] || !fronts["both"] {
		t.Errorf("tested fronts %v, want alb and both", fronts)
	}
}

func TestOnlyConfiguredBalancers(t *testing.T) {
	each(t, "", func(t *testing.T, st *synthStack) {
		if st.what != "redirector" || !st.stage.HasLoadBalancers() {
			st.none(t, "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::ElasticLoadBalancingV2::Listener", "AWS::ElasticLoadBalancingV2::TargetGroup",
				"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup", "AWS::EC2::InternetGateway")
		}
	})
}

func TestBalancer(t *testing.T) {
	balancers(t, func(t *testing.T, st *synthStack) {
		id, balancer := st.only(t, "AWS::ElasticLoadBalancingV2::LoadBalancer")
		props := at(balancer, "Properties")
		same(t, "type", at(props, "Type"), `"application"`)
		same(t, "scheme", at(props, "Scheme"), `"internet-facing"`)
		// The subnets of an existing network may have no IPv6 blocks.
		addresses, ipv6 := `"ipv4"`, ""
		if n, existing := st.stage.Networks[st.region]; !existing || n.IPv6 {
			addresses, ipv6 = `"dualstack"`, `, {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv6": "::/0", "Description": "HTTPS from anywhere"}`
		}
		same(t, "addresses", at(props, "IpAddressType"), addresses)
		same(t, "attributes", any(pairs(at(props, "LoadBalancerAttributes"))), fmt.Sprintf(`{
			"routing.http.drop_invalid_header_fields.enabled": "true",
			"deletion_protection.enabled": "%v"
		}`, st.stage.Protected))

		group, rules := st.only(t, "AWS::EC2::SecurityGroup")
		same(t, "security groups", at(props, "SecurityGroups"), fmt.Sprintf(`[{"Fn::GetAtt": [%q, "GroupId"]}]`, group))
		same(t, "ingress", at(rules, "Properties", "SecurityGroupIngress"), `[
			{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0", "Description": "HTTPS from anywhere"}`+ipv6+`
		]`)
		// An empty list would become a rule that allows all egress.
		same(t, "egress", at(rules, "Properties", "SecurityGroupEgress"), `[
			{"IpProtocol": "icmp", "FromPort": 252, "ToPort": 86, "CidrIp": "255.255.255.255/32", "Description": "No egress"}
		]`)
		st.none(t, "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress")

		target, _ := st.only(t, "AWS::ElasticLoadBalancingV2::TargetGroup")
		certificate := text(st.stage.Certificates[st.region])
		if st.stage.Certificates == nil {
			id, _ := st.only(t, "AWS::CertificateManager::Certificate")
			certificate = fmt.Sprintf(`{"Ref": %q}`, id)
		}
		_, listener := st.only(t, "AWS::ElasticLoadBalancingV2::Listener")
		props = at(listener, "Properties")
		same(t, "port", at(props, "Port"), "443")
		same(t, "protocol", at(props, "Protocol"), `"HTTPS"`)
		same(t, "TLS", at(props, "SslPolicy"), `"ELBSecurityPolicy-TLS13-1-2-2021-06"`)
		same(t, "listener of", at(props, "LoadBalancerArn"), fmt.Sprintf(`{"Ref": %q}`, id))
		same(t, "certificates", at(props, "Certificates"), `[{"CertificateArn": `+certificate+`}]`)
		same(t, "actions", at(props, "DefaultActions"), fmt.Sprintf(`[{"Type": "forward", "TargetGroupArn": {"Ref": %q}}]`, target))
	})
}

func TestBalancerTarget(t *testing.T) {
	balancers(t, func(t *testing.T, st *synthStack) {
		alias, _ := st.only(t, "AWS::Lambda::Alias")
		_, target := st.only(t, "AWS::ElasticLoadBalancingV2::TargetGroup")
		props := at(target, "Properties")
		same(t, "type", at(props, "TargetType"), `"lambda"`)
		same(t, "targets", at(props, "Targets"), fmt.Sprintf(`[{"Id": {"Ref": %q}}]`, alias))
		same(t, "attributes", any(pairs(at(props, "TargetGroupAttributes"))), `{"lambda.multi_value_headers.enabled": "true"}`)
		same(t, "health check", at(props, "HealthCheckEnabled"), "true")
		same(t, "health check's path", at(props, "HealthCheckPath"), `"/v2/"`)
		same(t, "health check's status", at(props, "Matcher"), `{"HttpCode": "200"}`)
		// The health check must wait for the timeout of the function.
		interval, _ := at(props, "HealthCheckIntervalSeconds").(float64)
		wait, _ := at(props, "HealthCheckTimeoutSeconds").(float64)
		if wait <= 5 || wait >= interval {
			t.Errorf("health check with a timeout of %v s and an interval of %v s", wait, interval)
		}
		if !slices.Contains(texts(at(target, "DependsOn")), "BalancerInvokes") {
			t.Error("the target group does not depend on the permission")
		}
	})
}

// All load balancers share a host name, which resolves to the nearest one.
func TestBalancerRecords(t *testing.T) {
	ipv6 := map[bool]bool{}
	balancers(t, func(t *testing.T, st *synthStack) {
		name := "alb." + st.stage.Domain
		if st.stage.Zone.ID == "" {
			st.none(t, "AWS::Route53::RecordSet", "AWS::CertificateManager::Certificate")
			same(t, "records to create", at(st.template, "Outputs", "RecordsToCreate", "Value"), fmt.Sprintf(`{"Fn::Join": ["", ["%s. CNAME ", {"Fn::GetAtt": ["Balancer", "DNSName"]}, "."]]}`, name))
			return
		}
		if at(st.template, "Outputs", "RecordsToCreate") != nil {
			t.Error("outputs records to create")
		}
		balancer, _ := st.only(t, "AWS::ElasticLoadBalancingV2::LoadBalancer")
		records := st.resources("AWS::Route53::RecordSet")
		kinds := []string{"A", "AAAA"}
		if n, existing := st.stage.Networks[st.region]; existing && !n.IPv6 {
			kinds = kinds[:1]
		}
		ipv6[len(kinds) == 2] = true
		for _, kind := range kinds {
			same(t, "record "+kind, at(records["BalancerRecord"+kind], "Properties"), fmt.Sprintf(`{
				"HostedZoneId": %[1]q, "Name": "%[2]s.", "Type": %[3]q,
				"Region": %[4]q, "SetIdentifier": %[4]q,
				"AliasTarget": {
					"DNSName": {"Fn::GetAtt": [%[5]q, "DNSName"]},
					"HostedZoneId": {"Fn::GetAtt": [%[5]q, "CanonicalHostedZoneID"]},
					"EvaluateTargetHealth": true
				}
			}`, st.stage.Zone.ID, name, kind, st.region, balancer))
		}
		if len(records) != len(kinds) {
			t.Errorf("%d records, want %d", len(records), len(kinds))
		}
		_, certificate := st.only(t, "AWS::CertificateManager::Certificate")
		same(t, "certificate's name", at(certificate, "Properties", "DomainName"), fmt.Sprintf(`%q`, st.stage.Domain))
		same(t, "certificate's other names", at(certificate, "Properties", "SubjectAlternativeNames"), text(append([]string{name}, st.stage.Aliases...)))
		var validation []any
		for _, host := range append([]string{st.stage.Domain, name}, st.stage.Aliases...) {
			validation = append(validation, map[string]any{"DomainName": host, "HostedZoneId": st.stage.Zone.ID})
		}
		same(t, "validation", at(certificate, "Properties", "DomainValidationOptions"), text(validation))
	})
	if len(ipv6) != 2 {
		t.Errorf("tested with IPv6: %v, want with and without", ipv6)
	}
}

func TestBalancerNetwork(t *testing.T) {
	existing := 0
	balancers(t, func(t *testing.T, st *synthStack) {
		_, balancer := st.only(t, "AWS::ElasticLoadBalancingV2::LoadBalancer")
		_, group := st.only(t, "AWS::EC2::SecurityGroup")
		if n, ok := st.stage.Networks[st.region]; ok {
			existing++
			same(t, "subnets", at(balancer, "Properties", "Subnets"), text(n.Subnets))
			same(t, "VPC", at(group, "Properties", "VpcId"), text(n.VPC))
			st.none(t, "AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::InternetGateway", "AWS::EC2::Route")
			return
		}
		same(t, "subnets", at(balancer, "Properties", "Subnets"), `[{"Ref": "SubnetA"}, {"Ref": "SubnetB"}]`)
		vpc, _ := st.only(t, "AWS::EC2::VPC")
		same(t, "VPC", at(group, "Properties", "VpcId"), fmt.Sprintf(`{"Ref": %q}`, vpc))
		gateway, _ := st.only(t, "AWS::EC2::InternetGateway")
		attachment, _ := st.only(t, "AWS::EC2::VPCGatewayAttachment")
		if !slices.Contains(texts(at(balancer, "DependsOn")), attachment) {
			t.Error("the load balancer does not depend on the gateway attachment")
		}
		// Both subnets are public: their route table leads to the gateway.
		table, _ := st.only(t, "AWS::EC2::RouteTable")
		routes := map[string]bool{}
		for id, route := range st.resources("AWS::EC2::Route") {
			props := at(route, "Properties")
			same(t, id, at(props, "GatewayId"), fmt.Sprintf(`{"Ref": %q}`, gateway))
			same(t, id, at(props, "RouteTableId"), fmt.Sprintf(`{"Ref": %q}`, table))
			routes[fmt.Sprint(at(props, "DestinationCidrBlock"), at(props, "DestinationIpv6CidrBlock"))] = true
		}
		if !routes["0.0.0.0/0<nil>"] || !routes["<nil>::/0"] || len(routes) != 2 {
			t.Errorf("routes %v, want those for all of IPv4 and IPv6", routes)
		}
		zones := map[string]bool{}
		for _, subnet := range st.resources("AWS::EC2::Subnet") {
			zones[text(at(subnet, "Properties", "AvailabilityZone"))] = true
		}
		if len(zones) != 2 {
			t.Errorf("subnets in the zones %v, want two zones", zones)
		}
		if n := len(st.resources("AWS::EC2::SubnetRouteTableAssociation")); n != 2 {
			t.Errorf("%d subnets have the route table, want 2", n)
		}
	})
	if existing == 0 {
		t.Error("no load balancer in an existing VPC is tested")
	}
}
