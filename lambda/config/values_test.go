package config

import (
	"fmt"
	"strings"
	"testing"
)

// What variables take, as their errors say it.
const (
	takesURL      = "takes a URL as https://host or https://host/path"
	takesHTTPS    = "takes an https URL (http on loopback addresses)"
	takesBare     = "takes a URL without user, query and fragment"
	takesSegments = "takes a URL without empty, . and .. segments"
	takesHost     = "takes scheme and host only, as https://registry.example"
	takesPath     = "takes a repository name without slashes at its ends, as project/images"
	takesClouds   = "takes AWS, GCP, Azure, each at most once and comma-separated, or none"
	takesHeader   = "takes the name of a header, as CloudFront-Viewer-Address"
	takesDuration = "takes a duration above zero, as 500ms or 10s"
	takesRate     = "takes requests per second, a number from 0 to 1000000"
	takesLevel    = "takes debug, info, warn or error"
	takesPage     = takesHTTPS + ", or none"
	needsUpstream = "is required: scheme and host of the registry that is the source of truth"
	needsTemplate = "is required with MIRROR_REGIONS: a base URL with {region} in it, as https://mirror-{region}.s3.dualstack.{region}.amazonaws.com"
	needsCheck    = `is required where DEFAULT_AWS_BASE_URL is "/": the base URL of a bucket that the distribution serves`
	uselessCheck  = "is of no use without DEFAULT_AWS_BASE_URL"
)

func takesRegions(item string) string {
	return fmt.Sprintf("takes AWS regions, comma-separated; %q is none that is known", item)
}

func takesOverride(item string) string {
	return fmt.Sprintf("takes region=URL, comma-separated, each region once, one of MIRROR_REGIONS, and a base URL; %q is not", item)
}

func takesRule(item string) string {
	return fmt.Sprintf("takes client-region:mirror-region, comma-separated, each client region once, the mirror region one of MIRROR_REGIONS; %q is not", item)
}

// twoMirrors is an environment for rules about mirrors.
func twoMirrors(pairs ...string) []string {
	return append([]string{"MIRROR_REGIONS", "us-east-1,ap-east-1", "MIRROR_URL_TEMPLATE", "https://{region}.example"}, pairs...)
}

func withDefault(check string) []string {
	return []string{"DEFAULT_AWS_BASE_URL", "https://d.example", "DEFAULT_MIRROR_CHECK_URL", check}
}

// valueTests set one variable beside what else it needs; takes is what the
// error says, empty where the value is taken.
var valueTests = []struct {
	name, variable, value string
	others                []string
	takes                 string
}{
	{"upstream", "UPSTREAM_REGISTRY_ENDPOINT", "https://registry.example:8443/", nil, ""},
	{"upstream-missing", "UPSTREAM_REGISTRY_ENDPOINT", "", nil, needsUpstream},
	{"upstream-http", "UPSTREAM_REGISTRY_ENDPOINT", "http://registry.example", nil, takesHTTPS},
	{"upstream-path", "UPSTREAM_REGISTRY_ENDPOINT", "https://registry.example/images", nil, takesHost},
	{"upstream-host-only", "UPSTREAM_REGISTRY_ENDPOINT", "registry.example", nil, takesURL},
	{"upstream-line", "UPSTREAM_REGISTRY_ENDPOINT", "https://registry.example\nx", nil, takesURL},
	{"path", "UPSTREAM_REGISTRY_PATH", "k8s-artifacts-prod/images", nil, ""},
	{"path-slash-first", "UPSTREAM_REGISTRY_PATH", "/images", nil, takesPath},
	{"path-slash-last", "UPSTREAM_REGISTRY_PATH", "images/", nil, takesPath},
	{"path-upper-case", "UPSTREAM_REGISTRY_PATH", "Images", nil, takesPath},
	{"path-dots", "UPSTREAM_REGISTRY_PATH", "a/../b", nil, takesPath},
	{"signatures", "SIGNATURE_UPSTREAM_ENDPOINT", "https://signatures.example", nil, ""},
	{"signatures-http", "SIGNATURE_UPSTREAM_ENDPOINT", "http://signatures.example", nil, takesHTTPS},
	{"signatures-path", "SIGNATURE_UPSTREAM_ENDPOINT", "https://signatures.example/a", nil, takesHost},

	{"default", "DEFAULT_AWS_BASE_URL", "https://d.example/a", nil, ""},
	{"default-http", "DEFAULT_AWS_BASE_URL", "http://d.example", nil, takesHTTPS + `, or "/"`},
	{"default-path", "DEFAULT_AWS_BASE_URL", "/mirror", nil, takesURL + `, or "/"`},
	{"default-wrong-with-check", "DEFAULT_AWS_BASE_URL", "d.example", []string{"DEFAULT_MIRROR_CHECK_URL", "https://bucket.example"}, takesURL + `, or "/"`},
	{"default-host", "DEFAULT_AWS_BASE_URL", "/", []string{"DEFAULT_MIRROR_CHECK_URL", "https://bucket.example"}, ""},
	{"check", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example/a", withDefault(""), ""},
	{"check-missing", "DEFAULT_MIRROR_CHECK_URL", "", []string{"DEFAULT_AWS_BASE_URL", "/"}, needsCheck},
	{"check-http", "DEFAULT_MIRROR_CHECK_URL", "http://bucket.example", withDefault(""), takesHTTPS},
	{"check-host", "DEFAULT_MIRROR_CHECK_URL", "/", withDefault(""), takesURL},
	{"check-no-default", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example", nil, uselessCheck},

	{"regions-unknown", "MIRROR_REGIONS", "us-east-1,mars-north-1", twoMirrors(), takesRegions("mars-north-1")},
	{"regions-other-cloud", "MIRROR_REGIONS", "westeurope", twoMirrors(), takesRegions("westeurope")},
	{"regions-upper-case", "MIRROR_REGIONS", "US-EAST-1", twoMirrors(), takesRegions("US-EAST-1")},
	{"regions-not-in-table", "MIRROR_REGIONS", "me-west-1", twoMirrors(), takesRegions("me-west-1")},
	{"regions-empty-item", "MIRROR_REGIONS", "us-east-1,", twoMirrors(), takesRegions("")},
	{"regions-line", "MIRROR_REGIONS", "us-east-1\n\"x", twoMirrors(), takesRegions("us-east-1\n\"x")},
	{"regions-twice", "MIRROR_REGIONS", "us-east-1,ap-east-1,us-east-1", twoMirrors(), `names "us-east-1" twice`},
	{"regions-other-partition", "MIRROR_REGIONS", "cn-north-1", twoMirrors(), ""},
	{"template-missing", "MIRROR_URL_TEMPLATE", "", twoMirrors(), needsTemplate},
	{"template-one-url", "MIRROR_URL_TEMPLATE", "https://mirror.example", twoMirrors(), needsTemplate},
	{"template-http", "MIRROR_URL_TEMPLATE", "http://{region}.example", twoMirrors(), takesHTTPS + ", with {region} in it"},
	{"template-query", "MIRROR_URL_TEMPLATE", "https://mirror.example/?{region}", twoMirrors(), takesBare + ", with {region} in it"},
	{"template-other-word", "MIRROR_URL_TEMPLATE", "https://{region}.{zone}.example", twoMirrors(), takesURL + ", with {region} in it"},
	{"template-loopback", "MIRROR_URL_TEMPLATE", "http://127.0.0.1:9000/{region}", twoMirrors(), ""},
	{"template-alone", "MIRROR_URL_TEMPLATE", "https://{region}.example", nil, ""},
	{"template-alone-one-url", "MIRROR_URL_TEMPLATE", "https://mirror.example", nil, needsTemplate},
	{"template-alone-http", "MIRROR_URL_TEMPLATE", "http://{region}.example", nil, takesHTTPS + ", with {region} in it"},
	{"overrides", "MIRROR_URL_OVERRIDES", "ap-east-1=https://x.example,us-east-1=https://y.example", twoMirrors(), ""},
	{"overrides-no-url", "MIRROR_URL_OVERRIDES", "ap-east-1", twoMirrors(), takesOverride("ap-east-1")},
	{"overrides-http", "MIRROR_URL_OVERRIDES", "ap-east-1=http://x.example", twoMirrors(), takesOverride("ap-east-1=http://x.example")},
	{"overrides-no-mirror", "MIRROR_URL_OVERRIDES", "eu-west-1=https://x.example", twoMirrors(), takesOverride("eu-west-1=https://x.example")},
	{"overrides-no-mirrors", "MIRROR_URL_OVERRIDES", "eu-west-1=https://x.example", nil, takesOverride("eu-west-1=https://x.example")},
	{"overrides-twice", "MIRROR_URL_OVERRIDES", "ap-east-1=https://x.example,ap-east-1=https://y.example", twoMirrors(), takesOverride("ap-east-1=https://y.example")},
	{"overrides-empty-item", "MIRROR_URL_OVERRIDES", "ap-east-1=https://x.example,", twoMirrors(), takesOverride("")},
	{"for", "MIRROR_FOR", "cn-north-1:ap-east-1,us-gov-west-1:us-east-1", twoMirrors(), ""},
	// The range table has addresses there, the table of regions no place.
	{"for-no-coordinates", "MIRROR_FOR", "me-west-1:us-east-1", twoMirrors(), ""},
	{"for-no-mirror", "MIRROR_FOR", "cn-north-1:eu-west-1", twoMirrors(), takesRule("cn-north-1:eu-west-1")},
	{"for-no-mirrors", "MIRROR_FOR", "cn-north-1:eu-west-1", nil, takesRule("cn-north-1:eu-west-1")},
	{"for-unknown-client", "MIRROR_FOR", "mars-north-1:us-east-1", twoMirrors(), takesRule("mars-north-1:us-east-1")},
	{"for-other-cloud", "MIRROR_FOR", "westeurope:us-east-1", twoMirrors(), takesRule("westeurope:us-east-1")},
	{"for-twice", "MIRROR_FOR", "cn-north-1:ap-east-1,cn-north-1:us-east-1", twoMirrors(), takesRule("cn-north-1:us-east-1")},
	{"for-equals-sign", "MIRROR_FOR", "cn-north-1=ap-east-1", twoMirrors(), takesRule("cn-north-1=ap-east-1")},

	{"clouds-every-case", "UPSTREAM_CLOUDS", "aws,Gcp,AZURE", nil, ""},
	{"clouds-unknown", "UPSTREAM_CLOUDS", "GCP,Oracle", nil, takesClouds},
	{"clouds-twice", "UPSTREAM_CLOUDS", "GCP,gcp", nil, takesClouds},
	{"clouds-none-and-one", "UPSTREAM_CLOUDS", "GCP,none", nil, takesClouds},
	{"clouds-blank", "UPSTREAM_CLOUDS", " ", nil, takesClouds},
	{"header", "CLIENT_ADDRESS_HEADER", "X_Real-IP2", nil, ""},
	{"header-of-another-use", "CLIENT_ADDRESS_HEADER", "CloudFront-Viewer-Country", nil, "takes the name of a header with an address, as CloudFront-Viewer-Address; this one has another use"},
	{"header-colon", "CLIENT_ADDRESS_HEADER", "X-Real-IP:", nil, takesHeader},
	{"header-line", "CLIENT_ADDRESS_HEADER", "X\r\nY", nil, takesHeader},
	{"timeout-no-unit", "MIRROR_CHECK_TIMEOUT", "1", nil, takesDuration},
	{"timeout-zero", "MIRROR_CHECK_TIMEOUT", "0s", nil, takesDuration},
	{"timeout-negative", "MIRROR_CHECK_TIMEOUT", "-1s", nil, takesDuration},
	{"interval-zero", "MIRROR_HEALTH_INTERVAL", "0", nil, takesDuration},
	{"interval-word", "MIRROR_HEALTH_INTERVAL", "often", nil, takesDuration},
	{"budget-off", "FAILOVER_BUDGET", "0", nil, ""},
	{"budget-largest", "FAILOVER_BUDGET", "1000000", nil, ""},
	{"budget-too-large", "FAILOVER_BUDGET", "1000001", nil, takesRate},
	{"budget-negative", "FAILOVER_BUDGET", "-1", nil, takesRate},
	{"budget-nan", "FAILOVER_BUDGET", "NaN", nil, takesRate},
	{"budget-infinite", "FAILOVER_BUDGET", "Inf", nil, takesRate},
	{"budget-word", "FAILOVER_BUDGET", "many", nil, takesRate},
	{"info", "INFO_URL", "https://info.example/a%20b?q=1#top", nil, ""},
	{"info-loopback", "INFO_URL", "http://localhost:8080/", nil, ""},
	{"info-http", "INFO_URL", "http://info.example/", nil, takesPage},
	{"info-script", "INFO_URL", "javascript:alert(1)", nil, takesPage},
	{"info-user", "INFO_URL", "https://user@info.example/", nil, takesPage},
	{"info-path", "INFO_URL", "/info", nil, takesPage},
	{"info-line", "INFO_URL", "https://info.example/\r\nSet-Cookie:a", nil, takesPage},
	{"info-not-ascii", "INFO_URL", "https://info.example/é", nil, takesPage},
	{"privacy", "PRIVACY_URL", "https://privacy.example", nil, ""},
	{"privacy-http", "PRIVACY_URL", "http://privacy.example", nil, takesPage},
	{"level-error", "LOG_LEVEL", "error", nil, ""},
	{"level-warn", "LOG_LEVEL", "warn", nil, ""},
	{"level-upper-case", "LOG_LEVEL", "INFO", nil, takesLevel},
	{"level-offset", "LOG_LEVEL", "info+2", nil, takesLevel},
}

func TestValues(t *testing.T) {
	for _, tt := range valueTests {
		t.Run(tt.name, func(t *testing.T) {
			env := environment(tt.others...)
			env[tt.variable] = tt.value
			expect(t, env, tt.variable, tt.value, tt.takes)
		})
	}
}

// expect: the environment is taken and survives Env, or refused in one line
// that says nothing but what is wrong with that one variable.
func expect(t *testing.T, env map[string]string, variable, value, takes string) {
	t.Helper()
	if takes == "" {
		roundTrip(t, env)
		return
	}
	c, err := Load(with(env))
	if c != nil || err == nil {
		t.Fatalf("%s=%q is taken", variable, value)
	}
	want := fmt.Sprintf("configuration: %s=%q: %s", variable, value, takes)
	if got := err.Error(); got != want || strings.ContainsAny(got, "\r\n") {
		t.Errorf("error %s\nwant  %s", got, want)
	}
}

// TestBaseURL is about the URLs that paths are joined to, whatever variable
// they come from.
func TestBaseURL(t *testing.T) {
	for _, tt := range []struct {
		name, url, want, takes string
	}{
		{"https", "https://d.example", "https://d.example", ""},
		{"slash", "https://d.example/", "https://d.example", ""},
		{"path", "https://d.example/a/b/", "https://d.example/a/b", ""},
		{"dots-in-a-name", "https://d.example/..a/b..", "https://d.example/..a/b..", ""},
		{"loopback", "http://127.0.0.1:9000", "http://127.0.0.1:9000", ""},
		{"loopback-other", "http://127.9.9.9", "http://127.9.9.9", ""},
		{"loopback-ipv6", "http://[::1]:9000/", "http://[::1]:9000", ""},
		{"loopback-name", "http://localhost:9000", "http://localhost:9000", ""},
		{"loopback-below", "http://mirror.localhost", "http://mirror.localhost", ""},
		{"http", "http://d.example", "", takesHTTPS},
		{"http-private", "http://10.0.0.1", "", takesHTTPS},
		{"http-any", "http://0.0.0.0", "", takesHTTPS},
		{"http-alike", "http://127.0.0.1.example", "", takesHTTPS},
		{"http-alike-name", "http://notlocalhost", "", takesHTTPS},
		{"http-user", "http://localhost@d.example", "", takesHTTPS},
		{"scheme", "ftp://d.example", "", takesHTTPS},
		{"scheme-loopback", "ftp://127.0.0.1", "", takesHTTPS},
		{"port-only", "https://:443", "", takesHTTPS},
		{"no-scheme", "//d.example", "", takesHTTPS},
		{"no-host", "https:///a", "", takesURL},
		{"one-slash", "https:/d.example", "", takesURL},
		{"backslash", `https://d.example\a`, "", takesURL},
		{"space", "https://d.example/a b", "", takesURL},
		{"escape", "https://d.example/a%2fb", "", takesURL},
		{"control", "https://d.example/\x7f", "", takesURL},
		{"not-ascii", "https://d.exämple", "", takesURL},
		{"user", "https://user:secret@d.example", "", takesBare},
		{"query", "https://d.example/?a", "", takesBare},
		{"query-empty", "https://d.example/?", "", takesBare},
		{"fragment", "https://d.example/#a", "", takesBare},
		{"fragment-empty", "https://d.example/#", "", takesBare},
		{"segment-empty", "https://d.example/a//b", "", takesSegments},
		{"segment-empty-last", "https://d.example//", "", takesSegments},
		{"segment-dot", "https://d.example/./a", "", takesSegments},
		{"segment-dots-last", "https://d.example/a/..", "", takesSegments},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := environment("DEFAULT_AWS_BASE_URL", tt.url)
			takes := tt.takes
			if takes != "" {
				takes += `, or "/"`
			}
			expect(t, env, "DEFAULT_AWS_BASE_URL", tt.url, takes)
			if takes != "" {
				return
			}
			if c := load(t, env); c.DefaultMirror != tt.want || c.DefaultMirrorCheck != tt.want {
				t.Errorf("the base is %q and %q, want %q", c.DefaultMirror, c.DefaultMirrorCheck, tt.want)
			}
		})
	}
}
