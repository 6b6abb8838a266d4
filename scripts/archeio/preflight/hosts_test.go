package preflight

import (
	"strings"
	"testing"
)

func TestHostNames(t *testing.T) {
	t.Parallel()
	const records, anywhere = "archeio-test-domain-us-east-1 Records", `"domain": "registry.example.org", "certificate": {"us-east-1": "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"}`
	const withAlias = `"domain": "registry.example.com", "aliases": ["images.example.com"], "hostedZone": {"id": "Z0123456789ABCDEFGHIJ", "name": "example.com"}`
	const certificates = `"certificate": {"us-east-1": "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef", "eu-central-1": "arn:aws:acm:eu-central-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"}`
	const bothAnywhere = `"front": "both", "domainPending": true, "domain": "registry.example.org", ` + certificates
	const both = `"front": "both", "domainPending": true, "domain": "registry.example.com", "hostedZone": {"id": "Z0123456789ABCDEFGHIJ", "name": "example.com"}`
	own := map[string]string{"archeio-test-edge-us-east-1 DistributionName": "d1.cloudfront.example"}
	for _, tt := range []struct {
		name   string
		change func(*fake)
		want   string
		not    string // must not be printed
	}{
		{"free", func(*fake) {}, "PASS    registry.example.com has no records, so they can be created", ""},
		{"taken-records", func(f *fake) { f.recordsOf = map[string][]string{"registry.example.com": {"A", "CNAME"}} }, "FAIL    registry.example.com has A and CNAME records, which CloudFormation does not replace", ""},
		{"own-records", func(f *fake) {
			f.recordsOf, f.outputs = map[string][]string{"registry.example.com": {"A"}}, map[string]string{records: "registry.example.com"}
		}, "PASS    public DNS uses", "has A records"},
		{"new-alias", func(f *fake) {
			f.domainKeys, f.recordsOf, f.outputs = withAlias, map[string][]string{"registry.example.com": {"A"}, "images.example.com": {"A"}}, map[string]string{records: "registry.example.com"}
		}, "FAIL    images.example.com has A records, which CloudFormation does not replace", "registry.example.com has A records"},
		{"balancer-records", func(f *fake) {
			f.domainKeys, f.recordsOf = both, map[string][]string{"alb.registry.example.com": {"CNAME"}}
		},
			"FAIL    alb.registry.example.com has CNAME records, which CloudFormation does not replace", ""},
		{"own-balancer-records", func(f *fake) {
			f.domainKeys, f.recordsOf = both, map[string][]string{"alb.registry.example.com": {"A"}}
			f.outputs = map[string]string{"archeio-test-redirector-eu-central-1 BalancerName": "a.elb.amazonaws.com"}
		}, "PASS    registry.example.com has no records, so they can be created", "alb.registry.example.com has A records"},
		{"taken-alias", func(f *fake) { f.aliasOf = map[string]string{"registry.example.com": "d2.cloudfront.example"} }, "FAIL    registry.example.com is an alternate domain name of the distribution d2.cloudfront.example", ""},
		{"own-alias", func(f *fake) {
			f.aliasOf, f.outputs = map[string]string{"registry.example.com": "d1.cloudfront.example"}, own
		}, "PASS", "alternate domain name"},
		{"anywhere-new", func(f *fake) { f.domainKeys = anywhere }, "WARN    could not look up registry.example.org: no such host; its records must be created after the deployment, see the output RecordsToCreate", "hosted zone"},
		{"anywhere-elsewhere", func(f *fake) {
			f.domainKeys, f.canonical = anywhere, map[string]string{"registry.example.org": "old.example."}
		}, "WARN    registry.example.org leads to old.example; its records must be created", ""},
		{"anywhere-balancer-new", func(f *fake) { f.domainKeys = bothAnywhere }, "WARN    could not look up alb.registry.example.org: no such host; its records must be created after the deployment, see the output RecordsToCreate of each redirector stack", "alb.registry.example.org leads"},
		{"anywhere-balancer", func(f *fake) {
			f.domainKeys, f.canonical = bothAnywhere, map[string]string{"alb.registry.example.org": "a-1.eu-central-1.elb.amazonaws.com."}
		}, "PASS    alb.registry.example.org leads to a load balancer", ""},
		{"anywhere-alb-elsewhere", func(f *fake) {
			f.domainKeys, f.canonical = strings.Replace(strings.Replace(bothAnywhere, `"both", "domainPending": true`, `"alb"`, 1), `"us-east-1": "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef", `, "", 1), map[string]string{"registry.example.org": "d1.cloudfront.example."}
		}, "WARN    registry.example.org leads to d1.cloudfront.example; its records must be created after the deployment, see the output RecordsToCreate of each redirector stack", ""},
		{"anywhere-done", func(f *fake) {
			f.domainKeys, f.outputs, f.canonical = anywhere, own, map[string]string{"registry.example.org": "d1.cloudfront.example."}
		}, "PASS    registry.example.org leads to the distribution", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := preflightOf(t, with(tt.change), 200)
			if !strings.Contains(got.stdout, tt.want) || tt.not != "" && strings.Contains(got.stdout, tt.not) {
				t.Errorf("want %q, not %q in\n%s", tt.want, tt.not, got.stdout)
			}
		})
	}
}

func TestNobodyIsNotified(t *testing.T) {
	t.Parallel()
	f := ready()
	f.noEmail = true
	if got := preflightOf(t, f, 200); !strings.Contains(got.stdout, "WARN    no one is notified of alarms; set email, or subscribe to the topic archeio-test-alarms in each region") {
		t.Errorf("no warning in\n%s", got.stdout)
	}
}
