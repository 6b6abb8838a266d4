package stage

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"archeio/lambda/build"
	"archeio/lambda/config"
)

// key is a key of a stage in cdk.json: the only place that has its facts.
// Loading, error messages and the reference page use them.
type key struct {
	// name is the key; a dot leads into an object, and the part REGION stands
	// for any redirector region.
	name string
	// want is what the value must be. It completes "want ..." in an error and is
	// valid Markdown.
	want string
	// limits are the lowest and the highest number, in the unit want.
	limits *[2]float64
	// value is the value of a missing key, as JSON; empty for none.
	value string
	// otherwise is what applies to a missing key without a value, as Markdown.
	otherwise string
	// required is whether the key must be there if the object that it is in is.
	required bool
	// meaning is what the key is for, as Markdown.
	meaning string
	// variable is the variable of the redirectors that the key sets, empty for
	// none. With passed, package config validates the value.
	variable string
	passed   bool
}

const (
	boolean     = "true or false"
	anObject    = "an object"
	awsRegions  = "AWS regions, at least one and each once"
	mirrorNames = "regions in mirrors, each once"
)

// keys are all keys of a stage, in the order in which they are documented.
var keys = []key{
	{name: "account", want: "an AWS account ID of 12 digits", required: true, meaning: "account of all stacks"},
	{name: "mirrors", want: awsRegions, required: true, meaning: "regions with a mirror bucket", variable: "MIRROR_REGIONS"},
	{name: "redirectors", want: awsRegions, required: true, meaning: "regions with a redirector function; unless `front` is `alb`, those with Lambda function URLs"},
	{name: "primary", want: "one of the regions in mirrors", otherwise: "the first of `mirrors`", meaning: "mirror that is written first and replicates to all others"},
	{name: "home", want: "an AWS region", otherwise: "the first of `mirrors`", meaning: "region of the fillers' state, the list of withdrawn blobs and the dashboard; it stays the same when `primary` changes"},
	{name: "filling", want: mirrorNames, meaning: "new mirrors: they are filled, but clients are not redirected to them yet"},
	{name: "retiring", want: mirrorNames, meaning: "old mirrors: they are neither filled nor redirected to; `make destroy STAGE= REGION=` deletes their stacks"},

	{name: "upstream", want: anObject, required: true, meaning: "registry that is the source of truth"},
	{name: "upstream.endpoint", want: "scheme and host, for example https://us-docker.pkg.dev", required: true, meaning: "its URL", variable: "UPSTREAM_REGISTRY_ENDPOINT"},
	{name: "upstream.path", want: "a repository name, for example project/images", otherwise: "none; required for `*.pkg.dev` endpoints", meaning: "prefix of all repository names there", variable: "UPSTREAM_REGISTRY_PATH"},
	{name: "upstream.regional", want: "an object of endpoints by redirector region", meaning: "endpoints that the redirectors in these regions send clients to instead"},
	{name: "upstream.rate", want: "requests per second", limits: &[2]float64{0.1, 1e6}, otherwise: "none: `fill.rate` and the default of `UPSTREAM_RATE` apply", meaning: "requests per second to the upstream: `fill.rate` of them are for filling the mirrors, by default half of them, and the rest is divided among the redirector regions of a stage that relays, where the share limits each process of the function: a region with ten processes may send ten times its share", variable: "UPSTREAM_RATE"},
	passed("upstream.access", `"open" or "token"`, "UPSTREAM_ACCESS"),
	passed("upstream.tokenHosts", "a list of host names, `*.` allowed in front", "UPSTREAM_TOKEN_HOSTS"),
	passed("upstream.blobHosts", "a list of host names, `*.` allowed in front", "UPSTREAM_BLOB_HOSTS"),
	passed("upstream.tagMaxAge", "a duration, for example 60s", "TAG_MAX_AGE"),
	{name: "singleHost", want: boolean, value: "false", meaning: "whether clients are only sent to the distribution: what its mirror does not have is relayed, up to 4 MiB a blob; requires `front` `cloudfront`", variable: "SINGLE_HOST"},
	passed("signatureUpstream", "scheme and host, for example https://us-docker.pkg.dev", "SIGNATURE_UPSTREAM_ENDPOINT"),
	passed("upstreamClouds", `a list of at least one cloud, or "none"`, "UPSTREAM_CLOUDS"),

	{name: "front", want: `"cloudfront", "alb" or "both"`, value: `"cloudfront"`, meaning: "what clients connect to: a CloudFront distribution, a load balancer in each redirector region, or both"},
	{name: "domain", want: "a host name, for example registry.example.com", otherwise: "none: the host name of the distribution; required for `alb` and `both`", meaning: "host name of the registry; that of the load balancers is `alb.DOMAIN`, which with `alb` the domain leads to"},
	{name: "domainPending", want: boolean, value: "false", meaning: "whether `domain` does not lead to the distribution yet, in the first deployment with `both`: until it does, load balancers redirect to a mirror's bucket instead of the distribution"},
	{name: "aliases", want: "a list of different host names", meaning: "more host names of the registry; those outside of `hostedZone` need `certificate`"},
	{name: "certificate", want: "an object of ACM certificate ARNs by region", otherwise: "one is created and validated in `hostedZone`", meaning: "existing certificates: that in us-east-1 for the distribution, with all host names; those in the redirector regions for load balancers, with `alb.DOMAIN` in addition"},
	{name: "priceClass", want: `"100", "200" or "all"`, value: `"all"`, meaning: "edge locations of the distribution: CloudFront's price class"},
	{name: "hostedZone", want: anObject, otherwise: "none: no records are created, and the outputs list those to create; required with `domain` unless `certificate` has all regions", meaning: "Route 53 hosted zone of `domain`"},
	{name: "hostedZone.id", want: "the ID of a hosted zone, for example Z0123456789ABCDEFGHIJ", required: true, meaning: "its ID"},
	{name: "hostedZone.name", want: "a domain name, for example example.com", required: true, meaning: "its domain name"},
	{name: "networks", want: "an object by redirector region", otherwise: "a VPC is created", meaning: "existing VPCs for the load balancers"},
	{name: "networks.REGION", want: anObject, meaning: "VPC for the load balancer in a redirector region"},
	{name: "networks.REGION.vpc", want: "a VPC ID, for example vpc-0123456789abcdef0", required: true, meaning: "ID of the VPC"},
	{name: "networks.REGION.subnets", want: "a list of two or more different subnet IDs, for example subnet-0123456789abcdef0", required: true, meaning: "public subnets in different availability zones"},
	{name: "networks.REGION.ipv6", want: boolean, value: "false", meaning: "whether the subnets have IPv6 blocks and a route for IPv6; otherwise the load balancer has IPv4 addresses only, and no AAAA record"},
	{name: "firewall", want: anObject, meaning: "AWS WAF rate limit per client address"},
	{name: "firewall.limit", want: "requests", limits: &[2]float64{100, 2e9}, value: "100000", meaning: "requests from one address within five minutes"},
	{name: "firewall.countOnly", want: boolean, value: "true", meaning: "whether requests above the limit are only counted; otherwise they are answered with 429"},
	{name: "accessLogs", want: boolean, value: "false", meaning: "whether the distribution logs requests, without anything about the client"},

	{name: "mirrorPrefix", want: "lower-case letters, digits and hyphens, without a hyphen at the beginning or end", otherwise: "`archeio-STAGE`", meaning: "prefix of all bucket names"},
	{name: "buckets", want: "an object of bucket names by mirror region", otherwise: "a bucket is created", meaning: "existing buckets that are mirrors under their own names; the stage does not change their settings, and preflight checks them"},
	{name: "mirrorURLs", want: "an object of base URLs by mirror region", otherwise: "the URL of the bucket", meaning: "mirrors that are read from another URL", variable: "MIRROR_URL_OVERRIDES"},
	passed("mirrorFor", "an object of mirror regions by client region", "MIRROR_FOR"),
	passed("mirrorCheckTimeout", "a duration, for example 500ms", "MIRROR_CHECK_TIMEOUT"),
	passed("mirrorHealthInterval", "a duration, for example 10s", "MIRROR_HEALTH_INTERVAL"),
	passed("mirrorIndexRefresh", `a duration, for example 5m, or "none"`, "MIRROR_INDEX_REFRESH"),
	passed("mirrorIndexMaxAge", "a duration of at least 12h, for example 24h", "MIRROR_INDEX_MAX_AGE"),
	passed("rangesRefresh", `a duration, for example 1h, or "none"`, "RANGES_REFRESH"),
	passed("rangesMaxAge", "a duration, for example 720h", "RANGES_MAX_AGE"),
	passed("failoverBudget", "requests per second and process", "FAILOVER_BUDGET"),

	{name: "fill", want: "an object, or false", value: "{}", meaning: "how functions fill the mirrors; with `false`, an operator does it with `archeio mirror copy`"},
	{name: "fill.schedule", want: `an EventBridge schedule, for example "rate(1 hour)" or "cron(0 0/6 * * ? *)"`, value: `"rate(1 hour)"`, meaning: "when the upstream and the mirrors are listed; runs must be at most 11 hours apart, or `mirrorIndexMaxAge` longer, because the blob index gets older between them"},
	{name: "fill.rate", want: "requests per second", limits: &[2]float64{0.1, 1e6}, value: "20", meaning: "maximum rate of requests to the upstream, of all workers together"},
	{name: "fill.workers", want: "workers", limits: &[2]float64{2, 1000}, value: "4", meaning: "how many workers run at the same time"},
	{name: "fill.referrers", want: boolean, value: "true", meaning: "whether the upstream is asked for the referrers of each manifest"},
	{name: "fill.repositories", want: "a list of names or patterns of repositories below upstream.path", otherwise: "all", meaning: "repositories to mirror; `*` is any part of a name, `**` any number of names. Names without a pattern need no listing of the registry"},
	{name: "fill.tags", want: "a list of patterns of tags", otherwise: "all", meaning: "tags to mirror; untagged manifests are then mirrored only if an image refers to them"},
	{name: "fill.excludeTags", want: "a list of patterns of tags", meaning: "tags not to mirror"},
	{name: "fill.platforms", want: "a list of patterns of platforms, for example linux/amd64", otherwise: "all", meaning: "platforms to mirror; without a variant all variants"},
	{name: "fill.allowEmpty", want: boolean, value: "false", meaning: "whether an upstream that does not exist yet is no error"},
	{name: "fill.secret", want: "the full ARN of a secret", meaning: "secret in the primary region that holds credentials for the upstream, as a Docker configuration file does"},
	{name: "publishes", want: boolean, value: "false", meaning: "whether anyone may pull from the mirrors what only a login can read from the upstream; must be true with `fill.secret`, or with a private Amazon ECR registry that functions fill the mirrors from"},

	{name: "release", want: anObject, otherwise: "none: a new version serves all traffic at once", meaning: "rollout of new redirector versions by CodeDeploy: smoke test, gradual traffic shift, rollback on alarms"},
	{name: "release.shift", want: "one of " + strings.Join(shifts, ", "), value: strconv.Quote(shifts[0]), meaning: "CodeDeploy configuration for the traffic shift"},
	{name: "release.after", want: "the name of another stage", meaning: "stage that must run the same code before this one is deployed"},

	{name: "email", want: "an email address", otherwise: "none; required with `budget`", meaning: "recipient of alarms and budget notifications; each region's subscription must be confirmed once"},
	{name: "canary", want: "an object, or false", otherwise: "`{}` with `email` and `fill`, else none", meaning: "a function in each redirector region that pulls an image through each entry point every five minutes"},
	{name: "canary.image", want: "NAME:TAG or NAME@DIGEST of an image, as clients name it", otherwise: "the smallest that the workers have seen; required without `fill`", meaning: "image that it pulls: manifest and smallest blob, 1 MiB a run, divided among the entry points"},
	{name: "downloadAlarm", want: "GB", limits: &[2]float64{1, 1e6}, value: "100", meaning: "downloads from one bucket within an hour above which an alarm fires"},
	{name: "budget", want: "US dollars", limits: &[2]float64{1, 1e7}, meaning: "monthly budget for the resources with the tag `" + Tag + "`; `email` is notified at 80 %, at 100 % and when 100 % is forecast"},
	{name: "architecture", want: `"` + strings.Join(build.Architectures(), `" or "`) + `"`, value: strconv.Quote(build.Architectures()[0]), meaning: "processor architecture of the functions"},
	{name: "memory", want: "MB", limits: &[2]float64{128, 10240}, value: "256", meaning: "memory of a redirector"},
	{name: "logRetention", want: "days, one of " + strings.Trim(strings.ReplaceAll(fmt.Sprint(retentions), " ", ", "), "[]"), value: "30", meaning: "how long log events are kept"},
	passed("logLevel", `"debug", "info", "warn" or "error"`, "LOG_LEVEL"),
	{name: "terminationProtection", want: boolean, value: "true", meaning: "whether the stacks are protected from deletion"},
	passed("infoURL", "an https URL", "INFO_URL"),
	passed("privacyURL", "an https URL", "PRIVACY_URL"),
	{name: "page", want: anObject, meaning: "what the function's own page at `/` shows in addition"},
	passed("page.title", "text of at most 80 characters without < and >", "PAGE_TITLE"),
	passed("page.contact", "an email address or an https URL", "PAGE_CONTACT"),
	passed("page.text", "text of at most 600 characters without < and >", "PAGE_TEXT"),
}

// passed returns a key that becomes a variable of the redirectors unchanged.
// Package config validates it and has its default.
func passed(name, want, variable string) key {
	k := key{name: name, want: want, meaning: "sets `" + variable + "`", variable: variable, passed: true}
	for _, v := range config.Variables {
		if v.Name != variable {
			continue
		}
		if k.otherwise = v.Otherwise; v.Default != "" {
			k.otherwise = "`" + v.Default + "`"
		}
	}
	return k
}

// comment is a key that is ignored.
const comment = "//"

// wanted returns what the value must be, with its limits and the keys in an object.
func (k *key) wanted() string {
	if k.limits != nil {
		return fmt.Sprintf("%s to %s %s", decimal(k.limits[0]), decimal(k.limits[1]), k.want)
	}
	if in := slices.Collect(within(k.name)); strings.HasPrefix(k.want, anObject) && len(in) > 0 && k.name != "networks" {
		return anObject + " with " + enumeration(in, "and") + strings.TrimPrefix(k.want, anObject)
	}
	return k.want
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// find returns the key with a name, nil if there is none.
func find(name string) *key {
	name = pattern(name)
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	if i < 0 {
		return nil
	}
	return &keys[i]
}

// pattern returns a name with REGION in place of a region.
func pattern(name string) string {
	parts := strings.Split(name, ".")
	if parts[0] == "networks" && len(parts) > 1 {
		parts[1] = "REGION"
	}
	return strings.Join(parts, ".")
}

// within yields the last parts of the names of the keys in an object, of the
// stage itself if parent is empty.
func within(parent string) iter.Seq[string] {
	parent = pattern(parent)
	return func(yield func(string) bool) {
		for _, k := range keys {
			i := strings.LastIndexByte(k.name, '.')
			if k.name[:max(i, 0)] == parent && !yield(k.name[i+1:]) {
				return
			}
		}
	}
}
