package stage

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"archeio/lambda/config"
)

// badValues are keys with what they do not take, and what the error must say.
var badValues = []struct {
	name, changes string
	want          []string
}{
	{"account-short", `{"account": "12345678901"}`, []string{"account takes an AWS account, twelve digits", `it is "12345678901"`}},
	{"account-long", `{"account": "1234567890123"}`, []string{"account takes an AWS account, twelve digits"}},
	{"account-hyphens", `{"account": "1234-5678-9012"}`, []string{"account takes an AWS account, twelve digits"}},
	{"account-empty", `{"account": ""}`, []string{"account takes an AWS account, twelve digits"}},

	{"mirror-unknown", `{"mirrors": ["eu-central-1", "eu-centrall-1"]}`, []string{"mirrors takes AWS regions", `"eu-centrall-1" is none that is known`}},
	{"mirror-of-another-cloud", `{"mirrors": ["europe-west1"]}`, []string{"mirrors takes AWS regions", `"europe-west1" is none`}},
	{"mirror-twice", `{"mirrors": ["eu-central-1", "us-east-1", "eu-central-1"]}`, []string{"mirrors takes AWS regions, at least one and each once", `"eu-central-1" is there twice`}},
	{"mirror-in-china", `{"mirrors": ["eu-central-1", "cn-north-1"]}`, []string{"mirrors takes regions of the partition aws", `"cn-north-1" is in aws-cn`, "mirrorFor"}},
	{"mirror-of-government", `{"mirrors": ["us-gov-west-1"]}`, []string{"mirrors takes regions of the partition aws", "aws-us-gov"}},
	{"mirrors-empty", `{"mirrors": []}`, []string{"mirrors takes AWS regions, at least one", "it is []"}},
	{"redirector-unknown", `{"redirectors": ["us-east-9"]}`, []string{"redirectors takes AWS regions", `"us-east-9" is none that is known`}},
	{"redirector-twice", `{"redirectors": ["us-east-1", "us-east-1"]}`, []string{"redirectors takes AWS regions", `"us-east-1" is there twice`}},
	{"redirector-in-china", `{"redirectors": ["cn-northwest-1"]}`, []string{"redirectors takes regions of the partition aws", "aws-cn"}},
	{"redirectors-empty", `{"redirectors": []}`, []string{"redirectors takes AWS regions, at least one"}},
	{"primary-elsewhere", `{"primary": "us-east-1"}`, []string{"primary takes one of the regions in mirrors", `it is "us-east-1"`}},
	{"primary-empty", `{"primary": ""}`, []string{"primary takes one of the regions in mirrors"}},

	{"filling-elsewhere", `{"filling": ["us-east-1"]}`, []string{"filling takes regions of mirrors, each once", `"us-east-1" is none`}},
	{"filling-text", `{"filling": "us-east-1"}`, []string{"filling takes regions of mirrors"}},
	{"filling-primary", `{"filling": ["eu-central-1"]}`, []string{"filling takes regions of mirrors", "the primary has every blob first"}},
	{"filling-twice", `{"mirrors": ["eu-central-1", "us-east-1"], "filling": ["us-east-1", "us-east-1"]}`, []string{"filling takes regions", "is there twice"}},
	{"retiring-elsewhere", `{"retiring": ["us-east-1"]}`, []string{"retiring takes regions of mirrors, each once", `"us-east-1" is none`}},
	{"retiring-primary", `{"mirrors": ["eu-central-1", "us-east-1"], "retiring": ["eu-central-1"]}`, []string{"retiring takes regions of mirrors", "a stage cannot retire its primary: name another mirror as primary first"}},
	{"retiring-twice", `{"mirrors": ["eu-central-1", "us-east-1"], "retiring": ["us-east-1", "us-east-1"]}`, []string{"retiring takes regions", "is there twice"}},
	{"filling-and-retiring", `{"mirrors": ["eu-central-1", "us-east-1"], "filling": ["us-east-1"], "retiring": ["us-east-1"]}`, []string{"retiring takes regions", "is filling and retiring at once"}},
	{"mirror-for-filling", `{"mirrors": ["eu-central-1", "us-east-1"], "filling": ["us-east-1"], "mirrorFor": {"cn-north-1": "us-east-1"}}`, []string{"mirrorFor", "want client-region:mirror-region"}},
	{"front-unknown", `{"front": "nginx"}`, []string{`front takes "cloudfront", "alb" or "both"`, `it is "nginx"`}},
	{"front-case", `{"front": "ALB"}`, []string{`front takes "cloudfront", "alb" or "both"`}},
	{"alb-without-domain", `{"front": "alb"}`, []string{`domain takes the registry's name, as "registry.example.com"`, "a load balancer needs", "it is missing"}},
	{"both-without-domain", `{"front": "both"}`, []string{"domain takes", "a load balancer needs"}},
	{"alb-without-domain-but-zone", `{"front": "alb", ` + withZone + `}`, []string{"domain takes", "it is missing"}},
	{"alb-without-zone", `{"front": "alb", "domain": "registry.example.com"}`, []string{"hostedZone takes", "a domain needs one", "it is missing"}},

	{"domain-without-zone", `{"domain": "registry.example.com"}`, []string{`hostedZone takes the zone that the domain is in, as {"id"`, "a domain needs one", "it is missing"}},
	{"zone-without-domain", `{` + withZone + `}`, []string{"domain takes the registry's name", "a hosted zone is of no use without one"}},
	{"domain-outside-the-zone", `{"domain": "registry.example.org", ` + withZone + `}`, []string{"domain takes a name in the hosted zone example.com", `it is "registry.example.org"`}},
	{"domain-only-ends-like-the-zone", `{"domain": "my-example.com", ` + withZone + `}`, []string{"domain takes a name in the hosted zone example.com"}},
	{"domain-is-above-the-zone", `{"domain": "com.com", "hostedZone": {"id": "Z1A", "name": "example.com.com"}}`, []string{"domain takes a name in the hosted zone"}},
	{"domain-with-scheme", `{"domain": "https://registry.example.com", ` + withZone + `}`, []string{"domain takes the registry's name"}},
	{"domain-upper-case", `{"domain": "Registry.example.com", ` + withZone + `}`, []string{"domain takes the registry's name"}},
	{"domain-with-dot", `{"domain": "registry.example.com.", ` + withZone + `}`, []string{"domain takes the registry's name"}},
	{"domain-wildcard", `{"domain": "*.example.com", ` + withZone + `}`, []string{"domain takes the registry's name"}},
	{"zone-id", `{"domain": "a.example.com", "hostedZone": {"id": "/hostedzone/Z1A", "name": "example.com"}}`, []string{"hostedZone takes the zone"}},
	{"zone-no-id", `{"domain": "a.example.com", "hostedZone": {"name": "example.com"}}`, []string{"hostedZone takes the zone"}},
	{"zone-no-name", `{"domain": "a.example.com", "hostedZone": {"id": "Z1A"}}`, []string{"hostedZone takes the zone"}},

	{"prefix-upper-case", `{"mirrorPrefix": "Images"}`, []string{"mirrorPrefix takes the beginning of the buckets' names: lower-case letters, digits and hyphens"}},
	{"prefix-dot", `{"mirrorPrefix": "my.images"}`, []string{"mirrorPrefix takes the beginning"}},
	{"prefix-hyphen-first", `{"mirrorPrefix": "-images"}`, []string{"mirrorPrefix takes the beginning"}},
	{"prefix-hyphen-last", `{"mirrorPrefix": "images-"}`, []string{"mirrorPrefix takes the beginning"}},
	{"prefix-empty", `{"mirrorPrefix": ""}`, []string{"mirrorPrefix takes the beginning"}},
	// One more than fits: 63 - len("-123456789012-eu-central-1-an").
	{"prefix-too-long", `{"fill": false, "mirrorPrefix": "` + strings.Repeat("i", 35) + `"}`, []string{"mirrorPrefix takes at most 34 characters", "longer than the 63 that S3 takes"}},
	// The longest name counts, wherever its region stands.
	{"prefix-too-long-in-one", `{"fill": false, "mirrorPrefix": "` + strings.Repeat("i", 39) + `", "mirrors": ["us-east-1", "ap-southeast-1", "me-south-1"]}`, []string{"mirrorPrefix takes at most 32 characters", "ap-southeast-1-an"}},
	// The state bucket has a longer name than the mirror beside it, and not
	// always the longest.
	{"prefix-too-long-for-state", `{"mirrorPrefix": "` + strings.Repeat("i", 29) + `"}`, []string{"mirrorPrefix takes at most 28 characters", "-state-123456789012-eu-central-1-an"}},
	{"prefix-too-long-beside-state", `{"mirrorPrefix": "` + strings.Repeat("i", 34) + `", "mirrors": ["me-south-1", "ap-southeast-1"]}`, []string{"mirrorPrefix takes at most 32 characters", "i-123456789012-ap-southeast-1-an"}},

	{"architecture", `{"architecture": "amd64"}`, []string{`architecture takes "arm64" or "x86_64"`, `it is "amd64"`}},
	{"memory-low", `{"memory": 127}`, []string{"memory takes megabytes, from 128 to 10240", "it is 127"}},
	{"memory-high", `{"memory": 10241}`, []string{"memory takes megabytes, from 128 to 10240"}},
	{"retention-odd", `{"logRetention": 31}`, []string{"logRetention takes days, as CloudWatch Logs counts them: 1, 3, 5", "it is 31"}},
	{"retention-none", `{"logRetention": 0}`, []string{"logRetention takes days"}},

	{"network-elsewhere", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"us-east-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "subnet-4567cdef"]}}}`, []string{"networks takes networks by redirector region"}},
	{"network-no-vpc", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": {"subnets": ["subnet-0123abcd", "subnet-4567cdef"]}}}`, []string{"networks takes networks by redirector region"}},
	{"network-one-subnet", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd"]}}}`, []string{"networks takes", "each with two subnets or more"}},
	{"network-odd-vpc", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": {"vpc": "vpc-main", "subnets": ["subnet-0123abcd", "subnet-4567cdef"]}}}`, []string{"networks takes networks by redirector region"}},
	{"network-odd-subnet", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "public"]}}}`, []string{"networks takes networks by redirector region"}},
	{"network-subnet-twice", `{"front": "alb", "domain": "example.com", ` + withZone + `, "networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "subnet-0123abcd"]}}}`, []string{"networks takes networks by redirector region"}},
	{"network-without-balancer", `{"networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "subnet-4567cdef"]}}}`, []string{"networks is of no use without load balancers"}},

	{"upstream-no-endpoint", `{"upstream": {"path": "images"}}`, []string{"upstream.endpoint takes the registry that is the source of truth"}},
	{"upstream-http", `{"upstream": {"endpoint": "http://registry.example.com"}}`, []string{"upstream.endpoint", "http://registry.example.com", "want an https URL"}},
	{"upstream-with-path", `{"upstream": {"endpoint": "https://registry.example.com/images"}}`, []string{"upstream.endpoint", "want scheme and host only"}},
	{"upstream-path", `{"upstream": {"endpoint": "https://registry.example.com", "path": "/images/"}}`, []string{"upstream.path", "invalid repository name"}},
	{"regional-elsewhere", `{"upstream": {"endpoint": "https://a.example", "regional": {"us-east-1": "https://b.example"}}}`, []string{"upstream.regional takes endpoints by redirector region", `"us-east-1" is none`}},
	{"regional-http", `{"upstream": {"endpoint": "https://a.example", "regional": {"eu-central-1": "http://b.example"}}}`, []string{"function in eu-central-1", "upstream.endpoint", "http://b.example", "want an https URL"}},

	{"url-elsewhere", `{"mirrorURLs": {"us-east-1": "https://localhost/mirror"}}`, []string{"mirrorURLs takes base URLs by mirror region"}},
	{"url-no-host", `{"mirrorURLs": {"eu-central-1": "mirror"}}`, []string{"mirrorURLs takes base URLs by mirror region"}},
	{"url-http", `{"mirrorURLs": {"eu-central-1": "http://mirror.example"}}`, []string{"mirrorURLs", "http://mirror.example", "not https"}},

	{"fill-true", `{"fill": true}`, []string{"fill takes how the mirrors are filled, as {", "or false", "it is true"}},
	{"fill-text", `{"fill": "rate(1 hour)"}`, []string{"fill takes how the mirrors are filled"}},
	{"fill-other-key", `{"fill": {"email": "a@example.com"}}`, []string{"fill takes how the mirrors are filled"}},
	{"fill-schedule-empty", `{"fill": {"schedule": ""}}`, []string{`fill.schedule takes when the upstream is looked through, as EventBridge writes it: "rate(1 hour)" or "cron(0 6 * * ? *)"`}},
	{"fill-schedule-word", `{"fill": {"schedule": "hourly"}}`, []string{"fill.schedule takes when"}},
	{"fill-schedule-seconds", `{"fill": {"schedule": "rate(30 seconds)"}}`, []string{"fill.schedule takes when"}},
	{"fill-schedule-one-hours", `{"fill": {"schedule": "rate(1 hours)"}}`, []string{"fill.schedule takes when"}},
	{"fill-schedule-two-hour", `{"fill": {"schedule": "rate(2 hour)"}}`, []string{"fill.schedule takes when"}},
	{"fill-schedule-zero", `{"fill": {"schedule": "rate(0 hours)"}}`, []string{"fill.schedule takes when"}},
	{"fill-schedule-five-fields", `{"fill": {"schedule": "cron(0 6 * * ?)"}}`, []string{"fill.schedule takes when"}},
	{"fill-schedule-both-days", `{"fill": {"schedule": "cron(0 6 * * * *)"}}`, []string{"fill.schedule takes when"}},
	{"fill-schedule-no-days", `{"fill": {"schedule": "cron(0 6 ? * ? *)"}}`, []string{"fill.schedule takes when"}},
	{"fill-schedule-two-lines", `{"fill": {"schedule": "rate(1 hour)\nrate(2 hours)"}}`, []string{"fill.schedule takes when"}},
	{"fill-rate-zero", `{"fill": {"rate": 0}}`, []string{"fill.rate takes the requests per second that all workers together send to the upstream, from 0.1 to 1000000"}},
	{"fill-rate-negative", `{"fill": {"rate": -1}}`, []string{"fill.rate takes the requests"}},
	// A worker's part of it would be 0, which is no limit.
	{"fill-rate-tiny", `{"fill": {"rate": 5e-324}}`, []string{"fill.rate takes the requests"}},
	{"fill-rate-large", `{"fill": {"rate": 1000001}}`, []string{"fill.rate takes the requests"}},
	{"fill-rate-text", `{"fill": {"rate": "20"}}`, []string{"fill takes how the mirrors are filled"}},
	{"fill-workers-one", `{"fill": {"workers": 1}}`, []string{"fill.workers takes how many functions work at once, from 2 to 1000"}},
	{"fill-workers-many", `{"fill": {"workers": 1001}}`, []string{"fill.workers takes how many functions"}},
	{"fill-workers-fraction", `{"fill": {"workers": 2.5}}`, []string{"fill takes how the mirrors are filled"}},
	{"fill-referrers", `{"fill": {"referrers": "yes"}}`, []string{"fill takes how the mirrors are filled"}},
	{"fill-secret-name", `{"fill": {"secret": "upstream"}}`, []string{"fill.secret takes the whole ARN of a secret of the account in the primary's region, as arn:aws:secretsmanager:eu-central-1:123456789012:secret:NAME-AbCdEf"}},
	{"fill-secret-half", `{"fill": {"secret": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:upstream"}}`, []string{"fill.secret takes the whole ARN"}},
	{"fill-secret-elsewhere", `{"fill": {"secret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:upstream-AbCdEf"}}`, []string{"fill.secret takes the whole ARN"}},
	{"fill-secret-of-others", `{"fill": {"secret": "arn:aws:secretsmanager:eu-central-1:210987654321:secret:upstream-AbCdEf"}}`, []string{"fill.secret takes the whole ARN"}},
	{"fill-secret-any", `{"fill": {"secret": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:*-AbCdEf"}}`, []string{"fill.secret takes the whole ARN"}},
	{"fill-secret-parameter", `{"fill": {"secret": "arn:aws:ssm:eu-central-1:123456789012:parameter/upstream"}}`, []string{"fill.secret takes the whole ARN"}},
	// The redirector takes it, what copies does not.
	{"fill-source", `{"upstream": {"endpoint": "http://[::1]:5000"}}`, []string{`functions that fill the mirrors: upstream.endpoint="[::1]:5000": invalid source: want REGISTRY`}},

	{"email-word", `{"email": "operators"}`, []string{`email takes the address that alarms go to, as "operators@example.com"`, `it is "operators"`}},
	{"email-two", `{"email": "a@example.com,b@example.com"}`, []string{"email takes the address"}},
	{"email-list", `{"email": ["a@example.com"]}`, []string{"email takes the address"}},
	{"email-two-lines", `{"email": "a@example.com\nb@example.com"}`, []string{"email takes the address"}},
	{"email-empty", `{"email": ""}`, []string{"email takes the address"}},
	{"download-alarm-none", `{"downloadAlarm": 0}`, []string{"downloadAlarm takes how many GB a bucket may send in an hour", "it is 0"}},
	{"download-alarm-large", `{"downloadAlarm": 1000001}`, []string{"downloadAlarm takes how many GB"}},
	{"download-alarm-text", `{"downloadAlarm": "100"}`, []string{"downloadAlarm takes how many GB"}},
	{"budget-without-email", `{"budget": 100}`, []string{"email takes the address that the budget tells; a budget without one tells nobody; it is missing"}},
	{"budget-none", `{"email": "a@example.com", "budget": 0}`, []string{"budget takes how many dollars a month may cost", "it is 0"}},
	{"budget-large", `{"email": "a@example.com", "budget": 10000001}`, []string{"budget takes how many dollars"}},
	{"budget-text", `{"email": "a@example.com", "budget": "100"}`, []string{"budget takes how many dollars"}},
	{"access-logs-text", `{"accessLogs": "yes"}`, []string{"accessLogs takes true or false"}},
	{"access-logs-balanced", `{"accessLogs": true, "front": "alb", "domain": "a.example.com", ` + withZone + `}`, []string{"accessLogs takes true only with a distribution: a load balancer cannot leave out"}},
	{"firewall-limit-low", `{"firewall": {"limit": 99}}`, []string{"firewall.limit takes how many requests an address may send in five minutes, from 100", `it is {"limit":99}`}},
	{"firewall-limit-large", `{"firewall": {"limit": 2000000001}}`, []string{"firewall.limit takes how many requests"}},
	{"firewall-true", `{"firewall": true}`, []string{`firewall takes how often an address may ask, as {"limit"`}},
	{"firewall-other-key", `{"firewall": {"block": true}}`, []string{"firewall takes how often"}},
	{"firewall-count-text", `{"firewall": {"countOnly": "no"}}`, []string{"firewall takes how often"}},
	{"release-true", `{"release": true}`, []string{`release takes how a new version takes over, as {"shift": "Canary10Percent5Minutes"`, "it is true"}},
	{"release-other-key", `{"release": {"gradual": true}}`, []string{"release takes how a new version takes over"}},
	{"release-shift-unknown", `{"release": {"shift": "Canary50Percent5Minutes"}}`, []string{"release.shift takes one of CodeDeploy's: Canary10Percent5Minutes, ", `it is {"shift":"Canary50Percent5Minutes"}`}},
	{"release-shift-whole", `{"release": {"shift": "CodeDeployDefault.LambdaAllAtOnce"}}`, []string{"release.shift takes one of CodeDeploy's"}},
	{"release-shift-empty", `{"release": {"shift": ""}}`, []string{"release.shift takes one of CodeDeploy's"}},
	{"release-after-unknown", `{"release": {"after": "sandbox"}}`, []string{`release.after takes another stage of cdk.json; "sandbox" is none`}},
	{"release-after-itself", `{"release": {"after": "test"}}`, []string{`release.after takes another stage of cdk.json; "test" is none`}},

	{"signature-upstream", `{"signatureUpstream": "registry.example"}`, []string{"signatureUpstream", "not a URL"}},
	{"mirror-for-unknown", `{"mirrorFor": {"cn-north-1": "ap-east-1"}}`, []string{"mirrorFor", "want client-region:mirror-region", `"ap-east-1" is not in mirrors`}},
	{"mirror-for-number", `{"mirrorFor": {"cn-north-1": 1}}`, []string{"mirrorFor", "want client-region:mirror-region"}},
	{"clouds", `{"upstreamClouds": ["Oracle"]}`, []string{"upstreamClouds", `unknown cloud "Oracle"`, "want AWS, GCP, Azure"}},
	{"clouds-empty", `{"upstreamClouds": []}`, []string{"upstreamClouds takes a list with something in it", `"none"`}},
	{"check-timeout", `{"mirrorCheckTimeout": "fast"}`, []string{"mirrorCheckTimeout", "not a duration"}},
	{"check-timeout-number", `{"mirrorCheckTimeout": 1}`, []string{"mirrorCheckTimeout", "not a duration"}},
	{"health-interval", `{"mirrorHealthInterval": "-1s"}`, []string{"mirrorHealthInterval", "want a duration above 0"}},
	{"index-refresh", `{"mirrorIndexRefresh": "often"}`, []string{"mirrorIndexRefresh", "not a duration"}},
	{"index-max-age", `{"mirrorIndexMaxAge": "none"}`, []string{"mirrorIndexMaxAge", "not a duration"}},
	{"failover-budget", `{"failoverBudget": -1}`, []string{"failoverBudget", "want requests per second"}},
	{"info-url", `{"infoURL": "http://example.com"}`, []string{"infoURL", "want an https URL"}},
	{"privacy-url", `{"privacyURL": "javascript:alert(1)"}`, []string{"privacyURL", "want an https URL"}},
	{"log-level", `{"logLevel": "loud"}`, []string{"logLevel", `"loud"`, "want debug, info, warn or error"}},
}

func TestLoadRefusesValues(t *testing.T) {
	for _, tt := range badValues {
		t.Run(tt.name, func(t *testing.T) {
			all, err := Load(stages(t, tt.changes))
			if len(all) > 0 {
				t.Errorf("Load answers a stage")
			}
			refused(t, err, tt.want...)
		})
	}
}

// Every key has a bad value above.
func TestKeysHaveBadValues(t *testing.T) {
	all := append([]string(nil), keys...)
	for key := range settings {
		all = append(all, key)
	}
	for _, key := range all {
		found := key == "terminationProtection" // takes either
		for _, tt := range badValues {
			found = found || strings.Contains(tt.want[0], key)
		}
		if !found {
			t.Errorf("no bad value of %s is tested", key)
		}
	}
}

// No variable is named in a sentence about a stage: its reader knows keys.
func TestErrorsNameNoVariable(t *testing.T) {
	for _, tt := range badValues {
		_, err := Load(stages(t, tt.changes))
		names := slices.Collect(maps.Values(settings))
		for _, v := range config.FillVariables {
			names = append(names, v.Name)
		}
		for _, name := range names {
			if err != nil && strings.Contains(err.Error(), name) {
				t.Errorf("%s: error %q names the variable %s", tt.name, err, name)
			}
		}
	}
}

func TestLoadTakesValues(t *testing.T) {
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
		{"moving-leaves", `{"mirrors": ["eu-central-1", "us-east-1", "sa-east-1"], "redirectors": ["us-east-1"], "retiring": ["us-east-1", "sa-east-1"]}`,
			func(s *Stage) any {
				return []bool{s.Leaves("mirror", "us-east-1"), s.Leaves("watch", "us-east-1"), s.Leaves("redirector", "us-east-1"), s.Leaves("watch", "sa-east-1"), s.Leaves("mirror", "eu-central-1")}
			}, []bool{true, false, false, true, false}},
		{"regions", `{"mirrors": ["us-west-2", "eu-central-1"], "redirectors": ["eu-central-1", "sa-east-1"]}`,
			func(s *Stage) any { return s.Regions() }, []string{"eu-central-1", "sa-east-1", "us-west-2"}},
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
		{"front-alb", `{"front": "alb", ` + domain + `}`, func(s *Stage) any { return []any{s.HasDistribution(), s.HasLoadBalancers(), s.BalancerDomain()} }, []any{false, true, "registry.example.com"}},
		{"front-both", `{"front": "both", ` + domain + `}`, func(s *Stage) any { return []any{s.HasDistribution(), s.HasLoadBalancers(), s.BalancerDomain()} }, []any{true, true, "alb.registry.example.com"}},
		{"front-cloudfront", `{"front": "cloudfront", ` + domain + `}`, func(s *Stage) any { return []any{s.HasDistribution(), s.HasLoadBalancers()} }, []any{true, false}},
		{"domain-is-the-zone", `{"domain": "example.com", ` + withZone + `}`, func(s *Stage) any { return s.Zone }, Zone{"Z0123456789ABCDEFGHIJ", "example.com"}},
		{"memory-low", `{"memory": 128}`, func(s *Stage) any { return s.Memory }, 128},
		{"memory-high", `{"memory": 10240}`, func(s *Stage) any { return s.Memory }, 10240},
		{"retention", `{"logRetention": 3653}`, func(s *Stage) any { return s.LogRetention }, 3653},
		{"architecture", `{"architecture": "x86_64"}`, func(s *Stage) any { return s.Architecture }, "x86_64"},
		{"protection", `{"terminationProtection": false}`, func(s *Stage) any { return s.Protected }, false},
		{"networks", `{"front": "alb", ` + domain + `, "networks": {"eu-central-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "subnet-4567cdef"]}}}`,
			func(s *Stage) any { return s.Networks }, map[string]Network{"eu-central-1": {"vpc-0123abcd", []string{"subnet-0123abcd", "subnet-4567cdef"}}}},
		{"longest-prefix", `{"fill": false, "mirrorPrefix": "` + strings.Repeat("i", 34) + `"}`, func(s *Stage) any { return len(s.Bucket("eu-central-1")) }, 63},
		{"longest-prefix-with-state", `{"mirrorPrefix": "` + strings.Repeat("i", 28) + `"}`, func(s *Stage) any { return len(s.StateBucket()) }, 63},

		{"default-fill", `{}`, filler, Filler{"rate(1 hour)", 20, 4, true, ""}},
		{"fill-nothing-changed", `{"fill": {}}`, filler, Filler{"rate(1 hour)", 20, 4, true, ""}},
		{"no-fill", `{"fill": false}`, func(s *Stage) any { return s.Filler == nil }, true},
		{"fill-all", `{"mirrors": ["eu-central-1", "us-east-1"], "primary": "us-east-1", "fill": {"schedule": "cron(0/15 6 ? * MON-FRI *)", "rate": 0.1, "workers": 1000, "referrers": false,
			"secret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:registry/upstream-AbCdEf"}}`,
			filler, Filler{"cron(0/15 6 ? * MON-FRI *)", 0.1, 1000, false, "arn:aws:secretsmanager:us-east-1:123456789012:secret:registry/upstream-AbCdEf"}},
		{"fill-some", `{"fill": {"schedule": "rate(10 minutes)", "workers": 2}}`, filler, Filler{"rate(10 minutes)", 20, 2, true, ""}},
		{"fill-most", `{"fill": {"schedule": "cron(0 6 1W,L * ? 2026/2)", "rate": 1000000}}`, filler, Filler{"cron(0 6 1W,L * ? 2026/2)", 1e6, 4, true, ""}},

		{"upstream", `{}`, env("UPSTREAM_REGISTRY_ENDPOINT"), "https://us-docker.pkg.dev"},
		{"upstream-path", `{"upstream": {"endpoint": "https://a.example", "path": "project/images"}}`, env("UPSTREAM_REGISTRY_PATH"), "project/images"},
		{"upstream-regional", `{"upstream": {"endpoint": "https://a.example", "regional": {"eu-central-1": "https://b.example"}}}`, env("UPSTREAM_REGISTRY_ENDPOINT"), "https://b.example"},
		{"signature-upstream", `{"signatureUpstream": "https://a.example"}`, env("SIGNATURE_UPSTREAM_ENDPOINT"), "https://a.example"},
		{"mirror-for", `{"mirrorFor": {"cn-northwest-1": "eu-central-1", "cn-north-1": "eu-central-1"}}`, env("MIRROR_FOR"), "cn-north-1:eu-central-1,cn-northwest-1:eu-central-1"},
		{"clouds", `{"upstreamClouds": ["GCP", "Azure"]}`, env("UPSTREAM_CLOUDS"), "GCP,Azure"},
		{"clouds-text", `{"upstreamClouds": "none"}`, env("UPSTREAM_CLOUDS"), "none"},
		{"check-timeout", `{"mirrorCheckTimeout": "500ms"}`, env("MIRROR_CHECK_TIMEOUT"), "500ms"},
		{"index-refresh", `{"mirrorIndexRefresh": "none"}`, env("MIRROR_INDEX_REFRESH"), "none"},
		{"index-max-age", `{"mirrorIndexMaxAge": "12h"}`, env("MIRROR_INDEX_MAX_AGE"), "12h"},
		{"health-interval", `{"mirrorHealthInterval": "1m"}`, env("MIRROR_HEALTH_INTERVAL"), "1m"},
		{"failover-budget", `{"failoverBudget": 0.5}`, env("FAILOVER_BUDGET"), "0.5"},
		{"info-url", `{"infoURL": "https://example.com/"}`, env("INFO_URL"), "https://example.com/"},
		{"privacy-url", `{"privacyURL": "https://example.com/privacy#logs"}`, env("PRIVACY_URL"), "https://example.com/privacy#logs"},
		{"log-level", `{"logLevel": "debug"}`, env("LOG_LEVEL"), "debug"},
		{"mirror-url", `{"mirrorURLs": {"eu-central-1": "https://localhost:4566/mirror"}}`, func(s *Stage) any { return s.MirrorURL("eu-central-1") }, "https://localhost:4566/mirror"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.got(load(t, tt.changes)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// Lambda counts the environment as the JSON that it is sent as, and takes
// 4096 bytes of it.
func TestLongestEnvironment(t *testing.T) {
	size := func(address string) (int, error) {
		all, err := Load(stages(t, `{"infoURL": "`+address+`"}`))
		if err != nil {
			return 0, err
		}
		c, err := all[0].Config("eu-central-1")
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(c.Env())
		if err != nil {
			t.Fatal(err)
		}
		return len(text), nil
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
	refused(t, err, "the environment of the function in eu-central-1 has 4097 bytes, Lambda takes 4096", "shorten mirrorPrefix, mirrors")
}

// The functions that fill the mirrors are told each bucket and a secret, which
// the redirectors are not: a stage may fit one and not the other.
func TestLongestFillEnvironment(t *testing.T) {
	secret := `"fill": {"secret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:` + strings.Repeat("s", 512) + `-AbCdEf"}`
	mirrors := `"mirrors": ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3"]`
	with := func(n int) string {
		return `{` + secret + `, ` + mirrors + `, "upstream": {"endpoint": "https://` + strings.Repeat("x", n) + `"}}`
	}
	env := func(n int) int {
		f, err := load(t, with(n)).Fill()
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(f.Env())
		if err != nil {
			t.Fatal(err)
		}
		return len(text)
	}
	longest := 4096 - env(1) + 1
	if n := env(longest); n != 4096 {
		t.Errorf("the longest environment has %d bytes, want 4096", n)
	}
	_, err := Load(stages(t, with(longest+1)))
	refused(t, err, "the environment of the functions that fill the mirrors has 4097 bytes, Lambda takes 4096", "shorten mirrorPrefix, mirrors, upstream or fill.secret")
}
