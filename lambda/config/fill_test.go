package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// fillEnvironment returns the smallest valid environment with pairs of name and
// value added.
func fillEnvironment(pairs ...string) map[string]string {
	env := map[string]string{
		"FILL_SOURCE":  "registry.example",
		"FILL_BUCKETS": "mirror@us-east-1",
		"FILL_STATE":   "state",
		"FILL_QUEUE":   "https://sqs.us-east-1.amazonaws.com/123456789012/fill",
	}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return env
}

// fullFill sets every variable to a value other than its default.
var fullFill = fillEnvironment(
	"FILL_SOURCE", "us-docker.pkg.dev/project/images",
	"FILL_BUCKETS", "mirror-b@us-east-1, mirror-a@eu-central-1",
	"FILL_FILLING", "eu-central-1",
	"FILL_STATE", "mirror-state",
	"FILL_RATE", "2.50",
	"FILL_REFERRERS", "false",
	"FILL_REPOSITORIES", "team/**, base",
	"FILL_TAGS", "v*,latest",
	"FILL_EXCLUDE_TAGS", "*-rc*",
	"FILL_PLATFORMS", "linux/amd64, linux/arm64/v8",
	"FILL_ALLOW_EMPTY", "true",
	"FILL_SECRET", "arn:aws:secretsmanager:us-east-1:123456789012:secret:registry/upstream-AbCdEf",
)

func loadFill(t *testing.T, env map[string]string) *Fill {
	t.Helper()
	f, err := LoadFill(with(env))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLoadFill(t *testing.T) {
	t.Parallel()
	const queue = "https://sqs.us-east-1.amazonaws.com/123456789012/fill"
	for _, tt := range []struct {
		name string
		env  map[string]string
		want Fill
	}{
		{"defaults", fillEnvironment(), Fill{
			Source: "registry.example", Buckets: []Bucket{{Name: "mirror", Region: "us-east-1"}}, State: Bucket{Name: "state"}, Queue: queue, Referrers: true,
		}},
		{"full", fullFill, Fill{
			Source: "us-docker.pkg.dev/project/images", Buckets: []Bucket{{Name: "mirror-b", Region: "us-east-1"}, {Name: "mirror-a", Region: "eu-central-1", Filling: true}},
			State: Bucket{Name: "mirror-state"}, Queue: queue, Rate: 2.5,
			Repositories: []string{"team/**", "base"}, Tags: []string{"v*", "latest"}, ExcludeTags: []string{"*-rc*"}, Platforms: []string{"linux/amd64", "linux/arm64/v8"}, AllowEmpty: true,
			Secret: "arn:aws:secretsmanager:us-east-1:123456789012:secret:registry/upstream-AbCdEf",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := loadFill(t, tt.env); !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", *got, tt.want)
			}
			fillRoundTrip(t, tt.env)
		})
	}
}

// fillRoundTrip loads what Env returns, as roundTrip does.
func fillRoundTrip(t *testing.T, env map[string]string) {
	t.Helper()
	f := loadFill(t, env)
	written := f.Env()
	back := loadFill(t, written)
	if !reflect.DeepEqual(f, back) {
		t.Errorf("environment %v\nloads as %+v\nthen    %+v", env, f, back)
	}
	if rewritten := back.Env(); !maps.Equal(written, rewritten) {
		t.Errorf("Env returns %v\nthen        %v", written, rewritten)
	}
}

// TestFillVariables compares the table with what LoadFill reads and Env returns.
// No name may be one of the redirector's.
func TestFillVariables(t *testing.T) {
	t.Parallel()
	defaults := map[string]string{"FILL_RATE": "0", "FILL_REFERRERS": "true", "FILL_ALLOW_EMPTY": "false"}
	var listed []string
	for _, v := range FillVariables {
		listed = append(listed, v.Name)
		if v.Default != defaults[v.Name] {
			t.Errorf("%s: default %q, want %q", v.Name, v.Default, defaults[v.Name])
		}
		if slices.ContainsFunc(Variables[:], func(other Variable) bool { return other.Name == v.Name }) {
			t.Errorf("%s is in Variables too", v.Name)
		}
	}
	slices.Sort(listed)
	if want := slices.Sorted(maps.Keys(fullFill)); !slices.Equal(listed, want) {
		t.Errorf("FillVariables has %q, want %q", listed, want)
	}
	read := map[string]bool{}
	f, err := LoadFill(func(name string) string { read[name] = true; return fullFill[name] })
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(read)); !slices.Equal(got, listed) {
		t.Errorf("LoadFill reads %q, FillVariables has %q", got, listed)
	}
	if got := slices.Sorted(maps.Keys(f.Env())); !slices.Equal(got, listed) {
		t.Errorf("Env returns %q, FillVariables has %q", got, listed)
	}
}

// What is wrong with values, as the errors say it.
const (
	badSource    = "invalid source: want REGISTRY or REGISTRY/PREFIX without a scheme, for example us-docker.pkg.dev/project/images"
	badBucket    = "invalid bucket name: want the name of the state bucket"
	badSecret    = "invalid secret ID: want the name or ARN of a secret"
	notBoolean   = "not a boolean: want true or false"
	wantsBuckets = ": want name@region, comma-separated, the primary first"
	wantsFilling = ": want regions of FILL_BUCKETS other than the primary's, comma-separated"
)

func badName(name string) string { return fmt.Sprintf("invalid bucket name %q", name) + wantsBuckets }

func badPattern(pattern string) string {
	return fmt.Sprintf("invalid pattern %q: want names, or patterns such as v1.* or team/**, comma-separated", pattern)
}

// fillTests set one variable; problem is what the error says, empty if the value
// is valid.
var fillTests = []struct{ name, variable, value, problem string }{
	{"filling-none", "FILL_FILLING", "", ""},
	{"filling-primary", "FILL_FILLING", "us-east-1", `"us-east-1" is the primary's region` + wantsFilling},
	{"filling-elsewhere", "FILL_FILLING", "eu-west-1", `"eu-west-1" is not in FILL_BUCKETS` + wantsFilling},
	{"filling-misspelled", "FILL_FILLING", "us-esat-1", `"us-esat-1" is not in FILL_BUCKETS (did you mean "us-east-1"?)` + wantsFilling},
	{"source-port", "FILL_SOURCE", "registry.example:8443", ""},
	{"source-loopback", "FILL_SOURCE", "127.0.0.1:5000/images", ""},
	{"source-missing", "FILL_SOURCE", "", badSource},
	{"source-scheme", "FILL_SOURCE", "https://registry.example", badSource},
	{"source-no-host", "FILL_SOURCE", "/images", badSource},
	{"source-slash-last", "FILL_SOURCE", "registry.example/", badSource},
	{"source-two-slashes", "FILL_SOURCE", "registry.example//images", badSource},
	{"source-upper-case", "FILL_SOURCE", "registry.example/Images", badSource},
	{"source-dots", "FILL_SOURCE", "registry.example/a/../b", badSource},
	{"source-user", "FILL_SOURCE", "user@registry.example", badSource},
	{"source-ipv6", "FILL_SOURCE", "[::1]:5000", badSource},
	{"source-line", "FILL_SOURCE", "registry.example\nx", badSource},
	{"source-not-ascii", "FILL_SOURCE", "exämple.example", badSource},

	{"buckets-short", "FILL_BUCKETS", "mirror@us-east-1,mi@us-east-1", badName("mi")},
	{"buckets-one-region", "FILL_BUCKETS", "mirror-a@us-east-1,mirror-b@us-east-1", ""},
	{"buckets-dots", "FILL_BUCKETS", "mirror.example@ap-east-1", ""},
	{"buckets-longest", "FILL_BUCKETS", strings.Repeat("b", 63) + "@us-east-1", ""},
	{"buckets-too-long", "FILL_BUCKETS", strings.Repeat("b", 64) + "@us-east-1", badName(strings.Repeat("b", 64))},
	{"buckets-missing", "FILL_BUCKETS", "", "required" + wantsBuckets},
	{"buckets-no-region", "FILL_BUCKETS", "mirror", `unknown region ""` + wantsBuckets},
	{"buckets-empty-region", "FILL_BUCKETS", "mirror@", `unknown region ""` + wantsBuckets},
	{"buckets-unknown-region", "FILL_BUCKETS", "mirror@mars-north-1", `unknown region "mars-north-1"` + wantsBuckets},
	{"buckets-misspelled-region", "FILL_BUCKETS", "mirror@us-esat-1", `unknown region "us-esat-1" (did you mean "us-east-1"?)` + wantsBuckets},
	{"buckets-other-cloud", "FILL_BUCKETS", "mirror@westeurope", `unknown region "westeurope"` + wantsBuckets},
	{"buckets-upper-case", "FILL_BUCKETS", "Mirror@us-east-1", badName("Mirror")},
	{"buckets-slash", "FILL_BUCKETS", "mirror/a@us-east-1", badName("mirror/a")},
	{"buckets-twice", "FILL_BUCKETS", "mirror@us-east-1,mirror@eu-west-1", `duplicate bucket "mirror": want each bucket once`},
	{"buckets-empty-item", "FILL_BUCKETS", "mirror@us-east-1,", badName("")},

	{"state", "FILL_STATE", "mirror-state-123456789012-us-east-1-an", ""},
	{"state-missing", "FILL_STATE", "", badBucket},
	{"state-short", "FILL_STATE", "st", badBucket},
	{"state-region", "FILL_STATE", "state@us-east-1", ""},
	{"state-region-unknown", "FILL_STATE", "state@us-east-9", `unknown region "us-east-9" (did you mean "us-east-1"?): want name@region`},
	{"state-upper-case", "FILL_STATE", "State", badBucket},

	{"queue-slash", "FILL_QUEUE", "https://sqs.us-east-1.amazonaws.com/123456789012/fill/", ""},
	{"queue-loopback", "FILL_QUEUE", "http://localhost:4566/000000000000/fill", ""},
	{"queue-missing", "FILL_QUEUE", "", notURL},
	{"queue-name", "FILL_QUEUE", "fill", notURL},
	{"queue-arn", "FILL_QUEUE", "arn:aws:sqs:us-east-1:123456789012:fill", notURL},
	{"queue-http", "FILL_QUEUE", "http://sqs.us-east-1.amazonaws.com/123456789012/fill", notHTTPS},
	{"queue-query", "FILL_QUEUE", "https://sqs.us-east-1.amazonaws.com/?Action=SendMessage", notBare},

	{"rate-part", "FILL_RATE", "0.1", ""},
	{"rate-third", "FILL_RATE", "3.3333333333333335", ""},
	{"rate-largest", "FILL_RATE", "1000000", ""},
	{"rate-too-large", "FILL_RATE", "1000001", badRate},
	{"rate-negative", "FILL_RATE", "-1", badRate},
	{"rate-nan", "FILL_RATE", "NaN", badRate},
	{"rate-word", "FILL_RATE", "fast", badRate},

	{"referrers-true", "FILL_REFERRERS", "true", ""},
	{"referrers-upper-case", "FILL_REFERRERS", "True", notBoolean},
	{"referrers-number", "FILL_REFERRERS", "1", notBoolean},
	{"referrers-word", "FILL_REFERRERS", "yes", notBoolean},

	{"repositories", "FILL_REPOSITORIES", "app, team/app,team/*,**/debug", ""},
	{"repositories-slash-first", "FILL_REPOSITORIES", "/app", badPattern("/app")},
	{"repositories-empty-item", "FILL_REPOSITORIES", "app,", badPattern("")},
	{"repositories-space", "FILL_REPOSITORIES", "team app", badPattern("team app")},
	{"tags", "FILL_TAGS", "v[0-9]*,latest,release-?", ""},
	{"tags-open-class", "FILL_TAGS", "v[0-9", badPattern("v[0-9")},
	{"exclude-tags", "FILL_EXCLUDE_TAGS", "*-rc*", ""},
	{"exclude-tags-line", "FILL_EXCLUDE_TAGS", "a\nb", badPattern("a\nb")},
	{"platforms", "FILL_PLATFORMS", "linux/amd64,linux/arm/v7,windows/*", ""},
	{"platforms-two-slashes", "FILL_PLATFORMS", "linux//amd64", badPattern("linux//amd64")},
	{"allow-empty", "FILL_ALLOW_EMPTY", "true", ""},
	{"allow-empty-word", "FILL_ALLOW_EMPTY", "yes", notBoolean},

	{"secret-name", "FILL_SECRET", "registry/upstream_1+=.@-", ""},
	{"secret-longest", "FILL_SECRET", strings.Repeat("s", 2048), ""},
	{"secret-too-long", "FILL_SECRET", strings.Repeat("s", 2049), badSecret},
	{"secret-space", "FILL_SECRET", "my secret", badSecret},
	{"secret-itself", "FILL_SECRET", `{"auths":{}}`, badSecret},
}

func TestFillValues(t *testing.T) {
	t.Parallel()
	tried := map[string]bool{}
	for _, tt := range fillTests {
		tried[tt.variable] = tried[tt.variable] || tt.problem != ""
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := fillEnvironment(tt.variable, tt.value)
			if tt.problem == "" {
				fillRoundTrip(t, env)
				return
			}
			f, err := LoadFill(with(env))
			if f != nil || err == nil {
				t.Fatalf("LoadFill accepts %s=%q, want an error", tt.variable, tt.value)
			}
			if want := fmt.Sprintf("%s%s=%q: %s", ErrorPrefix, tt.variable, tt.value, tt.problem); err.Error() != want {
				t.Errorf("error %s\nwant  %s", err, want)
			}
		})
	}
	for _, v := range FillVariables {
		if !tried[v.Name] {
			t.Errorf("no invalid value of %s is tested", v.Name)
		}
	}
}

func TestFillReportsAllProblems(t *testing.T) {
	t.Parallel()
	_, err := LoadFill(with(map[string]string{"FILL_RATE": "fast", "FILL_REFERRERS": "yes"}))
	if err == nil {
		t.Fatal("no error")
	}
	text := err.Error()
	at := 0
	for _, name := range []string{"FILL_SOURCE", "FILL_BUCKETS", "FILL_STATE", "FILL_QUEUE", "FILL_RATE", "FILL_REFERRERS"} {
		i := strings.Index(text, name+`="`)
		if i < at {
			t.Errorf("%s is missing or out of order in %q", name, text)
		}
		at = max(at, i)
	}
	if strings.Contains(text, "\n") || strings.Contains(text, "FILL_SECRET") {
		t.Errorf("error %q, want one line without FILL_SECRET", text)
	}
}
