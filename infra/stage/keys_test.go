package stage

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"archeio/lambda/config"
)

const certificateARN = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"

// invalidValues are changes of the minimal stage, and what Load returns for them
// after the name of the stage. Three dots at the end stand for the rest of a long
// list.
var invalidValues = []struct{ name, changes, want string }{
	{"account-short", `{"account": "12345678901"}`, `account="12345678901": want an AWS account ID of 12 digits`},
	{"account-long", `{"account": "1234567890123"}`, `account="1234567890123": want an AWS account ID of 12 digits`},
	{"account-hyphens", `{"account": "1234-5678-9012"}`, `account="1234-5678-9012": want an AWS account ID of 12 digits`},
	{"account-empty", `{"account": ""}`, `account="": want an AWS account ID of 12 digits`},
	{"mirror-unknown", `{"mirrors": ["eu-central-1", "eu-centrall-1"]}`, `mirrors: unknown region "eu-centrall-1" (did you mean "eu-central-1"?): want AWS regions, at least one and each once`},
	{"mirror-of-another-cloud", `{"mirrors": ["europe-west1"]}`, `mirrors: unknown region "europe-west1": want AWS regions, at least one and each once`},
	{"mirror-twice", `{"mirrors": ["eu-central-1", "us-east-1", "eu-central-1"]}`, `mirrors: duplicate region "eu-central-1": want each region once`},
	{"mirror-in-china", `{"mirrors": ["eu-central-1", "cn-north-1"]}`, `mirrors: region "cn-north-1" is in the partition aws-cn: want regions of the partition aws; mirrorFor redirects its clients to a mirror`},
	{"mirror-of-government", `{"mirrors": ["us-gov-west-1"]}`, `mirrors: region "us-gov-west-1" is in the partition aws-us-gov: want regions of the partition aws; mirrorFor redirects its clients to a mirror`},
	{"mirrors-empty", `{"mirrors": []}`, `mirrors: invalid list: want AWS regions, at least one and each once`},
	{"redirector-unknown", `{"redirectors": ["us-east-9"]}`, `redirectors: unknown region "us-east-9" (did you mean "us-east-1"?): want AWS regions, at least one and each once`},
	{"redirector-twice", `{"redirectors": ["us-east-1", "us-east-1"]}`, `redirectors: duplicate region "us-east-1": want each region once`},
	{"redirector-in-china", `{"redirectors": ["cn-northwest-1"]}`, `redirectors: region "cn-northwest-1" is in the partition aws-cn: want regions of the partition aws; mirrorFor redirects its clients to a mirror`},
	{"redirector-without-urls", `{"redirectors": ["us-east-1", "ca-west-1"]}`, `redirectors: "ca-west-1" has no Lambda function URLs, which the distribution needs: want other regions, or the front "alb"`},
	{"redirector-without-urls-both", `{"front": "both", "domain": "example.com", ` + withZone + `, "redirectors": ["mx-central-1"]}`, `redirectors: "mx-central-1" has no Lambda function URLs, which the distribution needs: want other regions, or the front "alb"`},
	{"redirectors-empty", `{"redirectors": []}`, `redirectors: invalid list: want AWS regions, at least one and each once`},
	{"primary-elsewhere", `{"primary": "us-east-1"}`, `primary: "us-east-1" is not in mirrors: want one of the regions in mirrors`},
	{"primary-empty", `{"primary": ""}`, `primary: "" is not in mirrors: want one of the regions in mirrors`},
	{"home-unknown", `{"home": "eu-centrall-1"}`, `home: unknown region "eu-centrall-1" (did you mean "eu-central-1"?): want an AWS region`},
	{"home-in-china", `{"home": "cn-north-1"}`, `home: region "cn-north-1" is in the partition aws-cn: want regions of the partition aws; mirrorFor redirects its clients to a mirror`},
	{"filling-elsewhere", `{"filling": ["us-east-1"]}`, `filling: "us-east-1" is not in mirrors: want regions in mirrors, each once`},
	{"filling-text", `{"filling": "us-east-1"}`, `filling="us-east-1": want regions in mirrors, each once`},
	{"filling-primary", `{"filling": ["eu-central-1"]}`, `filling: "eu-central-1" is the primary, which is always redirected to: want other mirrors`},
	{"filling-twice", `{"mirrors": ["eu-central-1", "us-east-1"], "filling": ["us-east-1", "us-east-1"]}`, `filling: duplicate region "us-east-1": want each region once`},
	{"retiring-elsewhere", `{"retiring": ["us-east-1"]}`, `retiring: "us-east-1" is not in mirrors: want regions in mirrors, each once`},
	{"retiring-primary", `{"mirrors": ["eu-central-1", "us-east-1"], "retiring": ["eu-central-1"]}`, `retiring: "eu-central-1" is the primary, which cannot be retired: make another mirror the primary and deploy that first`},
	{"retiring-twice", `{"mirrors": ["eu-central-1", "us-east-1"], "retiring": ["us-east-1", "us-east-1"]}`, `retiring: duplicate region "us-east-1": want each region once`},
	{"filling-and-retiring", `{"mirrors": ["eu-central-1", "us-east-1"], "filling": ["us-east-1"], "retiring": ["us-east-1"]}`, `retiring: "us-east-1" is in filling too: want it in one of them`},
	{"mirror-for-filling", `{"mirrors": ["eu-central-1", "us-east-1"], "filling": ["us-east-1"], "mirrorFor": {"cn-north-1": "us-east-1"}}`, `mirrorFor="cn-north-1:us-east-1": "us-east-1" is not in mirrors: want client-region:mirror-region`},
	{"canary-text", `{"canary": "pause:3.9"}`, `canary="pause:3.9": want an object with image, or false`},
	{"canary-image-without-tag", `{"canary": {"image": "pause"}}`, `canary.image="pause": want NAME:TAG or NAME@DIGEST of an image, as clients name it`},
	{"canary-image-with-host", `{"canary": {"image": "registry.example:443/pause:3.9"}}`, `canary.image="registry.example:443/pause:3.9": want NAME:TAG or NAME@DIGEST of an image, as clients name it`},
	{"canary-image-missing", `{"canary": {}, "fill": false}`, `canary.image: missing: required with "fill": false: want NAME:TAG or NAME@DIGEST of an image, as clients name it`},
	{"front-unknown", `{"front": "nginx"}`, `front="nginx": want "cloudfront", "alb" or "both"`},
	{"front-case", `{"front": "ALB"}`, `front="ALB": want "cloudfront", "alb" or "both"`},
	{"alb-without-domain", `{"front": "alb"}`, `domain: missing: required for load balancers: want a host name, for example registry.example.com`},
	{"both-without-domain", `{"front": "both"}`, `domain: missing: required for load balancers: want a host name, for example registry.example.com`},
	{"alb-without-domain-but-zone", `{"front": "alb", ` + withZone + `}`, `domain: missing: required for load balancers: want a host name, for example registry.example.com`},
	{"alb-without-zone", `{"front": "alb", "domain": "registry.example.com"}`, `hostedZone: missing: required with domain, unless certificate has ARNs for eu-central-1: want an object with id and name`},
	{"domain-without-zone", `{"domain": "registry.example.com"}`, `hostedZone: missing: required with domain, unless certificate has ARNs for us-east-1: want an object with id and name`},
	{"both-without-zone", `{"front": "both", "domain": "registry.example.com", "certificate": {"us-east-1": "` + certificateARN + `"}}`, `hostedZone: missing: required with domain, unless certificate has ARNs for us-east-1 and eu-central-1: want an object with id and name`},
	{"certificate-text", `{"domain": "registry.example.com", "certificate": "` + certificateARN + `"}`, `certificate="` + certificateARN + `": want an object of ACM certificate ARNs by region`},
	{"certificate-of-another-region", `{"domain": "registry.example.com", "certificate": {"us-east-1": "` + strings.Replace(certificateARN, "us-east-1", "eu-west-1", 1) + `"}}`, `certificate: invalid ARN "` + strings.Replace(certificateARN, "us-east-1", "eu-west-1", 1) + `" in us-east-1: want for example arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef`},
	{"certificate-elsewhere", `{"domain": "registry.example.com", "certificate": {"eu-central-1": "` + certificateARN + `"}}`, `certificate: "eu-central-1" has no effect: want us-east-1`},
	{"certificate-without-domain", `{"certificate": {"us-east-1": "` + certificateARN + `"}}`, `certificate: has no effect without domain: set that or remove this`},
	{"aliases-without-domain", `{"aliases": ["a.example.com"]}`, `aliases: has no effect without domain: set that or remove this`},
	{"aliases-domain", `{"domain": "a.example.com", ` + withZone + `, "aliases": ["a.example.com"]}`, `aliases: invalid list: want a list of different host names`},
	{"aliases-wildcard", `{"domain": "a.example.com", ` + withZone + `, "aliases": ["*.example.com"]}`, `aliases: invalid list: want a list of different host names`},
	{"aliases-outside-the-zone", `{"domain": "a.example.com", ` + withZone + `, "aliases": ["a.example.org"]}`, `aliases: "a.example.org" is not in the hosted zone example.com: want a host name in it, or certificate with ARNs for us-east-1`},
	{"price-class", `{"priceClass": "300"}`, `priceClass="300": want "100", "200" or "all"`},
	{"zone-without-domain", `{` + withZone + `}`, `hostedZone: has no effect without domain: set that or remove this`},
	{"domain-outside-the-zone", `{"domain": "registry.example.org", ` + withZone + `}`, `domain="registry.example.org": not in the hosted zone example.com: want a host name in it, or certificate with ARNs for us-east-1`},
	{"domain-only-ends-like-the-zone", `{"domain": "my-example.com", ` + withZone + `}`, `domain="my-example.com": not in the hosted zone example.com: want a host name in it, or certificate with ARNs for us-east-1`},
	{"domain-is-above-the-zone", `{"domain": "com.com", "hostedZone": {"id": "Z1A", "name": "example.com.com"}}`, `domain="com.com": not in the hosted zone example.com.com: want a host name in it, or certificate with ARNs for us-east-1`},
	{"domain-with-scheme", `{"domain": "https://registry.example.com", ` + withZone + `}`, `domain="https://registry.example.com": want a host name, for example registry.example.com`},
	{"domain-upper-case", `{"domain": "Registry.example.com", ` + withZone + `}`, `domain="Registry.example.com": want a host name, for example registry.example.com`},
	{"domain-with-dot", `{"domain": "registry.example.com.", ` + withZone + `}`, `domain="registry.example.com.": want a host name, for example registry.example.com`},
	{"domain-wildcard", `{"domain": "*.example.com", ` + withZone + `}`, `domain="*.example.com": want a host name, for example registry.example.com`},
	{"zone-id", `{"domain": "a.example.com", "hostedZone": {"id": "/hostedzone/Z1A", "name": "example.com"}}`, `hostedZone.id="/hostedzone/Z1A": want the ID of a hosted zone, for example Z0123456789ABCDEFGHIJ`},
	{"zone-no-id", `{"domain": "a.example.com", "hostedZone": {"name": "example.com"}}`, `hostedZone.id: missing: want the ID of a hosted zone, for example Z0123456789ABCDEFGHIJ`},
	{"zone-no-name", `{"domain": "a.example.com", "hostedZone": {"id": "Z1A"}}`, `hostedZone.name: missing: want a domain name, for example example.com`},
	{"prefix-upper-case", `{"mirrorPrefix": "Images"}`, `mirrorPrefix="Images": want lower-case letters, digits and hyphens, without a hyphen at the beginning or end`},
	{"prefix-dot", `{"mirrorPrefix": "my.images"}`, `mirrorPrefix="my.images": want lower-case letters, digits and hyphens, without a hyphen at the beginning or end`},
	{"prefix-hyphen-first", `{"mirrorPrefix": "-images"}`, `mirrorPrefix="-images": want lower-case letters, digits and hyphens, without a hyphen at the beginning or end`},
	{"prefix-hyphen-last", `{"mirrorPrefix": "images-"}`, `mirrorPrefix="images-": want lower-case letters, digits and hyphens, without a hyphen at the beginning or end`},
	{"prefix-empty", `{"mirrorPrefix": ""}`, `mirrorPrefix="": want lower-case letters, digits and hyphens, without a hyphen at the beginning or end`},
	{"prefix-too-long", `{"fill": false, "rangesRefresh": "none", "mirrorPrefix": "` + strings.Repeat("i", 35) + `"}`, `mirrorPrefix: the bucket name "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-123456789012-eu-central-1-an" is longer than the 63 characters that S3 allows: want at most 34 characters`},
	{"prefix-too-long-in-one", `{"fill": false, "rangesRefresh": "none", "mirrorPrefix": "` + strings.Repeat("i", 39) + `", "mirrors": ["us-east-1", "ap-southeast-1", "me-south-1"]}`, `mirrorPrefix: the bucket name "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-123456789012-ap-southeast-1-an" is longer than the 63 characters that S3 allows: want at most 32 characters`},
	{"prefix-too-long-for-state", `{"mirrorPrefix": "` + strings.Repeat("i", 29) + `"}`, `mirrorPrefix: the bucket name "iiiiiiiiiiiiiiiiiiiiiiiiiiiii-state-123456789012-eu-central-1-an" is longer than the 63 characters that S3 allows: want at most 28 characters`},
	{"prefix-too-long-for-mirror", `{"mirrorPrefix": "` + strings.Repeat("i", 34) + `", "mirrors": ["me-south-1", "ap-southeast-1"]}`, `mirrorPrefix: the bucket name "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-123456789012-ap-southeast-1-an" is longer than the 63 characters that S3 allows: want at most 32 characters`},
	{"architecture", `{"architecture": "amd64"}`, `architecture="amd64": want "arm64" or "x86_64"`},
	{"memory-low", `{"memory": 127}`, `memory=127: want 128 to 10240 MB`},
	{"memory-high", `{"memory": 10241}`, `memory=10241: want 128 to 10240 MB`},
	{"retention-odd", `{"logRetention": 31}`, `logRetention=31: want days, one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653`},
	{"retention-none", `{"logRetention": 0}`, `logRetention=0: want days, one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653`},
	{"network-elsewhere", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"us-east-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "subnet-4567cdef"]}}}`, `networks: "us-east-1" is not in redirectors: want an object by redirector region`},
	{"network-no-vpc", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": {"subnets": ["subnet-0123abcd", "subnet-4567cdef"]}}}`, `networks.eu-central-1.vpc: missing: want a VPC ID, for example vpc-0123456789abcdef0`},
	{"network-one-subnet", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd"]}}}`, `networks.eu-central-1.subnets: invalid list: want a list of two or more different subnet IDs, for example subnet-0123456789abcdef0`},
	{"network-odd-vpc", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": {"vpc": "vpc-main", "subnets": ["subnet-0123abcd", "subnet-4567cdef"]}}}`, `networks.eu-central-1.vpc="vpc-main": want a VPC ID, for example vpc-0123456789abcdef0`},
	{"network-odd-subnet", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "public"]}}}`, `networks.eu-central-1.subnets: invalid list: want a list of two or more different subnet IDs, for example subnet-0123456789abcdef0`},
	{"network-subnet-twice", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "subnet-0123abcd"]}}}`, `networks.eu-central-1.subnets: invalid list: want a list of two or more different subnet IDs, for example subnet-0123456789abcdef0`},
	{"network-without-balancer", `{"networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "subnet-4567cdef"]}}}`, `networks: has no effect without load balancers: remove it, or set front to "alb" or "both"`},
	{"upstream-no-endpoint", `{"upstream": {"path": "images"}}`, `upstream.endpoint: missing: want scheme and host, for example https://us-docker.pkg.dev`},
	{"upstream-http", `{"upstream": {"endpoint": "http://registry.example.com"}}`, `upstream.endpoint="http://registry.example.com": not https: want an https URL (http only for loopback addresses)`},
	{"upstream-with-path", `{"upstream": {"endpoint": "https://registry.example.com/images"}}`, `upstream.endpoint="https://registry.example.com/images": has a path: want scheme and host only, for example https://registry.example.com`},
	{"upstream-path", `{"upstream": {"endpoint": "https://registry.example.com", "path": "/images/"}}`, `upstream.path="/images/": invalid repository name: want lower case and no slash at the beginning or end, for example project/images`},
	{"regional-elsewhere", `{"upstream": {"endpoint": "https://a.example", "regional": {"us-east-1": "https://b.example"}}}`, `upstream.regional: "us-east-1" is not in redirectors: want an object of endpoints by redirector region`},
	{"regional-http", `{"upstream": {"endpoint": "https://a.example", "regional": {"eu-central-1": "http://b.example"}}}`, `upstream.regional.eu-central-1="http://b.example": not https: want an https URL (http only for loopback addresses)`},
	{"url-elsewhere", `{"mirrorURLs": {"us-east-1": "https://localhost/mirror"}}`, `mirrorURLs: "us-east-1" is not in mirrors: want an object of base URLs by mirror region`},
	{"url-no-host", `{"mirrorURLs": {"eu-central-1": "mirror"}}`, `mirrorURLs.eu-central-1="mirror": not a URL: want https://host or https://host/path; mirrorURLs="eu-central-1=mirror": "eu-central-1=mirror": not a URL: want https://host or https://host/path`},
	{"url-http", `{"mirrorURLs": {"eu-central-1": "http://mirror.example"}}`, `mirrorURLs.eu-central-1="http://mirror.example": not https: want an https URL (http only for loopback addresses); mirror...`},
	{"bucket-elsewhere", `{"buckets": {"us-east-1": "images"}}`, `buckets: "us-east-1" is not in mirrors: want an object of bucket names by mirror region`},
	{"bucket-list", `{"buckets": ["images"]}`, `buckets: invalid list: want an object of bucket names by mirror region`},
	{"fill-true", `{"fill": true}`, `fill=true: want an object with schedule, rate, workers, referrers, repositories, tags, excludeTags, platforms, allowEmpty and secret, or false`},
	{"fill-text", `{"fill": "rate(1 hour)"}`, `fill="rate(1 hour)": want an object with schedule, rate, workers, referrers, repositories, tags, excludeTags, platforms, allowEmpty and secret, or false`},
	{"fill-other-key", `{"fill": {"email": "a@example.com"}}`, `fill.email: unknown key: want schedule, rate, workers, referrers, repositories, tags, exclud...`},
	{"fill-schedule-empty", `{"fill": {"schedule": ""}}`, `fill.schedule="": want an EventBridge schedule, for example "rate(1 hour)" or "cron(0 0/6 * * ? *)"`},
	{"fill-schedule-word", `{"fill": {"schedule": "hourly"}}`, `fill.schedule="hourly": want an EventBridge schedule, for example "rate(1 hour)" or "cron(0 0/6 * * ? *)"`},
	{"fill-schedule-seconds", `{"fill": {"schedule": "rate(30 seconds)"}}`, `fill.schedule="rate(30 seconds)": want an EventBridge schedule, for example "rate(1 hour)" or "cron(0 0/6 * * ? *)"`},
	{"fill-schedule-one-hours", `{"fill": {"schedule": "rate(1 hours)"}}`, `fill.schedule="rate(1 hours)": want an EventBridge schedule, for example "rate(1 hour)" or "cron(0 0/6 * * ? *)"`},
	{"fill-schedule-two-hour", `{"fill": {"schedule": "rate(2 hour)"}}`, `fill.schedule="rate(2 hour)": want an EventBridge schedule, for example "rate(1 hour)" or "cron(0 0/6 * * ? *)"`},
	{"fill-schedule-zero", `{"fill": {"schedule": "rate(0 hours)"}}`, `fill.schedule="rate(0 hours)": want an EventBridge schedule, for example "rate(1 hour)" or "cron(0 0/6 * * ? *)"`},
	{"fill-schedule-five-fields", `{"fill": {"schedule": "cron(0 6 * * ?)"}}`, `fill.schedule="cron(0 6 * * ?)": want an EventBridge schedule, for example "rate(1 hour)" or "cron(0 0/6 * * ? *)"`},
	{"fill-schedule-both-days", `{"fill": {"schedule": "cron(0 6 * * * *)"}}`, `fill.schedule="cron(0 6 * * * *)": want an EventBridge schedule, for example "rate(1 hour)" or "cron(0 0/6 * * ? *)"`},
	{"fill-schedule-no-days", `{"fill": {"schedule": "cron(0 6 ? * ? *)"}}`, `fill.schedule="cron(0 6 ? * ? *)": want an EventBridge schedule, for example "rate(1 hour)" or "cron(0 0/6 * * ? *)"`},
	{"fill-schedule-daily", `{"fill": {"schedule": "rate(1 day)"}}`, `fill.schedule="rate(1 day)": the blob index would be up to 24h old, and redirectors use none older than 12h: want runs at most 11h apart, for example "rate(1 hour)", or mirrorIndexMaxAge of at least 25h, or mirrorIndexRefresh "none" for no index`},
	{"fill-schedule-daily-cron", `{"fill": {"schedule": "cron(0 6 * * ? *)"}, "mirrorIndexMaxAge": "24h"}`, `fill.schedule="cron(0 6 * * ? *)": the blob index would be up to 24h old, and redirectors use none older than 24h: want runs at most 11h apart, for example "rate(1 hour)", or mirrorIndexMaxAge of at least 25h, or mirrorIndexRefresh "none" for no index`},
	{"fill-schedule-by-day", `{"fill": {"schedule": "cron(0 8-17 * * ? *)"}}`, `fill.schedule="cron(0 8-17 * * ? *)": the blob index would be up to 24h old, and redirectors use none older than 12h: want runs at most 11h apart, for example "rate(1 hour)", or mirrorIndexMaxAge of at least 25h, or mirrorIndexRefresh "none" for no index`},
	{"fill-schedule-weekdays", `{"fill": {"schedule": "cron(0 * ? * MON-FRI *)"}, "mirrorIndexMaxAge": "96h"}`, `fill.schedule="cron(0 * ? * MON-FRI *)": does not run every day, so the blob index would be too old: want runs at most 11h apart, for example "rate(1 hour)", or mirrorIndexRefresh "none" for no index`},
	{"fill-schedule-two-lines", `{"fill": {"schedule": "rate(1 hour)\nrate(2 hours)"}}`, `fill.schedule="rate(1 hour)\nrate(2 hours)": want an EventBridge schedule, for example "rate(1 hour)" or "cron(0 0/6 * * ? *)"`},
	{"fill-rate-zero", `{"fill": {"rate": 0}}`, `fill.rate=0: want 0.1 to 1000000 requests per second`},
	{"fill-rate-negative", `{"fill": {"rate": -1}}`, `fill.rate=-1: want 0.1 to 1000000 requests per second`},
	{"fill-rate-tiny", `{"fill": {"rate": 5e-324}}`, `fill.rate=5e-324: want 0.1 to 1000000 requests per second`},
	{"fill-rate-large", `{"fill": {"rate": 1000001}}`, `fill.rate=1000001: want 0.1 to 1000000 requests per second`},
	{"fill-rate-text", `{"fill": {"rate": "20"}}`, `fill.rate="20": want 0.1 to 1000000 requests per second`},
	{"fill-workers-one", `{"fill": {"workers": 1}}`, `fill.workers=1: want 2 to 1000 workers`},
	{"fill-workers-many", `{"fill": {"workers": 1001}}`, `fill.workers=1001: want 2 to 1000 workers`},
	{"fill-workers-fraction", `{"fill": {"workers": 2.5}}`, `fill.workers=2.5: want 2 to 1000 workers`},
	{"fill-referrers", `{"fill": {"referrers": "yes"}}`, `fill.referrers="yes": want true or false`},
	{"fill-repositories-text", `{"fill": {"repositories": "pause"}}`, `fill.repositories="pause": want a list of names or patterns of repositories below upstream.path`},
	{"fill-repositories-empty", `{"fill": {"repositories": []}}`, `fill.repositories: invalid list: want a list of names or patterns of repositories below upstream.path`},
	{"fill-repositories-comma", `{"fill": {"repositories": ["a,b"]}}`, `fill.repositories: invalid list: want a list of names or patterns of repositories below upstream.path`},
	{"fill-tags-pattern", `{"fill": {"tags": ["v1.["]}}`, `fill.tags: invalid list: want a list of patterns of tags`},
	{"fill-exclude-tags", `{"fill": {"excludeTags": [""]}}`, `fill.excludeTags: invalid list: want a list of patterns of tags`},
	{"fill-platforms", `{"fill": {"platforms": ["/amd64"]}}`, `fill.platforms: invalid list: want a list of patterns of platforms, for example linux/amd64`},
	{"fill-allow-empty", `{"fill": {"allowEmpty": "yes"}}`, `fill.allowEmpty="yes": want true or false`},
	{"publishes-text", `{"publishes": "yes"}`, `publishes="yes": want true or false`},
	{"publishes-missing", `{"fill": {"secret": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:upstream-AbCdEf"}}`, `publishes: fill.secret is a login, and mirrors are public, so anyone could pull what it can read: want true if that is intended`},
	{"publishes-false", `{"publishes": false, "upstream": {"endpoint": "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"}}`, `publishes: the upstream is a private registry, and mirrors are public, so anyone could pull what it can read: want true if that is intended`},
	{"fill-secret-name", `{"publishes": true, "fill": {"secret": "upstream"}}`, `fill.secret="upstream": want the full ARN of a secret, for example arn:aws:secretsmanager:eu-central-1:123456789012:secret:NAME-AbCdEf`},
	{"fill-secret-half", `{"publishes": true, "fill": {"secret": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:upstream"}}`, `fill.secret="arn:aws:secretsmanager:eu-central-1:123456789012:secret:upstream": want the full ARN of a secret, for example arn:aws:secretsmanager:eu-central-1:123456789012:secret:NAME-AbCdEf`},
	{"fill-secret-elsewhere", `{"publishes": true, "fill": {"secret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:upstream-AbCdEf"}}`, `fill.secret="arn:aws:secretsmanager:us-east-1:123456789012:secret:upstream-AbCdEf": want the full ARN of a secret, for example arn:aws:secretsmanager:eu-central-1:123456789012:secret:NAME-AbCdEf`},
	{"fill-secret-of-others", `{"publishes": true, "fill": {"secret": "arn:aws:secretsmanager:eu-central-1:210987654321:secret:upstream-AbCdEf"}}`, `fill.secret="arn:aws:secretsmanager:eu-central-1:210987654321:secret:upstream-AbCdEf": want the full ARN of a secret, for example arn:aws:secretsmanager:eu-central-1:123456789012:secret:NAME-AbCdEf`},
	{"fill-secret-any", `{"publishes": true, "fill": {"secret": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:*-AbCdEf"}}`, `fill.secret="arn:aws:secretsmanager:eu-central-1:123456789012:secret:*-AbCdEf": want the full ARN of a secret, for example arn:aws:secretsmanager:eu-central-1:123456789012:secret:NAME-AbCdEf`},
	{"fill-secret-parameter", `{"publishes": true, "fill": {"secret": "arn:aws:ssm:eu-central-1:123456789012:parameter/upstream"}}`, `fill.secret="arn:aws:ssm:eu-central-1:123456789012:parameter/upstream": want the full ARN of a secret, for example arn:aws:secretsmanager:eu-central-1:123456789012:secret:NAME-AbCdEf`},
	{"fill-source", `{"upstream": {"endpoint": "http://[::1]:5000"}}`, `upstream.endpoint="[::1]:5000": invalid source: want REGISTRY or REGISTRY/PREFIX without a scheme, for example us-docker.pkg.dev/project/images`},
	{"email-word", `{"email": "operators"}`, `email="operators": want an email address`},
	{"email-two", `{"email": "a@example.com,b@example.com"}`, `email="a@example.com,b@example.com": want an email address`},
	{"email-list", `{"email": ["a@example.com"]}`, `email: invalid list: want an email address`},
	{"email-two-lines", `{"email": "a@example.com\nb@example.com"}`, `email="a@example.com\nb@example.com": want an email address`},
	{"email-empty", `{"email": ""}`, `email="": want an email address`},
	{"download-alarm-none", `{"downloadAlarm": 0}`, `downloadAlarm=0: want 1 to 1000000 GB`},
	{"download-alarm-large", `{"downloadAlarm": 1000001}`, `downloadAlarm=1000001: want 1 to 1000000 GB`},
	{"download-alarm-text", `{"downloadAlarm": "100"}`, `downloadAlarm="100": want 1 to 1000000 GB`},
	{"budget-without-email", `{"budget": 100}`, `email: missing: required with budget: want an email address`},
	{"budget-none", `{"email": "a@example.com", "budget": 0}`, `budget=0: want 1 to 10000000 US dollars`},
	{"budget-large", `{"email": "a@example.com", "budget": 10000001}`, `budget=10000001: want 1 to 10000000 US dollars`},
	{"budget-text", `{"email": "a@example.com", "budget": "100"}`, `budget="100": want 1 to 10000000 US dollars`},
	{"pending-text", `{"front": "both", "domain": "a.example.com", "domainPending": "yes", ` + withZone + `}`, `domainPending="yes": want true or false`},
	{"pending-cloudfront", `{"domain": "a.example.com", "domainPending": true, ` + withZone + `}`, `domainPending: has no effect unless front is "both": remove it`},
	{"access-logs-text", `{"accessLogs": "yes"}`, `accessLogs="yes": want true or false`},
	{"access-logs-balanced", `{"accessLogs": true, "front": "alb", "domain": "a.example.com", ` + withZone + `}`, `accessLogs=true: logs of load balancers always have the client address: want false, or a front with a distribution`},
	{"firewall-limit-low", `{"firewall": {"limit": 99}}`, `firewall.limit=99: want 100 to 2000000000 requests`},
	{"firewall-limit-large", `{"firewall": {"limit": 2000000001}}`, `firewall.limit=2000000001: want 100 to 2000000000 requests`},
	{"firewall-true", `{"firewall": true}`, `firewall=true: want an object with limit and countOnly`},
	{"firewall-other-key", `{"firewall": {"block": true}}`, `firewall.block: unknown key: want limit or countOnly`},
	{"firewall-count-text", `{"firewall": {"countOnly": "no"}}`, `firewall.countOnly="no": want true or false`},
	{"release-true", `{"release": true}`, `release=true: want an object with shift and after`},
	{"release-other-key", `{"release": {"gradual": true}}`, `release.gradual: unknown key: want shift or after`},
	{"release-shift-unknown", `{"release": {"shift": "Canary50Percent5Minutes"}}`, `release.shift="Canary50Percent5Minutes": unknown traffic shift (did you mean "Canary10Percent5Minutes"?): want one of Canary10Percent5Minutes, Canary10Percent10Minute...`},
	{"release-shift-whole", `{"release": {"shift": "CodeDeployDefault.LambdaAllAtOnce"}}`, `release.shift="CodeDeployDefault.LambdaAllAtOnce": unknown traffic shift: want one of Canary10Percent5Minutes, Canary10Percent10Minute...`},
	{"release-shift-empty", `{"release": {"shift": ""}}`, `release.shift="": unknown traffic shift: want one of Canary10Percent5Minutes, Canary10Percent10Minute...`},
	{"release-after-unknown", `{"release": {"after": "sandbox"}}`, `release.after="sandbox": unknown stage: want the name of another stage`},
	{"release-after-itself", `{"release": {"after": "test"}}`, `release.after="test": is this stage: want the name of another stage`},
	{"signature-upstream", `{"signatureUpstream": "registry.example"}`, `signatureUpstream="registry.example": not a URL: want https://host or https://host/path`},
	{"mirror-for-unknown", `{"mirrorFor": {"cn-north-1": "ap-east-1"}}`, `mirrorFor="cn-north-1:ap-east-1": "ap-east-1" is not in mirrors: want client-region:mirror-region`},
	{"mirror-for-number", `{"mirrorFor": {"cn-north-1": 1}}`, `mirrorFor: invalid object: want an object of mirror regions by client region`},
	{"clouds", `{"upstreamClouds": ["Mars"]}`, `upstreamClouds="Mars": unknown cloud "Mars": want AWS, GCP...`},
	{"clouds-empty", `{"upstreamClouds": []}`, `upstreamClouds: invalid list: want a list of at least one cloud, or "none"`},
	{"check-timeout", `{"mirrorCheckTimeout": "fast"}`, `mirrorCheckTimeout="fast": not a duration: want a number with a unit, for example 500ms or 10s`},
	{"check-timeout-number", `{"mirrorCheckTimeout": 1}`, `mirrorCheckTimeout="1": not a duration: want a number with a unit, for example 500ms or 10s`},
	{"health-interval", `{"mirrorHealthInterval": "-1s"}`, `mirrorHealthInterval="-1s": not positive: want a duration above 0, for example 500ms or 10s`},
	{"index-refresh", `{"mirrorIndexRefresh": "often"}`, `mirrorIndexRefresh="often": not a duration: want a number with a unit, for example 500ms or 10s`},
	{"index-max-age", `{"mirrorIndexMaxAge": "none"}`, `mirrorIndexMaxAge="none": not a duration: want a number with a unit, for example 500ms or 10s`},
	{"index-max-age-short", `{"mirrorIndexMaxAge": "11h59m"}`, `mirrorIndexMaxAge="11h59m": want at least 12h, in which the planner lists all mirrors`},
	{"ranges-refresh", `{"rangesRefresh": "1"}`, `rangesRefresh="1": not a duration: want a number with a unit, for example 500ms or 10s`},
	{"ranges-max-age", `{"rangesMaxAge": "none"}`, `rangesMaxAge="none": not a duration: want a number with a unit, for example 500ms or 10s`},
	{"failover-budget", `{"failoverBudget": -1}`, `failoverBudget="-1": invalid rate: want requests per second, from 0 to 1000000`},
	{"info-url", `{"infoURL": "http://example.com"}`, `infoURL="http://example.com": not https: want an https URL (http only for loopback addresses)`},
	{"page-text", `{"page": "Images"}`, `page="Images": want an object with title, contact and text`},
	{"page-unknown", `{"page": {"titel": "Images"}}`, `page.titel: unknown key: did you mean "title"?`},
	{"page-markup", `{"page": {"text": "<script>alert(1)</script>"}}`, `page.text="<script>alert(1)</script>": has markup, line breaks or control characters: want plain text without < and >`},
	{"page-megabyte", `{"page": {"text": "` + strings.Repeat("<", 1<<20) + `"}}`, `page.text="<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<": too long: want at most 600 characters, got 1048576`},
	{"page-title", `{"page": {"title": " a"}}`, `page.title=" a": has spaces at the beginning or end: want text without them`},
	{"page-contact", `{"page": {"contact": "javascript://a"}}`, `page.contact="javascript://a": not https: want an https URL (http only for loopback addresses)`},
	{"page-with-info-url", `{"infoURL": "https://example.com/", "page": {}}`, `page: has no effect with infoURL: remove one of them`},
	{"privacy-url", `{"privacyURL": "javascript:alert(1)"}`, `privacyURL="javascript:alert(1)": not https: want an https URL (http only for loopback addresses)`},
	{"log-level", `{"logLevel": "loud"}`, `logLevel="loud": unknown level: want debug, info, warn or error`},
	{"nested-unknown-key", `{"upstream": {"endpoint": "https://a.example", "pth": "images"}}`, `upstream.pth: unknown key: did you mean "path"?`},
	{"nested-unknown-network", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnet": []}}}`, "networks.eu-central-1.subnet: unknown key: did you mean \"subnets\"?\nnetworks.eu-central-1.subnets: missing: want a list of two or more different subnet IDs, for example subnet-0123456789abcdef0"},
	{"network-number", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": 1}}`, `networks.eu-central-1=1: want an object with vpc, subnets and ipv6`},
	{"network-odd-ipv6", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "subnet-4567cdef"], "ipv6": "yes"}}}`, `networks.eu-central-1.ipv6="yes": want true or false`},
	{"network-misspelled-region", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-2": {}}}`, `networks: "eu-central-2" is not in redirectors (did you mean "eu-central-1"?): want an object by redirector region`},
	{"upstream-pkg-dev-no-path", `{"upstream": {"endpoint": "https://us-docker.pkg.dev"}}`, `upstream.path="": required for *.pkg.dev endpoints: want PROJECT/REPOSITORY, for example project/images`},
	{"regional-pkg-dev-no-path", `{"upstream": {"endpoint": "https://a.example", "regional": {"eu-central-1": "https://us-docker.pkg.dev"}}}`, `upstream.path="": required for *.pkg.dev endpoints: want PROJECT/REPOSITORY, for example project/images`},
	{"upstream-access", `{"upstream": {"endpoint": "https://a.example", "access": "tokn"}}`, `upstream.access="tokn": unknown access (did you mean "token"?): want open or token`},
	{"upstream-access-known", `{"upstream": {"endpoint": "https://ghcr.io"}}`, `upstream.access="": GHCR requires a token for public images too: want token`},
	{"upstream-alias", `{"upstream": {"endpoint": "https://docker.io", "access": "token"}}`, `upstream.endpoint="https://docker.io": Docker Hub does not serve its registry API here: want https://registry-1.docker.io`},
	{"upstream-token-hosts", `{"upstream": {"endpoint": "https://a.example", "access": "token", "tokenHosts": ["https://b.example"]}}`, `upstream.tokenHosts="https://b.example": invalid host "https://b.example": want DNS names in lower case without...`},
	{"upstream-blob-hosts", `{"upstream": {"endpoint": "https://a.example", "blobHosts": ["b.example"]}}`, `upstream.blobHosts="b.example": has no effect unless upstream.access=token or singleHost=true: set one or remove this`},
	{"upstream-tag-age", `{"upstream": {"endpoint": "https://a.example", "access": "token", "tagMaxAge": "1500ms"}}`, `upstream.tagMaxAge="1500ms": not whole seconds: want for example 60s or 15m`},
	{"upstream-rate", `{"upstream": {"endpoint": "https://a.example", "rate": 0}}`, `upstream.rate=0: want 0.1 to 1000000 requests per second`},
	{"fill-rate-of-upstream", `{"upstream": {"endpoint": "https://a.example", "access": "token", "rate": 2}, "fill": {"rate": 2}}`, `fill.rate=2: leaves nothing of upstream.rate=2 for relaying: want less than that`},
	{"single-host-alb", `{"front": "alb", "domain": "example.com", ` + withZone + `, "singleHost": true}`, `singleHost=true: a load balancer cannot serve blobs: want false, or front "cloudfront"`},
	{"upstream-empty-endpoint", `{"upstream": {"endpoint": ""}}`, `upstream.endpoint="": want scheme and host, for example https://us-docker.pkg.dev`},
	{"check-timeout-long", `{"mirrorCheckTimeout": "1501ms"}`, `mirrorCheckTimeout="1501ms": too long: want at most 1.5s`},
	{"log-level-list", `{"logLevel": {"a": 1}}`, `logLevel: invalid object: want "debug", "info", "warn" or "error"`},
	{"key-control-characters", "{\"a\\u001b[31m\": 1}", `"a\x1b[31m": unknown key: want account, mirrors, redirectors, primary, home, filling, r...`},
	{"key-nearest", `{"acount": "123456789012"}`, `acount: unknown key: did you mean "account"?`},
	{"key-case", `{"Mirrors": ["eu-central-1"]}`, `Mirrors: unknown key: did you mean "mirrors"?`},
	{"key-unlike-any", `{"surprise": true}`, `surprise: unknown key: want account, mirrors, redirectors, primary, home, filling, r...`},
	{"fill-unknown-key", `{"fill": {"schedules": "rate(1 hour)"}}`, `fill.schedules: unknown key: did you mean "schedule"?`},
	{"email-long", `{"email": "` + strings.Repeat("a", 200) + `"}`, `email="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...": want an email address`},
	{"release-after-misspelled", `{"release": {"after": "tset"}}`, `release.after="tset": unknown stage: want the name of another stage`},
	{"account-number", `{"account": 123456789012}`, `account=123456789012: want an AWS account ID of 12 digits`},
	{"mirrors-text", `{"mirrors": "eu-central-1"}`, `mirrors="eu-central-1": want AWS regions, at least one and each once`},
	{"mirrors-numbers", `{"mirrors": [1]}`, `mirrors: invalid list: want AWS regions, at least one and each once`},
	{"redirectors-object", `{"redirectors": {"eu-central-1": true}}`, `redirectors: invalid object: want AWS regions, at least one and each once`},
	{"primary-list", `{"primary": ["eu-central-1"]}`, `primary: invalid list: want one of the regions in mirrors`},
	{"zone-text", `{"domain": "a.example.com", "hostedZone": "Z1A"}`, `hostedZone="Z1A": want an object with id and name`},
	{"zone-unknown-key", `{"domain": "a.example.com", "hostedZone": {"id": "Z1A", "zone": "example.com"}}`, "hostedZone.zone: unknown key: want id or name\nhostedZone.name: missing: want a domain name, for example example.com"},
	{"memory-text", `{"memory": "256"}`, `memory="256": want 128 to 10240 MB`},
	{"memory-fraction", `{"memory": 256.5}`, `memory=256.5: want 128 to 10240 MB`},
	{"memory-longer-than-a-line", `{"memory": 1` + strings.Repeat("0", 200) + `}`, `memory=1` + strings.Repeat("0", 99) + `...: want 128 to 10240 MB`},
	{"protection-text", `{"terminationProtection": "yes"}`, `terminationProtection="yes": want true or false`},
	{"protection-number", `{"terminationProtection": 0}`, `terminationProtection=0: want true or false`},
	{"networks-list", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": []}`, `networks: invalid list: want an object by redirector region`},
	{"upstream-text", `{"upstream": "https://a.example"}`, `upstream="https://a.example": want an object with endpoint, path, regional, rate, access, tokenHosts, blobHosts and tagMaxAge`},
	{"regional-list", `{"upstream": {"endpoint": "https://a.example", "regional": []}}`, `upstream.regional: invalid list: want an object of endpoints by redirector region`},
	{"urls-text", `{"mirrorURLs": "https://localhost/mirror"}`, `mirrorURLs="https://localhost/mirror": want an object of base URLs by mirror region`},
	{"log-level-boolean", `{"logLevel": true}`, `logLevel=true: want "debug", "info", "warn" or "error"`},
}

func TestLoadRefusesValues(t *testing.T) {
	t.Parallel()
	for _, tt := range invalidValues {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all, err := Load(stages(t, tt.changes))
			if err == nil || len(all) > 0 {
				t.Fatalf("Load = %d stages, %v, want an error", len(all), err)
			}
			var want []string
			for line := range strings.SplitSeq(tt.want, "\n") {
				want = append(want, `stage "test": `+line)
			}
			got, list := strings.Join(want, "\n"), false
			if got, list = strings.CutSuffix(got, "..."); !list && err.Error() != got || list && !strings.HasPrefix(err.Error(), got) {
				t.Errorf("Load: error\n%v\nwant\n%s", err, strings.Join(want, "\n"))
			}
		})
	}
}

// Every key has an invalid value above.
func TestKeysHaveInvalidValues(t *testing.T) {
	t.Parallel()
	for _, k := range keys {
		if !slices.ContainsFunc(invalidValues, func(tt struct{ name, changes, want string }) bool {
			return strings.HasPrefix(strings.Replace(tt.want, "networks.eu-central-1", "networks.REGION", 1), k.name)
		}) {
			t.Errorf("no invalid value of %s is tested", k.name)
		}
	}
}

// Operators know keys, not the variables that they become.
func TestErrorsNameNoVariable(t *testing.T) {
	t.Parallel()
	for _, tt := range invalidValues {
		_, err := Load(stages(t, tt.changes))
		for _, v := range slices.Concat(config.Variables[:], config.FillVariables[:]) {
			if err != nil && strings.Contains(err.Error(), v.Name) {
				t.Errorf("%s: error %q contains the variable %s", tt.name, err, v.Name)
			}
		}
	}
}

// null is no value of any key.
func TestLoadRefusesTypes(t *testing.T) {
	t.Parallel()
	for _, k := range keys {
		if strings.Contains(k.name, ".") {
			continue
		}
		_, err := Load(stages(t, `{"front": "both", "domain": "a.example.com", `+withZone+`, "`+k.name+`": null}`))
		if want := `stage "test": ` + k.name + "=null: want " + k.wanted(); err == nil || !strings.Contains(err.Error()+"\n", want+"\n") {
			t.Errorf("%s: error %v, want %s", k.name, err, want)
		}
	}
}

func TestLoadValues(t *testing.T) {
	t.Parallel()
	const domain = `"domain": "registry.example.com", ` + withZone
	env := func(name string) func(*Stage) any {
		return func(s *Stage) any { return s.environment("eu-central-1")[name] }
	}
	filler := func(s *Stage) any { return *s.Filler }
	for _, tt := range []struct {
		name, changes string
		got           func(*Stage) any
		want          any
	}{
		{"default-watch", `{}`, func(s *Stage) any { return []any{s.Email, s.DownloadAlarm, s.Budget} }, []any{"", 100, 0.0}},
		{"watch", `{"email": "a+b@mail.example.com", "downloadAlarm": 5, "budget": 99.5}`, func(s *Stage) any { return []any{s.Email, s.DownloadAlarm, s.Budget} }, []any{"a+b@mail.example.com", 5, 99.5}},
		{"default-firewall", `{}`, func(s *Stage) any { return []any{s.Firewall == nil, s.AccessLogs} }, []any{true, false}},
		{"firewall", `{"firewall": {}}`, func(s *Stage) any { return *s.Firewall }, Firewall{Limit: 100000, CountOnly: true}},
		{"firewall-refuses", `{"firewall": {"limit": 100, "countOnly": false}}`, func(s *Stage) any { return *s.Firewall }, Firewall{Limit: 100}},
		{"default-release", `{}`, func(s *Stage) any { return s.Release == nil }, true},
		{"release", `{"release": {}}`, func(s *Stage) any { return *s.Release }, Release{Shift: "Canary10Percent5Minutes"}},
		{"release-shift", `{"release": {"shift": "Linear10PercentEvery3Minutes"}}`, func(s *Stage) any { return *s.Release }, Release{Shift: "Linear10PercentEvery3Minutes"}},
		{"access-logs", `{"accessLogs": true}`, func(s *Stage) any { return s.AccessLogs }, true},
		{"moving", `{"mirrors": ["eu-central-1", "us-east-1", "us-west-2", "sa-east-1"], "filling": ["us-west-2"], "retiring": ["sa-east-1"]}`,
			func(s *Stage) any { return [][]string{s.Routed(), s.Filled(), s.Replicas()} },
			[][]string{{"eu-central-1", "us-east-1"}, {"eu-central-1", "us-east-1", "us-west-2"}, {"us-east-1", "us-west-2"}}},
		{"moving-retired", `{"mirrors": ["eu-central-1", "us-east-1", "sa-east-1"], "redirectors": ["us-east-1"], "retiring": ["us-east-1", "sa-east-1"]}`,
			func(s *Stage) any {
				return []bool{s.IsRetired("mirror", "us-east-1"), s.IsRetired("watch", "us-east-1"), s.IsRetired("redirector", "us-east-1"), s.IsRetired("watch", "sa-east-1"), s.IsRetired("mirror", "eu-central-1")}
			}, []bool{true, false, false, true, false}},
		{"regions", `{"mirrors": ["us-west-2", "eu-central-1"], "redirectors": ["eu-central-1", "sa-east-1"]}`,
			func(s *Stage) any { return s.Regions() }, []string{"eu-central-1", "sa-east-1", "us-east-1", "us-west-2"}},
		{"canary-without-email", `{}`, func(s *Stage) any { return s.Canary == nil }, true},
		{"canary-by-default", `{"email": "a@example.com"}`, func(s *Stage) any { return *s.Canary }, Canary{}},
		{"canary-by-hand", `{"email": "a@example.com", "fill": false}`, func(s *Stage) any { return s.Canary == nil }, true},
		{"canary-off", `{"email": "a@example.com", "canary": false}`, func(s *Stage) any { return s.Canary == nil }, true},
		{"canary-image", `{"canary": {"image": "team/pause@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}, "fill": false}`,
			func(s *Stage) any { return s.CanaryEnvironment("d1.cloudfront.example") }, map[string]string{
				"CANARY_ENTRY_POINTS": "distribution=https://d1.cloudfront.example",
				"CANARY_IMAGE":        "team/pause@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			}},
		{"canary-both", `{"front": "both", "domain": "example.com", "hostedZone": {"id": "Z0", "name": "example.com"}, "canary": {}}`,
			func(s *Stage) any { return s.CanaryEnvironment("d1.cloudfront.example") }, map[string]string{
				"CANARY_ENTRY_POINTS": "distribution=https://example.com,load-balancer=https://alb.example.com",
				"CANARY_STATE":        "archeio-test-state-123456789012-eu-central-1-an@eu-central-1",
			}},
		{"canary-domain-pending", `{"front": "both", "domainPending": true, "domain": "example.com", "hostedZone": {"id": "Z0", "name": "example.com"}, "canary": {}}`,
			func(s *Stage) any { return s.CanaryEnvironment("d1.cloudfront.example")["CANARY_ENTRY_POINTS"] }, "distribution=https://d1.cloudfront.example,load-balancer=https://alb.example.com"},
		{"canary-balanced", `{"front": "alb", "domain": "example.com", "hostedZone": {"id": "Z0", "name": "example.com"}, "canary": {}}`,
			func(s *Stage) any { return s.CanaryEnvironment("")["CANARY_ENTRY_POINTS"] }, "load-balancer=https://example.com"},
		{"regions-without-edge", `{"mirrors": ["us-west-2"], "redirectors": ["sa-east-1"], "front": "alb", "rangesRefresh": "none", "domain": "example.com", "hostedZone": {"id": "Z0", "name": "example.com"}}`,
			func(s *Stage) any { return s.Regions() }, []string{"sa-east-1", "us-west-2"}},
		{"edge-region-retired", `{"mirrors": ["eu-central-1", "us-east-1"], "redirectors": ["eu-central-1"], "retiring": ["us-east-1"]}`,
			func(s *Stage) any {
				return []bool{s.IsRetired("mirror", "us-east-1"), s.IsRetired("watch", "us-east-1")}
			}, []bool{true, false}},
		{"moving-routes", `{"mirrors": ["us-east-1", "eu-central-1", "us-west-2"], "filling": ["eu-central-1"], "retiring": ["us-west-2"]}`,
			func(s *Stage) any {
				e := s.environment("eu-central-1")
				return []string{e["MIRROR_REGIONS"], e["DEFAULT_MIRROR_CHECK_URL"]}
			},
			[]string{"us-east-1", "https://archeio-test-123456789012-us-east-1-an.s3.dualstack.us-east-1.amazonaws.com"}},
		{"default-front", `{}`, func(s *Stage) any { return s.Front }, CloudFront},
		{"default-prefix", `{}`, func(s *Stage) any { return s.MirrorPrefix }, "archeio-test"},
		{"default-size", `{}`, func(s *Stage) any { return []any{s.Architecture, s.Memory, s.LogRetention} }, []any{"arm64", 256, 30}},
		{"default-protection", `{}`, func(s *Stage) any { return s.Protected }, true},
		{"default-primary", `{"mirrors": ["us-west-2", "us-east-1"]}`, func(s *Stage) any { return s.Primary }, "us-west-2"},
		{"primary", `{"mirrors": ["us-west-2", "us-east-1"], "primary": "us-east-1"}`, func(s *Stage) any { return s.Primary }, "us-east-1"},
		{"replicas", `{"mirrors": ["us-west-2", "us-east-1", "sa-east-1"], "primary": "us-east-1"}`, func(s *Stage) any { return s.Replicas() }, []string{"us-west-2", "sa-east-1"}},
		{"no-replicas", `{}`, func(s *Stage) any { return len(s.Replicas()) }, 0},
		{"front-alb", `{"front": "alb", ` + domain + `}`, func(s *Stage) any { return []any{s.HasDistribution(), s.HasLoadBalancers(), s.BalancerDomain()} }, []any{false, true, "alb.registry.example.com"}},
		{"front-both", `{"front": "both", ` + domain + `}`, func(s *Stage) any { return []any{s.HasDistribution(), s.HasLoadBalancers(), s.BalancerDomain()} }, []any{true, true, "alb.registry.example.com"}},
		{"front-cloudfront", `{"front": "cloudfront", ` + domain + `}`, func(s *Stage) any { return []any{s.HasDistribution(), s.HasLoadBalancers()} }, []any{true, false}},
		{"base-url-of-a-domain", `{` + domain + `}`, baseURL, []string{"/", "registry.example.com"}},
		{"base-url-without-a-domain", `{}`, baseURL, []string{"/", ""}},
		{"base-url-with-load-balancers", `{"front": "both", ` + domain + `}`, baseURL, []string{"https://registry.example.com", "registry.example.com"}},
		{"base-url-while-the-domain-is-pending", `{"front": "both", "domainPending": true, ` + domain + `}`, baseURL, []string{"/", "registry.example.com"}},
		{"base-url-without-a-distribution", `{"front": "alb", ` + domain + `}`, baseURL, []string{"", ""}},
		{"domain-is-the-zone", `{"domain": "example.com", ` + withZone + `}`, func(s *Stage) any { return s.Zone }, Zone{"Z0123456789ABCDEFGHIJ", "example.com"}},
		{"memory-low", `{"memory": 128}`, func(s *Stage) any { return s.Memory }, 128},
		{"memory-high", `{"memory": 10240}`, func(s *Stage) any { return s.Memory }, 10240},
		{"home-default", `{"mirrors": ["eu-central-1", "us-east-1"], "primary": "us-east-1"}`, func(s *Stage) any { return s.Home }, "eu-central-1"},
		{"home-elsewhere", `{"home": "us-west-2"}`, func(s *Stage) any { return s.Home }, "us-west-2"},
		{"retention", `{"logRetention": 3653}`, func(s *Stage) any { return s.LogRetention }, 3653},
		{"architecture", `{"architecture": "x86_64"}`, func(s *Stage) any { return s.Architecture }, "x86_64"},
		{"protection", `{"terminationProtection": false}`, func(s *Stage) any { return s.Protected }, false},
		{"networks", `{"front": "alb", ` + domain + `, "networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "subnet-4567cdef"]}}}`,
			func(s *Stage) any { return s.Networks }, map[string]Network{"eu-central-1": {"vpc-0123abcd", []string{"subnet-0123abcd", "subnet-4567cdef"}, false}}},
		{"networks-ipv6", `{"front": "alb", ` + domain + `, "networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "subnet-4567cdef"], "ipv6": true}}}`,
			func(s *Stage) any { return s.BalancerIPv6("eu-central-1") }, true},
		{"longest-prefix", `{"fill": false, "rangesRefresh": "none", "mirrorPrefix": "` + strings.Repeat("i", 34) + `"}`, func(s *Stage) any { return len(s.Bucket("eu-central-1")) }, 63},
		{"longest-prefix-with-state", `{"mirrorPrefix": "` + strings.Repeat("i", 28) + `"}`, func(s *Stage) any { return len(s.StateBucket()) }, 63},

		{"default-fill", `{}`, filler, Filler{Schedule: "rate(1 hour)", Rate: 20, Workers: 4, Referrers: true, Secret: ""}},
		{"fill-nothing-changed", `{"fill": {}}`, filler, Filler{Schedule: "rate(1 hour)", Rate: 20, Workers: 4, Referrers: true, Secret: ""}},
		{"no-fill", `{"fill": false}`, func(s *Stage) any { return s.Filler == nil }, true},
		{"fill-all", `{"publishes": true, "mirrorIndexRefresh": "none", "mirrors": ["eu-central-1", "us-east-1"], "primary": "us-east-1", "fill": {"schedule": "cron(0/15 6 ? * MON-FRI *)", "rate": 0.1, "workers": 1000, "referrers": false,
			"secret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:registry/upstream-AbCdEf"}}`,
			filler, Filler{Schedule: "cron(0/15 6 ? * MON-FRI *)", Rate: 0.1, Workers: 1000, Referrers: false, Secret: "arn:aws:secretsmanager:us-east-1:123456789012:secret:registry/upstream-AbCdEf"}},
		{"fill-some", `{"fill": {"schedule": "rate(10 minutes)", "workers": 2}}`, filler, Filler{Schedule: "rate(10 minutes)", Rate: 20, Workers: 2, Referrers: true, Secret: ""}},
		{"fill-most", `{"fill": {"schedule": "cron(0 6 1W,L * ? 2026/2)", "rate": 1000000}, "mirrorIndexRefresh": "none"}`, filler, Filler{Schedule: "cron(0 6 1W,L * ? 2026/2)", Rate: 1e6, Workers: 4, Referrers: true}},

		{"fill-daily", `{"fill": {"schedule": "rate(1 day)"}, "mirrorIndexMaxAge": "25h"}`, func(s *Stage) any { return s.Filler.Schedule }, "rate(1 day)"},

		{"upstream", `{}`, env("UPSTREAM_REGISTRY_ENDPOINT"), "https://us-docker.pkg.dev"},
		{"upstream-path", `{"upstream": {"endpoint": "https://a.example", "path": "project/images"}}`, env("UPSTREAM_REGISTRY_PATH"), "project/images"},
		{"upstream-regional", `{"upstream": {"endpoint": "https://a.example", "regional": {"eu-central-1": "https://b.example"}}}`, env("UPSTREAM_REGISTRY_ENDPOINT"), "https://b.example"},
		{"signature-upstream", `{"signatureUpstream": "https://a.example"}`, env("SIGNATURE_UPSTREAM_ENDPOINT"), "https://a.example"},
		{"mirror-for", `{"mirrorFor": {"cn-northwest-1": "eu-central-1", "cn-north-1": "eu-central-1"}}`, env("MIRROR_FOR"), "cn-north-1:eu-central-1,cn-northwest-1:eu-central-1"},
		{"clouds", `{"upstreamClouds": ["GCP", "Azure"]}`, env("UPSTREAM_CLOUDS"), "GCP,Azure"},
		{"clouds-text", `{"upstreamClouds": "none"}`, env("UPSTREAM_CLOUDS"), "none"},
		{"check-timeout", `{"mirrorCheckTimeout": "500ms"}`, env("MIRROR_CHECK_TIMEOUT"), "500ms"},
		{"index-refresh", `{"mirrorIndexRefresh": "none"}`, env("MIRROR_INDEX_REFRESH"), "none"},
		{"index-max-age", `{"mirrorIndexMaxAge": "36h"}`, env("MIRROR_INDEX_MAX_AGE"), "36h"},
		{"ranges-refresh", `{"rangesRefresh": "none"}`, env("RANGES_REFRESH"), "none"},
		{"ranges-max-age", `{"rangesMaxAge": "240h"}`, env("RANGES_MAX_AGE"), "240h"},
		{"health-interval", `{"mirrorHealthInterval": "1m"}`, env("MIRROR_HEALTH_INTERVAL"), "1m"},
		{"failover-budget", `{"failoverBudget": 0.5}`, env("FAILOVER_BUDGET"), "0.5"},
		{"info-url", `{"infoURL": "https://example.com/"}`, env("INFO_URL"), "https://example.com/"},
		{"privacy-url", `{"privacyURL": "https://example.com/privacy#logs"}`, env("PRIVACY_URL"), "https://example.com/privacy#logs"},
		{"log-level", `{"logLevel": "debug"}`, env("LOG_LEVEL"), "debug"},
		{"page-title", `{"page": {"title": "Images & more"}}`, env("PAGE_TITLE"), "Images & more"},
		{"page-contact", `{"page": {"contact": "a@example.com"}}`, env("PAGE_CONTACT"), "a@example.com"},
		{"registry-host", `{"domain": "registry.example.com", "hostedZone": {"id": "Z0123456789ABCDEFGHIJ", "name": "example.com"}}`, env("REGISTRY_HOST"), "registry.example.com"},
		{"mirror-url", `{"mirrorURLs": {"eu-central-1": "https://localhost:4566/mirror"}}`, func(s *Stage) any { return s.MirrorURL("eu-central-1") }, "https://localhost:4566/mirror"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.got(load(t, tt.changes)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// measure returns the size of a function's environment with the longest GOMEMLIMIT.
func measure(t *testing.T, env map[string]string) int {
	t.Helper()
	env["GOMEMLIMIT"] = "8704MiB"
	text, err := json.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	return len(text)
}

// Lambda measures the environment as JSON and allows 4096 bytes.
func TestLongestEnvironment(t *testing.T) {
	t.Parallel()
	size := func(address string) (int, error) {
		all, err := Load(stages(t, `{"infoURL": "`+address+`"}`))
		if err != nil {
			return 0, err
		}
		c, err := all[0].Config("eu-central-1")
		if err != nil {
			t.Fatal(err)
		}
		return measure(t, c.Env()), nil
	}
	const address = "https://example.com/"
	n, err := size(address)
	if err != nil {
		t.Fatal(err)
	}
	if n, err = size(address + strings.Repeat("x", 4096-n)); err != nil || n != 4096 {
		t.Errorf("an environment of %d bytes: %v, want 4096 bytes and no error", n, err)
	}
	n, _ = size(address)
	_, err = size(address + strings.Repeat("x", 4097-n))
	refused(t, err, "redirectors: the environment of the function in eu-central-1 has 4097 bytes, Lambda allows 4096", "shorten mirrorPrefix, mirrors")
}

// The environment of the functions that fill the mirrors has each bucket and a
// secret, unlike that of the redirectors: a stage may fit one and not the other.
func TestLongestFillEnvironment(t *testing.T) {
	t.Parallel()
	secret := `"publishes": true, "fill": {"secret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:` + strings.Repeat("s", 512) + `-AbCdEf"}`
	mirrors := `"mirrors": ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3"]`
	with := func(n int) string {
		return `{` + secret + `, ` + mirrors + `, "upstream": {"endpoint": "https://` + strings.Repeat("x", n) + `"}}`
	}
	env := func(n int) int {
		f, err := load(t, with(n)).Fill()
		if err != nil {
			t.Fatal(err)
		}
		return measure(t, f.Env())
	}
	longest := 4096 - env(1) + 1
	if n := env(longest); n != 4096 {
		t.Errorf("the longest environment has %d bytes, want 4096", n)
	}
	_, err := Load(stages(t, with(longest+1)))
	refused(t, err, "fill: the environment of the functions has 4097 bytes, Lambda allows 4096", "shorten mirrorPrefix, mirrors, upstream or fill.secret")
}

// row returns the line of a key in the reference page: key, value, default,
// meaning.
func row(k key) string {
	missing := k.otherwise
	switch {
	case k.required:
		missing = "required"
	case k.value != "":
		missing = "`" + k.value + "`"
	case missing == "":
		missing = "none"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |", k.name, k.wanted(), missing, k.meaning)
}

// TestReference compares the table of stage keys in the reference page with the keys.
func TestReference(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../.github/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Stage keys\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var want []string
	for _, k := range keys {
		want = append(want, row(k))
		if !strings.Contains(section, "\n"+row(k)+"\n") {
			t.Errorf(".github/reference.md: missing the row\n%s", row(k))
		}
	}
	for line := range strings.Lines(section) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "| `") && !slices.Contains(want, line) {
			t.Errorf(".github/reference.md: the code does not have the row\n%s", line)
		}
	}
}

// baseURL returns the base URL of the default mirror and the names of the distribution
// in the environment of a redirector.
func baseURL(s *Stage) any {
	env := s.environment(s.Redirectors[0])
	return []string{env["DEFAULT_AWS_BASE_URL"], env["VIEWER_HOSTS"]}
}
