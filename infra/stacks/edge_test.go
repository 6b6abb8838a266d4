//go:build !race

package stacks

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	parts "archeio/infra/constructs"
)

// cachingDisabled is the managed cache policy of that name.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
const cachingDisabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

// distribution returns the configuration of an edge stack's distribution.
func (st *synthStack) distribution(t *testing.T) any {
	t.Helper()
	_, distribution := st.only(t, "AWS::CloudFront::Distribution")
	return at(distribution, "Properties", "DistributionConfig")
}

func TestEdgeStacks(t *testing.T) {
	c := synthesized(t)
	for _, s := range c.stages {
		// CloudFront requires its certificates in this region.
		found := slices.ContainsFunc(c.stacks, func(st *synthStack) bool { return st.name == "archeio-"+s.Name+"-edge-us-east-1" })
		if found != s.HasDistribution() {
			t.Errorf("stage %s with front %s has an edge stack: %v", s.Name, s.Front, found)
		}
	}
	each(t, "mirror", func(t *testing.T, st *synthStack) { st.none(t, "AWS::CloudFront::Distribution") })
	each(t, "redirector", func(t *testing.T, st *synthStack) { st.none(t, "AWS::CloudFront::Distribution") })
}

// CloudFront uses the first behavior that matches a path.
func TestBehaviors(t *testing.T) {
	each(t, "edge", func(t *testing.T, st *synthStack) {
		compressed := false
		behavior := func(target, cache, request string) string {
			return fmt.Sprintf(`"TargetOriginId": %q, "CachePolicyId": %s, "OriginRequestPolicyId": {"Fn::GetAtt": [%q, "Id"]},
				"ViewerProtocolPolicy": "redirect-to-https", "Compress": %t,
				"AllowedMethods": ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"],
				"FunctionAssociations": [{"EventType": "viewer-request", "FunctionARN": {"Fn::GetAtt": ["ViewerRequest", "FunctionARN"]}}]`, target, cache, request, compressed)
		}
		page := func(path string) string {
			compressed = true
			defer func() { compressed = false }()
			return fmt.Sprintf(`{"PathPattern": %q, %s}`, path, behavior("redirector-"+st.stage.Redirectors[0], `{"Fn::GetAtt": ["PageCachePolicy", "Id"]}`, "RedirectorRequestPolicy"))
		}
		mirror, redirector := "mirror-"+st.stage.Primary, "redirector-"+st.stage.Redirectors[0]
		config := st.distribution(t)
		same(t, "behaviors", at(config, "CacheBehaviors"), `[
			{"PathPattern": "/containers/images/*", `+behavior(mirror, `{"Fn::GetAtt": ["BlobCachePolicy", "Id"]}`, "MirrorRequestPolicy")+`},
			{"PathPattern": "/v2/*/blobs/*", `+behavior(redirector, `"`+cachingDisabled+`"`, "RedirectorRequestPolicy")+`},
			{"PathPattern": "/where", `+behavior(redirector, `"`+cachingDisabled+`"`, "RedirectorRequestPolicy")+`},
			`+page("/")+`, `+page("/hosts.json")+`
		]`)
		same(t, "default behavior", at(config, "DefaultCacheBehavior"), `{`+behavior(redirector, `{"Fn::GetAtt": ["ResponseCachePolicy", "Id"]}`, "RedirectorRequestPolicy")+`}`)
	})
}

func TestCachePolicies(t *testing.T) {
	each(t, "edge", func(t *testing.T, st *synthStack) {
		// The path of a blob has its digest, so it is enough as a cache key.
		longest := "3600"
		if st.stage.Relays() {
			longest = "86400"
		}
		for id, want := range map[string]string{
			"ResponseCachePolicy": `"MinTTL": 0, "DefaultTTL": 0, "MaxTTL": ` + longest + `, %s "QueryStringsConfig": {"QueryStringBehavior": "all"}}`,
			"BlobCachePolicy":     `"MinTTL": 0, "DefaultTTL": 31536000, "MaxTTL": 31536000, %s "QueryStringsConfig": {"QueryStringBehavior": "none"}}`,
		} {
			policy := at(st.resource(t, id), "Properties", "CachePolicyConfig")
			same(t, id, policy, fmt.Sprintf(`{"Name": %q, %s}`, at(policy, "Name"), fmt.Sprintf(want, `
				"ParametersInCacheKeyAndForwardedToOrigin": {
					"EnableAcceptEncodingGzip": false, "EnableAcceptEncodingBrotli": false,
					"CookiesConfig": {"CookieBehavior": "none"},
					"HeadersConfig": {"HeaderBehavior": "none"},`)))
		}
		// A page that has the host that the client requested is cached by it.
		headers := `{"HeaderBehavior": "whitelist", "Headers": ["X-Viewer-Host"]}`
		if st.stage.Domain != "" {
			headers = `{"HeaderBehavior": "none"}`
		}
		page := at(st.resource(t, "PageCachePolicy"), "Properties", "CachePolicyConfig")
		same(t, "PageCachePolicy", page, fmt.Sprintf(`{"Name": %q, "MinTTL": 0, "DefaultTTL": 0, "MaxTTL": 3600, "ParametersInCacheKeyAndForwardedToOrigin": {
			"EnableAcceptEncodingGzip": true, "EnableAcceptEncodingBrotli": true, "CookiesConfig": {"CookieBehavior": "none"},
			"HeadersConfig": %s, "QueryStringsConfig": {"QueryStringBehavior": "all"}}}`, at(page, "Name"), headers))
		if n := len(st.resources("AWS::CloudFront::CachePolicy")); n != 3 {
			t.Errorf("%d cache policies, want 3", n)
		}
	})
}

func TestOriginRequestPolicies(t *testing.T) {
	each(t, "edge", func(t *testing.T, st *synthStack) {
		for id, want := range map[string]string{
			"RedirectorRequestPolicy": `"HeadersConfig": {"HeaderBehavior": "whitelist", "Headers": ["CloudFront-Viewer-Address", "CloudFront-Viewer-Country",
				"CloudFront-Viewer-Latitude", "CloudFront-Viewer-Longitude", "X-Viewer-Authorized", "X-Viewer-Host"]},
				"QueryStringsConfig": {"QueryStringBehavior": "all"}`,
			"MirrorRequestPolicy": `"HeadersConfig": {"HeaderBehavior": "whitelist", "Headers": ["CloudFront-Viewer-Country"]},
				"QueryStringsConfig": {"QueryStringBehavior": "none"}`,
		} {
			policy := at(st.resource(t, id), "Properties", "OriginRequestPolicyConfig")
			same(t, id, policy, fmt.Sprintf(`{"Name": %q, "CookiesConfig": {"CookieBehavior": "none"}, %s}`, at(policy, "Name"), want))
		}
		policies := st.resources("AWS::CloudFront::OriginRequestPolicy")
		for id, policy := range policies {
			// Function URLs and buckets only accept their own host names.
			headers := texts(at(policy, "Properties", "OriginRequestPolicyConfig", "HeadersConfig", "Headers"))
			if slices.ContainsFunc(headers, func(h string) bool { return strings.EqualFold(h, "Host") }) || len(headers) > 10 {
				t.Errorf("%s forwards the headers %v", id, headers)
			}
		}
		if len(policies) != 2 {
			t.Errorf("%d origin request policies, want 2", len(policies))
		}
	})
}

func TestDistribution(t *testing.T) {
	each(t, "edge", func(t *testing.T, st *synthStack) {
		config := st.distribution(t)
		same(t, "enabled", at(config, "Enabled"), "true")
		same(t, "price class", at(config, "PriceClass"), map[string]string{"100": `"PriceClass_100"`, "all": `"PriceClass_All"`}[st.stage.PriceClass])
		same(t, "HTTP", at(config, "HttpVersion"), `"http2and3"`)
		same(t, "IPv6", at(config, "IPV6Enabled"), "true")
		same(t, "errors", at(config, "CustomErrorResponses"), `[
			{"ErrorCode": 403, "ErrorCachingMinTTL": 0},
			{"ErrorCode": 500, "ErrorCachingMinTTL": 0},
			{"ErrorCode": 502, "ErrorCachingMinTTL": 0},
			{"ErrorCode": 503, "ErrorCachingMinTTL": 0},
			{"ErrorCode": 504, "ErrorCachingMinTTL": 0}
		]`)
		// The CloudFront function selects the origins, not origin groups.
		if at(config, "OriginGroups") != nil || at(config, "Logging") != nil {
			t.Errorf("origin groups %s, logging %s", text(at(config, "OriginGroups")), text(at(config, "Logging")))
		}

		_, function := st.only(t, "AWS::CloudFront::Function")
		same(t, "function", at(function, "Properties", "FunctionConfig", "Runtime"), `"cloudfront-js-2.0"`)
		// Other code must have another name, and the name at most 64 characters for the
		// longest name of a stage, which has 20.
		code, _ := at(function, "Properties", "FunctionCode").(string)
		sum := sha256.Sum256([]byte(code))
		name, _ := at(function, "Properties", "Name").(string)
		if want := fmt.Sprintf("archeio-%s-viewer-request-%x", st.stage.Name, sum[:6]); name != want || len(name)-len(st.stage.Name)+20 > 64 {
			t.Errorf("the function's name is %q, want %q", name, want)
		}
		same(t, "function is published", at(function, "Properties", "AutoPublish"), "true")
		want, err := parts.ViewerRequest(st.stage)
		if err != nil {
			t.Fatal(err)
		}
		if at(function, "Properties", "FunctionCode") != want {
			t.Error("the code of the CloudFront function is not that of the stage")
		}
	})
}

func TestDistributionDomain(t *testing.T) {
	with, without, existing := 0, 0, 0
	each(t, "edge", func(t *testing.T, st *synthStack) {
		config := st.distribution(t)
		if st.stage.Domain == "" {
			without++
			if at(config, "Aliases") != nil || at(config, "ViewerCertificate") != nil {
				t.Errorf("without a domain: aliases %s, certificate %s", text(at(config, "Aliases")), text(at(config, "ViewerCertificate")))
			}
			st.none(t, "AWS::CertificateManager::Certificate")
			return
		}
		same(t, "aliases", at(config, "Aliases"), text(st.stage.Hosts()))
		if arn := st.stage.Certificates["us-east-1"]; arn != "" {
			existing++
			same(t, "certificate", at(config, "ViewerCertificate", "AcmCertificateArn"), text(arn))
			st.none(t, "AWS::CertificateManager::Certificate")
			target := `{"Fn::GetAtt": ["Distribution", "DomainName"]}`
			same(t, "records to create", at(st.template, "Outputs", "RecordsToCreate", "Value"), fmt.Sprintf(
				`{"Fn::Join": ["", ["registry.example.org. CNAME ", %s, ".\nimages.example.com. CNAME ", %[1]s, "."]]}`, target))
			return
		}
		with++
		certificate, resource := st.only(t, "AWS::CertificateManager::Certificate")
		same(t, "certificate's name", at(resource, "Properties", "DomainName"), fmt.Sprintf("%q", st.stage.Domain))
		same(t, "validation", at(resource, "Properties", "DomainValidationOptions"), fmt.Sprintf(`[{"DomainName": %q, "HostedZoneId": %q}]`, st.stage.Domain, st.stage.Zone.ID))
		same(t, "certificate", at(config, "ViewerCertificate"), fmt.Sprintf(`{
			"AcmCertificateArn": {"Ref": %q}, "MinimumProtocolVersion": "TLSv1.2_2021", "SslSupportMethod": "sni-only"
		}`, certificate))
		st.none(t, "AWS::Route53::RecordSet")
	})
	if with == 0 || without == 0 || existing == 0 {
		t.Errorf("tested %d distributions with a domain, %d without, %d with an existing certificate, want all", with, without, existing)
	}
}

func TestOrigins(t *testing.T) {
	each(t, "edge", func(t *testing.T, st *synthStack) {
		origins := list(at(st.distribution(t), "Origins"))
		if want := len(st.stage.Routed()) + len(st.stage.Redirectors); len(origins) != want {
			t.Fatalf("%d origins, want %d", len(origins), want)
		}
		const connection = `"ConnectionAttempts": 1, "ConnectionTimeout": 2`
		for i, region := range st.stage.Routed() {
			same(t, "mirror in "+region, origins[i], fmt.Sprintf(`{
				"Id": "mirror-%[1]s", "DomainName": "%[2]s.s3.%[1]s.amazonaws.com", %[3]s,
				"OriginAccessControlId": {"Fn::GetAtt": ["MirrorAccess", "Id"]},
				"S3OriginConfig": {"OriginAccessIdentity": ""}
			}`, region, st.stage.Bucket(region), connection))
		}
		for i, region := range st.stage.Redirectors {
			origin := origins[len(st.stage.Routed())+i]
			host := at(origin, "DomainName")
			same(t, "redirector in "+region, origin, fmt.Sprintf(`{
				"Id": "redirector-%s", "DomainName": %s, %s,
				"OriginAccessControlId": {"Fn::GetAtt": ["RedirectorAccess", "Id"]},
				"CustomOriginConfig": {"OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"], "OriginReadTimeout": 10}
			}`, region, text(host), connection))
			same(t, "host", host, fmt.Sprintf(`{"Fn::GetStackOutput": {"StackName": %q, "OutputName": "FunctionHost", "Region": %q}}`, st.stage.Stack("redirector", region), region))
		}
	})
}

func TestOriginAccess(t *testing.T) {
	each(t, "edge", func(t *testing.T, st *synthStack) {
		for id, kind := range map[string]string{"MirrorAccess": "s3", "RedirectorAccess": "lambda"} {
			config := at(st.resource(t, id), "Properties", "OriginAccessControlConfig")
			same(t, id, config, fmt.Sprintf(`{
				"Name": "archeio-%s-%s", "OriginAccessControlOriginType": %[2]q, "SigningBehavior": "always", "SigningProtocol": "sigv4"
			}`, st.stage.Name, kind))
		}
		st.none(t, "AWS::CloudFront::CloudFrontOriginAccessIdentity")
		if n := len(st.resources("AWS::CloudFront::OriginAccessControl")); n != 2 {
			t.Errorf("%d origin access controls, want 2", n)
		}
	})
}
