package constructs

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/lambda/config"
)

const (
	// cachingDisabled is a managed cache policy. Only with it does CloudFront not
	// collapse concurrent requests of different clients into one.
	// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
	cachingDisabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

	hour = 3600
	day  = 24 * hour
	year = 365 * day

	// These limit how long a client waits for an unreachable region before the
	// request fails over to another one.
	connectAttempts = 1
	connectSeconds  = 2
)

// Distribution creates the distribution: it serves mirrored blobs from the mirrors,
// and everything else from the redirectors. redirectorHosts are the host names of
// their function URLs, in the order of the stage's redirectors.
func Distribution(scope constructs.Construct, s *stage.Stage, redirectorHosts []*string) (awscloudfront.CfnDistribution, error) {
	code, err := ViewerRequest(s)
	if err != nil {
		return nil, err
	}
	functionName := jsii.String(s.ViewerRequest() + hashOf(code))
	name := func(what string) *string { return jsii.String("archeio-" + s.Name + "-" + what) }
	function := awscloudfront.NewCfnFunction(scope, jsii.String("ViewerRequest"), &awscloudfront.CfnFunctionProps{
		// Other code has another name, so it is another function. The distribution then
		// changes to it together with its origins. A function that kept its name would be
		// published before the distribution has the origins that the code selects, and
		// CloudFront answers 502 for an origin that a distribution does not have.
		Name:         functionName,
		AutoPublish:  jsii.Bool(true),
		FunctionCode: jsii.String(code),
		FunctionConfig: &awscloudfront.CfnFunction_FunctionConfigProperty{
			Comment: jsii.String("Archeio, stage " + s.Name + ": selects the nearest origin"),
			Runtime: jsii.String("cloudfront-js-2.0"),
		},
	})
	longest := float64(hour)
	if s.Relays() {
		longest = day // manifests by digest
	}
	behaviors := behaviors{
		functions: []interface{}{&awscloudfront.CfnDistribution_FunctionAssociationProperty{
			EventType: jsii.String("viewer-request"), FunctionArn: function.AttrFunctionArn(),
		}},
		toRedirectors: requestPolicy(scope, "RedirectorRequestPolicy", name("redirector"), "all", "CloudFront-Viewer-Address", "CloudFront-Viewer-Country",
			"CloudFront-Viewer-Latitude", "CloudFront-Viewer-Longitude", "X-Viewer-Authorized", "X-Viewer-Host"),
		toMirrors:  requestPolicy(scope, "MirrorRequestPolicy", name("mirror"), "none", "CloudFront-Viewer-Country"),
		responses:  cachePolicy(scope, "ResponseCachePolicy", name("responses"), "all", 0, longest),
		blobs:      cachePolicy(scope, "BlobCachePolicy", name("blobs"), "none", year, year),
		pages:      pagePolicy(scope, s, name("pages")),
		redirector: "redirector-" + s.Redirectors[0],
		mirror:     "mirror-" + s.Primary,
	}
	settings := &awscloudfront.CfnDistribution_DistributionConfigProperty{
		Enabled:     jsii.Bool(true),
		Comment:     jsii.String("Archeio, stage " + s.Name),
		HttpVersion: jsii.String("http2and3"),
		Ipv6Enabled: jsii.Bool(true),
		PriceClass:  jsii.String("PriceClass_" + strings.ToUpper(s.PriceClass[:1]) + s.PriceClass[1:]),
		Origins:     origins(scope, s, name, redirectorHosts),
		CacheBehaviors: []interface{}{
			behaviors.mirrored("/" + config.BlobPrefix + "*"),
			behaviors.uncached("/v2/*/blobs/*"),
			behaviors.uncached("/where"),
			behaviors.page("/"),
			behaviors.page("/hosts.json"),
		},
		DefaultCacheBehavior: behaviors.other(),
		CustomErrorResponses: noErrorCaching(403, 500, 502, 503, 504),
	}
	if s.Domain != "" {
		settings.Aliases = jsii.Strings(s.Hosts()...)
		settings.ViewerCertificate = &awscloudfront.CfnDistribution_ViewerCertificateProperty{
			AcmCertificateArn:      certificate(scope, "Certificate", s, stage.EdgeRegion, s.Hosts()),
			MinimumProtocolVersion: jsii.String("TLSv1.2_2021"),
			SslSupportMethod:       jsii.String("sni-only"),
		}
	}
	if s.Firewall != nil {
		settings.WebAclId = firewall(scope, s, ofDistribution)
	}
	distribution := awscloudfront.NewCfnDistribution(scope, jsii.String("Distribution"), &awscloudfront.CfnDistributionProps{DistributionConfig: settings})
	if s.AccessLogs {
		accessLogs(scope, s, distribution)
	}
	alarms{scope, s, stage.EdgeRegion}.edge(distribution, functionName)
	return distribution, nil
}

// hashOf returns a short hash of a text. With the longest name of a stage, the name of
// the function has 55 characters, CloudFront allows 64.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// origins returns the mirrors and the redirectors as origins. CloudFront signs its
// requests to them, so no other caller can use a function URL.
func origins(scope constructs.Construct, s *stage.Stage, name func(string) *string, redirectorHosts []*string) []interface{} {
	access := func(id, kind string) *string {
		return awscloudfront.NewCfnOriginAccessControl(scope, jsii.String(id), &awscloudfront.CfnOriginAccessControlProps{
			OriginAccessControlConfig: &awscloudfront.CfnOriginAccessControl_OriginAccessControlConfigProperty{
				Name:                          name(kind),
				OriginAccessControlOriginType: jsii.String(kind),
				SigningBehavior:               jsii.String("always"),
				SigningProtocol:               jsii.String("sigv4"),
			},
		}).AttrId()
	}
	toMirrors, toRedirectors := access("MirrorAccess", "s3"), access("RedirectorAccess", "lambda")
	var list []interface{}
	for _, region := range s.Routed() {
		list = append(list, &awscloudfront.CfnDistribution_OriginProperty{
			Id:                    jsii.String("mirror-" + region),
			DomainName:            jsii.String(s.Bucket(region) + ".s3." + region + ".amazonaws.com"),
			S3OriginConfig:        &awscloudfront.CfnDistribution_S3OriginConfigProperty{OriginAccessIdentity: jsii.String("")},
			OriginAccessControlId: toMirrors,
			ConnectionAttempts:    jsii.Number(connectAttempts),
			ConnectionTimeout:     jsii.Number(connectSeconds),
		})
	}
	for i, region := range s.Redirectors {
		list = append(list, &awscloudfront.CfnDistribution_OriginProperty{
			Id:         jsii.String("redirector-" + region),
			DomainName: redirectorHosts[i],
			CustomOriginConfig: &awscloudfront.CfnDistribution_CustomOriginConfigProperty{
				OriginProtocolPolicy: jsii.String("https-only"),
				OriginSslProtocols:   jsii.Strings("TLSv1.2"),
				OriginReadTimeout:    jsii.Number(timeout + 5),
			},
			OriginAccessControlId: toRedirectors,
			ConnectionAttempts:    jsii.Number(connectAttempts),
			ConnectionTimeout:     jsii.Number(connectSeconds),
		})
	}
	return list
}

// behaviors are the cache behaviors. The CloudFront function runs for all of
// them and rejects methods other than GET and HEAD, so all methods are allowed.
type behaviors struct {
	functions                []interface{}
	toRedirectors, toMirrors *string // origin request policies
	responses, blobs, pages  *string // cache policies
	redirector, mirror       string  // IDs of the origins that are used without a choice
}

var allMethods = []string{"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"}

func (b *behaviors) mirrored(path string) interface{} {
	return b.at(path, b.mirror, b.blobs, b.toMirrors)
}

// uncached is for requests with a response that depends on the client.
func (b *behaviors) uncached(path string) interface{} {
	return b.at(path, b.redirector, jsii.String(cachingDisabled), b.toRedirectors)
}

// page is for what browsers display. It is compressed.
func (b *behaviors) page(path string) interface{} {
	behavior := b.at(path, b.redirector, b.pages, b.toRedirectors)
	behavior.Compress = jsii.Bool(true)
	return behavior
}

func (b *behaviors) at(path, origin string, cache, request *string) *awscloudfront.CfnDistribution_CacheBehaviorProperty {
	return &awscloudfront.CfnDistribution_CacheBehaviorProperty{
		PathPattern:           jsii.String(path),
		TargetOriginId:        jsii.String(origin),
		ViewerProtocolPolicy:  jsii.String("redirect-to-https"),
		AllowedMethods:        jsii.Strings(allMethods...),
		CachePolicyId:         cache,
		OriginRequestPolicyId: request,
		FunctionAssociations:  b.functions,
		Compress:              jsii.Bool(false),
	}
}

func (b *behaviors) other() interface{} {
	return &awscloudfront.CfnDistribution_DefaultCacheBehaviorProperty{
		TargetOriginId:        jsii.String(b.redirector),
		ViewerProtocolPolicy:  jsii.String("redirect-to-https"),
		AllowedMethods:        jsii.Strings(allMethods...),
		CachePolicyId:         b.responses,
		OriginRequestPolicyId: b.toRedirectors,
		FunctionAssociations:  b.functions,
		Compress:              jsii.Bool(false),
	}
}

// cachePolicy creates a cache policy. The cache key is the path and, if queries is
// "all", the query. The origin sets the time to live in seconds: byDefault applies
// if it does not, and atMost is the maximum.
func cachePolicy(scope constructs.Construct, id string, name *string, queries string, byDefault, atMost float64) *string {
	return newCachePolicy(scope, id, name, byDefault, atMost, cacheKey(queries, false))
}

// pagePolicy creates the cache policy for the pages. Without a domain a page has the
// host that the client requested, which is then part of the cache key.
func pagePolicy(scope constructs.Construct, s *stage.Stage, name *string) *string {
	key := cacheKey("all", true)
	if s.Domain == "" {
		key.HeadersConfig = &awscloudfront.CfnCachePolicy_HeadersConfigProperty{
			HeaderBehavior: jsii.String("whitelist"), Headers: jsii.Strings("X-Viewer-Host"),
		}
	}
	return newCachePolicy(scope, "PageCachePolicy", name, 0, hour, key)
}

func cacheKey(queries string, compressed bool) *awscloudfront.CfnCachePolicy_ParametersInCacheKeyAndForwardedToOriginProperty {
	return &awscloudfront.CfnCachePolicy_ParametersInCacheKeyAndForwardedToOriginProperty{
		EnableAcceptEncodingGzip:   jsii.Bool(compressed),
		EnableAcceptEncodingBrotli: jsii.Bool(compressed),
		CookiesConfig:              &awscloudfront.CfnCachePolicy_CookiesConfigProperty{CookieBehavior: jsii.String("none")},
		HeadersConfig:              &awscloudfront.CfnCachePolicy_HeadersConfigProperty{HeaderBehavior: jsii.String("none")},
		QueryStringsConfig:         &awscloudfront.CfnCachePolicy_QueryStringsConfigProperty{QueryStringBehavior: jsii.String(queries)},
	}
}

func newCachePolicy(scope constructs.Construct, id string, name *string, byDefault, atMost float64, key *awscloudfront.CfnCachePolicy_ParametersInCacheKeyAndForwardedToOriginProperty) *string {
	return awscloudfront.NewCfnCachePolicy(scope, jsii.String(id), &awscloudfront.CfnCachePolicyProps{
		CachePolicyConfig: &awscloudfront.CfnCachePolicy_CachePolicyConfigProperty{
			Name:                                     name,
			MinTtl:                                   jsii.Number(0),
			DefaultTtl:                               jsii.Number(byDefault),
			MaxTtl:                                   jsii.Number(atMost),
			ParametersInCacheKeyAndForwardedToOrigin: key,
		},
	}).AttrId()
}

// requestPolicy creates the policy for what is sent to an origin. The viewer's Host
// header never is: function URLs and buckets only accept their own host names.
func requestPolicy(scope constructs.Construct, id string, name *string, queries string, headers ...string) *string {
	return awscloudfront.NewCfnOriginRequestPolicy(scope, jsii.String(id), &awscloudfront.CfnOriginRequestPolicyProps{
		OriginRequestPolicyConfig: &awscloudfront.CfnOriginRequestPolicy_OriginRequestPolicyConfigProperty{
			Name:          name,
			CookiesConfig: &awscloudfront.CfnOriginRequestPolicy_CookiesConfigProperty{CookieBehavior: jsii.String("none")},
			HeadersConfig: &awscloudfront.CfnOriginRequestPolicy_HeadersConfigProperty{
				HeaderBehavior: jsii.String("whitelist"), Headers: jsii.Strings(headers...),
			},
			QueryStringsConfig: &awscloudfront.CfnOriginRequestPolicy_QueryStringsConfigProperty{QueryStringBehavior: jsii.String(queries)},
		},
	}).AttrId()
}

// noErrorCaching disables the caching of errors with these status codes.
func noErrorCaching(codes ...float64) []interface{} {
	var list []interface{}
	for _, code := range codes {
		list = append(list, &awscloudfront.CfnDistribution_CustomErrorResponseProperty{
			ErrorCode: jsii.Number(code), ErrorCachingMinTtl: jsii.Number(0),
		})
	}
	return list
}

// Address returns the host name of the registry.
func Address(s *stage.Stage, distribution awscloudfront.CfnDistribution) *string {
	if s.Domain != "" {
		return jsii.String(s.Domain)
	}
	return distribution.AttrDomainName()
}
