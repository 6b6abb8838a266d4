package config

import (
	"fmt"
	"strings"
	"testing"

	"archeio/ranges"
)

// What is wrong with values, as the errors say it.
const (
	notURL          = "not a URL: want https://host or https://host/path"
	notHTTPS        = "not https: want an https URL (http only for loopback addresses)"
	notBare         = "has user info, a query or a fragment: want a URL without them"
	badSegments     = "has empty, . or .. path segments: want a URL without them"
	hasPath         = "has a path: want scheme and host only, for example https://registry.example.com"
	badRepository   = "invalid repository name: want lower case and no slash at the beginning or end, for example project/images"
	needsPrefix     = "required for *.pkg.dev endpoints: want PROJECT/REPOSITORY, for example project/images"
	badHeader       = "invalid header name: want a header that holds the client address, for example CloudFront-Viewer-Address"
	reservedHeader  = "reserved header: want a header that holds the client address, for example CloudFront-Viewer-Address"
	notDuration     = "not a duration: want a number with a unit, for example 500ms or 10s"
	notPositive     = "not positive: want a duration above 0, for example 500ms or 10s"
	tooLong         = "too long: want at most 1.5s"
	badRate         = "invalid rate: want requests per second, from 0 to 1000000"
	duplicateHost   = `duplicate host name "a.example.com": want each host name once`
	markup          = "has markup, line breaks or control characters: want plain text without < and >"
	badRegistryHost = "invalid host name: want a DNS name in lower case without scheme, port or path, for example registry.example.com"
	badEmail        = "invalid email address: want for example registry@example.com"
	notPage         = "not a URL: want an https URL"
	needsUpstream   = "required: want scheme and host of the upstream registry, for example https://registry.example.com"
	needsTemplate   = "required with MIRROR_REGIONS: want a base URL with {region} in it, for example https://mirror-{region}.s3.dualstack.{region}.amazonaws.com"
	noPlaceholder   = "no {region} in it: want a base URL with {region} in it, for example https://mirror-{region}.s3.dualstack.{region}.amazonaws.com"
	needsCheck      = `required with DEFAULT_AWS_BASE_URL="/": want the base URL of a bucket that the distribution serves`
	checkUnused     = "has no effect unless DEFAULT_AWS_BASE_URL is set: set that or remove this"
	wantsOverride   = ": want region=URL, comma-separated"
	wantsRule       = ": want client-region:mirror-region, comma-separated"
	orHost          = `, or "/"`
	withPlaceholder = ", with {region} in it"
)

func unknownMirrorRegion(item string) string {
	return fmt.Sprintf("unknown region %q: want AWS regions, comma-separated", item)
}

// wantsClouds lists the clouds of the range table.
func wantsClouds() string {
	return ": want " + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(ranges.Clouds)), ", "), "[]") + ", comma-separated, or none"
}

func unknownCloud(item string) string {
	return fmt.Sprintf("unknown cloud %q", item) + wantsClouds()
}

func badHost(item string) string {
	return fmt.Sprintf("invalid host name %q: want DNS names in lower case without scheme, port or path, comma-separated, for example registry.example.com", item)
}

func unknownLevel(hint string) string {
	return "unknown level" + hint + ": want debug, info, warn or error"
}

// twoMirrors is an environment for rules about mirrors.
func twoMirrors(pairs ...string) []string {
	return append([]string{"MIRROR_REGIONS", "us-east-1,ap-east-1", "MIRROR_URL_TEMPLATE", "https://{region}.example"}, pairs...)
}

func withDefault(check string) []string {
	return []string{"DEFAULT_AWS_BASE_URL", "https://d.example", "DEFAULT_MIRROR_CHECK_URL", check}
}

var artifactRegistryUpstream = []string{"UPSTREAM_REGISTRY_ENDPOINT", "https://us-docker.pkg.dev"}

// valueTests set one variable in addition to those it needs; problem is what the
// error says, empty if the value is valid.
var valueTests = []struct {
	name, variable, value string
	others                []string
	problem               string
}{
	{"upstream", "UPSTREAM_REGISTRY_ENDPOINT", "https://registry.example:8443/", nil, ""},
	{"upstream-missing", "UPSTREAM_REGISTRY_ENDPOINT", "", nil, needsUpstream},
	{"upstream-http", "UPSTREAM_REGISTRY_ENDPOINT", "http://registry.example", nil, notHTTPS},
	{"upstream-path", "UPSTREAM_REGISTRY_ENDPOINT", "https://registry.example/images", nil, hasPath},
	{"upstream-host-only", "UPSTREAM_REGISTRY_ENDPOINT", "registry.example", nil, notURL},
	{"upstream-line", "UPSTREAM_REGISTRY_ENDPOINT", "https://registry.example\nx", nil, notURL},
	{"path", "UPSTREAM_REGISTRY_PATH", "k8s-artifacts-prod/images", nil, ""},
	{"path-slash-first", "UPSTREAM_REGISTRY_PATH", "/images", nil, badRepository},
	{"path-slash-last", "UPSTREAM_REGISTRY_PATH", "images/", nil, badRepository},
	{"path-upper-case", "UPSTREAM_REGISTRY_PATH", "Images", nil, badRepository},
	{"path-dots", "UPSTREAM_REGISTRY_PATH", "a/../b", nil, badRepository},
	{"path-artifact-registry", "UPSTREAM_REGISTRY_PATH", "project/images", artifactRegistryUpstream, ""},
	{"path-missing", "UPSTREAM_REGISTRY_PATH", "", artifactRegistryUpstream, needsPrefix},
	{"path-missing-upper-case", "UPSTREAM_REGISTRY_PATH", "", []string{"UPSTREAM_REGISTRY_ENDPOINT", "https://US-DOCKER.PKG.DEV.:443"}, needsPrefix},
	{"path-missing-signatures", "UPSTREAM_REGISTRY_PATH", "", []string{"SIGNATURE_UPSTREAM_ENDPOINT", "https://us-docker.pkg.dev"}, needsPrefix},
	{"path-missing-other-domain", "UPSTREAM_REGISTRY_PATH", "", []string{"UPSTREAM_REGISTRY_ENDPOINT", "https://us-docker.pkg.dev.example"}, ""},
	{"path-missing-other-name", "UPSTREAM_REGISTRY_PATH", "", []string{"UPSTREAM_REGISTRY_ENDPOINT", "https://notpkg.dev"}, ""},
	{"signatures", "SIGNATURE_UPSTREAM_ENDPOINT", "https://signatures.example", nil, ""},
	{"signatures-http", "SIGNATURE_UPSTREAM_ENDPOINT", "http://signatures.example", nil, notHTTPS},
	{"signatures-path", "SIGNATURE_UPSTREAM_ENDPOINT", "https://signatures.example/a", nil, hasPath},

	{"default", "DEFAULT_AWS_BASE_URL", "https://d.example/a", nil, ""},
	{"default-http", "DEFAULT_AWS_BASE_URL", "http://d.example", nil, notHTTPS + orHost},
	{"default-path", "DEFAULT_AWS_BASE_URL", "/mirror", nil, notURL + orHost},
	{"default-wrong-with-check", "DEFAULT_AWS_BASE_URL", "d.example", []string{"DEFAULT_MIRROR_CHECK_URL", "https://bucket.example"}, notURL + orHost},
	{"default-host", "DEFAULT_AWS_BASE_URL", "/", []string{"DEFAULT_MIRROR_CHECK_URL", "https://bucket.example"}, ""},
	{"check", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example/a", withDefault(""), ""},
	{"check-missing", "DEFAULT_MIRROR_CHECK_URL", "", []string{"DEFAULT_AWS_BASE_URL", "/"}, needsCheck},
	{"check-http", "DEFAULT_MIRROR_CHECK_URL", "http://bucket.example", withDefault(""), notHTTPS},
	{"check-host", "DEFAULT_MIRROR_CHECK_URL", "/", withDefault(""), notURL},
	{"check-no-default", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example", nil, checkUnused},

	{"regions-unknown", "MIRROR_REGIONS", "us-east-1,mars-north-1", twoMirrors(), unknownMirrorRegion("mars-north-1")},
	{"regions-other-cloud", "MIRROR_REGIONS", "westeurope", twoMirrors(), unknownMirrorRegion("westeurope")},
	{"regions-upper-case", "MIRROR_REGIONS", "US-EAST-1", twoMirrors(), `unknown region "US-EAST-1" (did you mean "us-east-1"?): want AWS regions, comma-separated`},
	{"regions-misspelled", "MIRROR_REGIONS", "us-esat-1", twoMirrors(), `unknown region "us-esat-1" (did you mean "us-east-1"?): want AWS regions, comma-separated`},
	{"regions-not-in-table", "MIRROR_REGIONS", "me-west-1", twoMirrors(), `unknown region "me-west-1" (did you mean "ca-west-1"?): want AWS regions, comma-separated`},
	{"regions-empty-item", "MIRROR_REGIONS", "us-east-1,", twoMirrors(), unknownMirrorRegion("")},
	{"regions-line", "MIRROR_REGIONS", "us-east-1\n\"x", twoMirrors(), unknownMirrorRegion("us-east-1\n\"x")},
	{"regions-twice", "MIRROR_REGIONS", "us-east-1,ap-east-1,us-east-1", twoMirrors(), `duplicate region "us-east-1": want each region once`},
	{"regions-other-partition", "MIRROR_REGIONS", "cn-north-1", twoMirrors(), ""},
	{"template-missing", "MIRROR_URL_TEMPLATE", "", twoMirrors(), needsTemplate},
	{"template-one-url", "MIRROR_URL_TEMPLATE", "https://mirror.example", twoMirrors(), noPlaceholder},
	{"template-http", "MIRROR_URL_TEMPLATE", "http://{region}.example", twoMirrors(), notHTTPS + withPlaceholder},
	{"template-query", "MIRROR_URL_TEMPLATE", "https://mirror.example/?{region}", twoMirrors(), notBare + withPlaceholder},
	{"template-other-word", "MIRROR_URL_TEMPLATE", "https://{region}.{zone}.example", twoMirrors(), notURL + withPlaceholder},
	{"template-loopback", "MIRROR_URL_TEMPLATE", "http://127.0.0.1:9000/{region}", twoMirrors(), ""},
	{"template-alone", "MIRROR_URL_TEMPLATE", "https://{region}.example", nil, ""},
	{"template-alone-one-url", "MIRROR_URL_TEMPLATE", "https://mirror.example", nil, noPlaceholder},
	{"template-alone-http", "MIRROR_URL_TEMPLATE", "http://{region}.example", nil, notHTTPS + withPlaceholder},
	{"overrides", "MIRROR_URL_OVERRIDES", "ap-east-1=https://x.example,us-east-1=https://y.example", twoMirrors(), ""},
	{"overrides-no-url", "MIRROR_URL_OVERRIDES", "ap-east-1", twoMirrors(), `"ap-east-1" has no equals sign` + wantsOverride},
	{"overrides-http", "MIRROR_URL_OVERRIDES", "ap-east-1=http://x.example", twoMirrors(), `"ap-east-1=http://x.example": ` + notHTTPS},
	{"overrides-no-mirror", "MIRROR_URL_OVERRIDES", "eu-west-1=https://x.example", twoMirrors(), `"eu-west-1" is not in MIRROR_REGIONS` + wantsOverride},
	{"overrides-misspelled", "MIRROR_URL_OVERRIDES", "ap-eats-1=https://x.example", twoMirrors(), `"ap-eats-1" is not in MIRROR_REGIONS (did you mean "ap-east-1"?)` + wantsOverride},
	{"overrides-no-mirrors", "MIRROR_URL_OVERRIDES", "eu-west-1=https://x.example", nil, `"eu-west-1" is not in MIRROR_REGIONS` + wantsOverride},
	{"overrides-twice", "MIRROR_URL_OVERRIDES", "ap-east-1=https://x.example,ap-east-1=https://y.example", twoMirrors(), `duplicate region "ap-east-1": want each region once`},
	{"overrides-empty-item", "MIRROR_URL_OVERRIDES", "ap-east-1=https://x.example,", twoMirrors(), `"" has no equals sign` + wantsOverride},
	{"for", "MIRROR_FOR", "cn-north-1:ap-east-1,us-gov-west-1:us-east-1", twoMirrors(), ""},
	// The range table has addresses there, the table of regions no place.
	{"for-no-coordinates", "MIRROR_FOR", "me-west-1:us-east-1", twoMirrors(), ""},
	{"for-no-mirror", "MIRROR_FOR", "cn-north-1:eu-west-1", twoMirrors(), `"eu-west-1" is not in MIRROR_REGIONS` + wantsRule},
	{"for-misspelled", "MIRROR_FOR", "cn-nroth-1:us-east-1", twoMirrors(), `unknown region "cn-nroth-1" (did you mean "cn-north-1"?)` + wantsRule},
	{"for-no-mirrors", "MIRROR_FOR", "cn-north-1:eu-west-1", nil, `"eu-west-1" is not in MIRROR_REGIONS` + wantsRule},
	{"for-unknown-client", "MIRROR_FOR", "mars-north-1:us-east-1", twoMirrors(), `unknown region "mars-north-1"` + wantsRule},
	{"for-other-cloud", "MIRROR_FOR", "westeurope:us-east-1", twoMirrors(), `unknown region "westeurope"` + wantsRule},
	{"for-twice", "MIRROR_FOR", "cn-north-1:ap-east-1,cn-north-1:us-east-1", twoMirrors(), `duplicate client region "cn-north-1": want each client region once`},
	{"for-equals-sign", "MIRROR_FOR", "cn-north-1=ap-east-1", twoMirrors(), `"cn-north-1=ap-east-1" has no colon` + wantsRule},

	{"clouds-every-case", "UPSTREAM_CLOUDS", "aws,Gcp,AZURE,oci", nil, ""},
	{"clouds-unknown", "UPSTREAM_CLOUDS", "GCP,Mars", nil, unknownCloud("Mars")},
	{"clouds-misspelled", "UPSTREAM_CLOUDS", "azzure", nil, `unknown cloud "azzure" (did you mean "Azure"?)` + wantsClouds()},
	{"clouds-twice", "UPSTREAM_CLOUDS", "GCP,gcp", nil, `duplicate cloud "gcp": want each cloud once`},
	{"clouds-none-and-one", "UPSTREAM_CLOUDS", "GCP,none", nil, unknownCloud("none")},
	{"clouds-blank", "UPSTREAM_CLOUDS", " ", nil, unknownCloud("")},
	{"header", "CLIENT_ADDRESS_HEADER", "X_Real-IP2", nil, ""},
	{"header-of-another-use", "CLIENT_ADDRESS_HEADER", "CloudFront-Viewer-Country", nil, reservedHeader},
	{"header-of-the-edge", "CLIENT_ADDRESS_HEADER", "X-Viewer-Host", nil, reservedHeader},
	{"header-colon", "CLIENT_ADDRESS_HEADER", "X-Real-IP:", nil, badHeader},
	{"header-line", "CLIENT_ADDRESS_HEADER", "X\r\nY", nil, badHeader},
	{"timeout-no-unit", "MIRROR_CHECK_TIMEOUT", "1", nil, notDuration},
	{"timeout-zero", "MIRROR_CHECK_TIMEOUT", "0s", nil, notPositive},
	{"timeout-negative", "MIRROR_CHECK_TIMEOUT", "-1s", nil, notPositive},
	{"timeout-longest", "MIRROR_CHECK_TIMEOUT", "1.5s", nil, ""},
	{"timeout-too-long", "MIRROR_CHECK_TIMEOUT", "1501ms", nil, tooLong},
	{"health-interval-long", "MIRROR_HEALTH_INTERVAL", "1h", nil, ""},
	{"interval-zero", "MIRROR_HEALTH_INTERVAL", "0", nil, notPositive},
	{"interval-word", "MIRROR_HEALTH_INTERVAL", "often", nil, notDuration},
	{"budget-off", "FAILOVER_BUDGET", "0", nil, ""},
	{"budget-largest", "FAILOVER_BUDGET", "1000000", nil, ""},
	{"budget-too-large", "FAILOVER_BUDGET", "1000001", nil, badRate},
	{"budget-negative", "FAILOVER_BUDGET", "-1", nil, badRate},
	{"budget-nan", "FAILOVER_BUDGET", "NaN", nil, badRate},
	{"budget-infinite", "FAILOVER_BUDGET", "Inf", nil, badRate},
	{"budget-word", "FAILOVER_BUDGET", "many", nil, badRate},
	{"hosts", "VIEWER_HOSTS", "registry.example.com, a-b.c1,xn--bcher-kva.example", nil, ""},
	{"hosts-with-base-url", "VIEWER_HOSTS", "registry.example.com", withDefault(""), ""},
	{"hosts-of-cloudfront", "VIEWER_HOSTS", "d111111abcdef8.cloudfront.net", nil, ""},
	{"hosts-longest-label", "VIEWER_HOSTS", strings.Repeat("a", 63) + ".example", nil, ""},
	{"hosts-longest", "VIEWER_HOSTS", strings.Repeat("a.", 126) + "b", nil, ""},
	{"hosts-label-too-long", "VIEWER_HOSTS", strings.Repeat("a", 64) + ".example", nil, badHost(strings.Repeat("a", 64) + ".example")},
	{"hosts-too-long", "VIEWER_HOSTS", strings.Repeat("a.", 126) + "bb", nil, badHost(strings.Repeat("a.", 126) + "bb")},
	{"hosts-upper-case", "VIEWER_HOSTS", "Registry.example.com", nil, badHost("Registry.example.com")},
	{"hosts-one-label", "VIEWER_HOSTS", "localhost", nil, badHost("localhost")},
	{"hosts-final-dot", "VIEWER_HOSTS", "registry.example.com.", nil, badHost("registry.example.com.")},
	{"hosts-first-dot", "VIEWER_HOSTS", ".example.com", nil, badHost(".example.com")},
	{"hosts-two-dots", "VIEWER_HOSTS", "a..example.com", nil, badHost("a..example.com")},
	{"hosts-hyphen-first", "VIEWER_HOSTS", "-a.example.com", nil, badHost("-a.example.com")},
	{"hosts-hyphen-last", "VIEWER_HOSTS", "a-.example.com", nil, badHost("a-.example.com")},
	{"hosts-underscore", "VIEWER_HOSTS", "a_b.example.com", nil, badHost("a_b.example.com")},
	{"hosts-wildcard", "VIEWER_HOSTS", "*.example.com", nil, badHost("*.example.com")},
	{"hosts-url", "VIEWER_HOSTS", "https://registry.example.com", nil, badHost("https://registry.example.com")},
	{"hosts-port", "VIEWER_HOSTS", "registry.example.com:443", nil, badHost("registry.example.com:443")},
	{"hosts-path", "VIEWER_HOSTS", "registry.example.com/", nil, badHost("registry.example.com/")},
	{"hosts-user", "VIEWER_HOSTS", "user@registry.example.com", nil, badHost("user@registry.example.com")},
	{"hosts-address", "VIEWER_HOSTS", "192.0.2.1", nil, badHost("192.0.2.1")},
	{"hosts-address-ipv6", "VIEWER_HOSTS", "[2001:db8::1]", nil, badHost("[2001:db8::1]")},
	{"hosts-not-ascii", "VIEWER_HOSTS", "bücher.example", nil, badHost("bücher.example")},
	{"hosts-line", "VIEWER_HOSTS", "registry.example.com\r\nX: y", nil, badHost("registry.example.com\r\nX: y")},
	{"hosts-empty-item", "VIEWER_HOSTS", "registry.example.com,", nil, badHost("")},
	{"hosts-twice", "VIEWER_HOSTS", "a.example.com,b.example.com,a.example.com", nil, duplicateHost},
	{"info", "INFO_URL", "https://info.example/a%20b?q=1#top", nil, ""},
	{"info-loopback", "INFO_URL", "http://localhost:8080/", nil, ""},
	{"info-http", "INFO_URL", "http://info.example/", nil, notHTTPS},
	{"info-script", "INFO_URL", "javascript:alert(1)", nil, notHTTPS},
	{"info-user", "INFO_URL", "https://user@info.example/", nil, "has user info: want an https URL without it"},
	{"info-path", "INFO_URL", "/info", nil, notHTTPS},
	{"info-line", "INFO_URL", "https://info.example/\r\nSet-Cookie:a", nil, notPage},
	{"info-not-ascii", "INFO_URL", "https://info.example/é", nil, notPage},
	{"info-none", "INFO_URL", "none", nil, notHTTPS},
	{"privacy", "PRIVACY_URL", "https://privacy.example", nil, ""},
	{"registry-host", "REGISTRY_HOST", "registry.example.com", nil, ""},
	{"registry-host-loopback", "REGISTRY_HOST", "127.0.0.1:8081", nil, ""},
	{"registry-host-port", "REGISTRY_HOST", "registry.example.com:443", nil, badRegistryHost},
	{"registry-host-address", "REGISTRY_HOST", "192.0.2.1:8081", nil, badRegistryHost},
	{"registry-host-markup", "REGISTRY_HOST", "<b>", nil, badRegistryHost},
	{"page-title", "PAGE_TITLE", "Images & more: \"Bücher\"", nil, ""},
	{"page-title-longest", "PAGE_TITLE", strings.Repeat("ü", 80), nil, ""},
	{"page-title-markup", "PAGE_TITLE", "<script>alert(1)</script>", nil, markup},
	{"page-title-line", "PAGE_TITLE", "a\nb", nil, markup},
	{"page-title-direction", "PAGE_TITLE", "a\u202eb", nil, markup},
	{"page-title-not-utf8", "PAGE_TITLE", "a\xff", nil, markup},
	{"page-title-space", "PAGE_TITLE", " a", nil, "has spaces at the beginning or end: want text without them"},
	{"page-text-longest", "PAGE_TEXT", strings.Repeat("a", 600), nil, ""},
	{"page-text-markup", "PAGE_TEXT", "a <b>", nil, markup},
	{"page-contact-email", "PAGE_CONTACT", "Registry.Team+pull@example.com", nil, ""},
	{"page-contact-url", "PAGE_CONTACT", "https://example.com/@team", nil, ""},
	{"page-contact-name", "PAGE_CONTACT", "the team", nil, "neither an email address nor a URL: want for example registry@example.com"},
	{"page-contact-script", "PAGE_CONTACT", "javascript://example.com/%0aalert(1)", nil, notHTTPS},
	{"page-contact-quote", "PAGE_CONTACT", "a\"b@example.com", nil, badEmail},
	{"page-contact-no-user", "PAGE_CONTACT", "@example.com", nil, badEmail},
	{"page-contact-no-host", "PAGE_CONTACT", "a@b", nil, badEmail},
	{"privacy-http", "PRIVACY_URL", "http://privacy.example", nil, notHTTPS},
	{"level-error", "LOG_LEVEL", "error", nil, ""},
	{"level-warn", "LOG_LEVEL", "warn", nil, ""},
	{"level-upper-case", "LOG_LEVEL", "INFO", nil, unknownLevel(` (did you mean "info"?)`)},
	{"level-offset", "LOG_LEVEL", "info+2", nil, unknownLevel(` (did you mean "info"?)`)},
	{"level-word", "LOG_LEVEL", "loud", nil, unknownLevel("")},
}

func TestValues(t *testing.T) {
	t.Parallel()
	for _, tt := range valueTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := environment(tt.others...)
			env[tt.variable] = tt.value
			expect(t, env, tt.variable, tt.value, tt.problem)
		})
	}
}

// expect checks that an environment is valid and survives Env, or that the error
// is one line with that one problem of that one variable.
func expect(t *testing.T, env map[string]string, variable, value, problem string) {
	t.Helper()
	if problem == "" {
		roundTrip(t, env)
		return
	}
	c, err := Load(with(env))
	if c != nil || err == nil {
		t.Fatalf("Load accepts %s=%q, want an error", variable, value)
	}
	want := fmt.Sprintf("%s%s=%q: %s", ErrorPrefix, variable, value, problem)
	if got := err.Error(); got != want || strings.ContainsAny(got, "\r\n") {
		t.Errorf("error %s\nwant  %s", got, want)
	}
}

// TestBaseURL tests the URLs that paths are appended to, by the example of one
// variable.
func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, url, want, problem string
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
		{"http", "http://d.example", "", notHTTPS},
		{"http-private", "http://10.0.0.1", "", notHTTPS},
		{"http-any", "http://0.0.0.0", "", notHTTPS},
		{"http-alike", "http://127.0.0.1.example", "", notHTTPS},
		{"http-alike-name", "http://notlocalhost", "", notHTTPS},
		{"http-user", "http://localhost@d.example", "", notHTTPS},
		{"scheme", "ftp://d.example", "", notHTTPS},
		{"scheme-loopback", "ftp://127.0.0.1", "", notHTTPS},
		{"port-only", "https://:443", "", notHTTPS},
		{"no-scheme", "//d.example", "", notHTTPS},
		{"no-host", "https:///a", "", notURL},
		{"one-slash", "https:/d.example", "", notURL},
		{"backslash", `https://d.example\a`, "", notURL},
		{"space", "https://d.example/a b", "", notURL},
		{"escape", "https://d.example/a%2fb", "", notURL},
		{"control", "https://d.example/\x7f", "", notURL},
		{"not-ascii", "https://d.exämple", "", notURL},
		{"user", "https://user:secret@d.example", "", notBare},
		{"query", "https://d.example/?a", "", notBare},
		{"query-empty", "https://d.example/?", "", notBare},
		{"fragment", "https://d.example/#a", "", notBare},
		{"fragment-empty", "https://d.example/#", "", notBare},
		{"segment-empty", "https://d.example/a//b", "", badSegments},
		{"segment-empty-last", "https://d.example//", "", badSegments},
		{"segment-dot", "https://d.example/./a", "", badSegments},
		{"segment-dots-last", "https://d.example/a/..", "", badSegments},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := environment("DEFAULT_AWS_BASE_URL", tt.url)
			if tt.problem != "" {
				expect(t, env, "DEFAULT_AWS_BASE_URL", tt.url, tt.problem+orHost)
				return
			}
			roundTrip(t, env)
			if c := load(t, env); c.DefaultMirror != tt.want || c.DefaultMirrorCheck != tt.want {
				t.Errorf("DefaultMirror %q, DefaultMirrorCheck %q; want %q", c.DefaultMirror, c.DefaultMirrorCheck, tt.want)
			}
		})
	}
}
