package config

import (
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/ranges"
)

// environment is the smallest one that loads, with pairs of name and value
// on top.
func environment(pairs ...string) map[string]string {
	env := map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example"}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return env
}

// with reads a map as os.Getenv reads the environment.
func with(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

func load(t *testing.T, env map[string]string) *Config {
	t.Helper()
	c, err := Load(with(env))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// full sets every variable to something else than its default.
var full = environment(
	"UPSTREAM_REGISTRY_PATH", "project/images",
	"SIGNATURE_UPSTREAM_ENDPOINT", "https://signatures.example/",
	"DEFAULT_AWS_BASE_URL", "https://d.example/mirror/",
	"DEFAULT_MIRROR_CHECK_URL", "https://bucket.example",
	"MIRROR_REGIONS", "eu-west-1, us-east-1,ap-east-1",
	"MIRROR_URL_TEMPLATE", "https://mirror-{region}.s3.{region}.example/",
	"MIRROR_URL_OVERRIDES", "us-east-1=https://other.example/a=b/, ap-east-1=http://127.0.0.1:9000",
	"MIRROR_FOR", "cn-north-1:ap-east-1,us-south-1:us-east-1, eu-west-1:us-east-1",
	"UPSTREAM_CLOUDS", "azure, GCP",
	"CLIENT_ADDRESS_HEADER", "CloudFront-Viewer-Address",
	"MIRROR_CHECK_TIMEOUT", "1500ms",
	"MIRROR_HEALTH_INTERVAL", "1m",
	"MIRROR_INDEX_REFRESH", "10m",
	"MIRROR_INDEX_MAX_AGE", "12h",
	"FAILOVER_BUDGET", "2.50",
	"INFO_URL", "https://info.example/?q=1#top",
	"PRIVACY_URL", "none",
	"LOG_LEVEL", "debug",
	"AWS_REGION", "eu-central-1",
)

func TestLoad(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		want Config
	}{
		{"defaults", environment(), Config{
			Upstream:       "https://registry.example",
			MirrorFor:      map[string]int{},
			UpstreamClouds: []ranges.Cloud{ranges.GCP},
			CheckTimeout:   time.Second,
			HealthInterval: 10 * time.Second,
			IndexRefresh:   5 * time.Minute,
			IndexMaxAge:    24 * time.Hour,
			InfoURL:        documentation,
			PrivacyURL:     documentation,
			LogLevel:       slog.LevelInfo,
			overrides:      map[string]string{},
		}},
		{"full", full, Config{
			Upstream:           "https://registry.example",
			Prefix:             "project/images",
			SignatureUpstream:  "https://signatures.example",
			DefaultMirror:      "https://d.example/mirror",
			DefaultMirrorCheck: "https://bucket.example",
			Mirrors: []Mirror{
				{"eu-west-1", "https://mirror-eu-west-1.s3.eu-west-1.example"},
				{"us-east-1", "https://other.example/a=b"},
				{"ap-east-1", "http://127.0.0.1:9000"},
			},
			MirrorFor:           map[string]int{"cn-north-1": 2, "us-south-1": 1, "eu-west-1": 1},
			UpstreamClouds:      []ranges.Cloud{ranges.Azure, ranges.GCP},
			ClientAddressHeader: "cloudfront-viewer-address",
			CheckTimeout:        1500 * time.Millisecond,
			HealthInterval:      time.Minute,
			IndexRefresh:        10 * time.Minute,
			IndexMaxAge:         12 * time.Hour,
			FailoverBudget:      2.5,
			InfoURL:             "https://info.example/?q=1#top",
			LogLevel:            slog.LevelDebug,
			Region:              "eu-central-1",

			template:  "https://mirror-{region}.s3.{region}.example/",
			overrides: map[string]string{"us-east-1": "https://other.example/a=b", "ap-east-1": "http://127.0.0.1:9000"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := load(t, tt.env); !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", *got, tt.want)
			}
		})
	}
}

// TestEmptyCountsAsNotSet: what deploys the function cannot always leave a
// variable out.
func TestEmptyCountsAsNotSet(t *testing.T) {
	env := environment()
	for _, v := range Variables {
		if _, ok := env[v.Name]; !ok {
			env[v.Name] = ""
		}
	}
	if got, want := load(t, env), load(t, environment()); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestVariables: the list is what Load reads and what Env writes, and the
// defaults in it are those of the specification.
func TestVariables(t *testing.T) {
	defaults := map[string]string{
		"UPSTREAM_CLOUDS": "GCP", "MIRROR_CHECK_TIMEOUT": "1s", "MIRROR_HEALTH_INTERVAL": "10s",
		"MIRROR_INDEX_REFRESH": "5m", "MIRROR_INDEX_MAX_AGE": "24h",
		"FAILOVER_BUDGET": "0", "LOG_LEVEL": "info", "INFO_URL": documentation, "PRIVACY_URL": documentation,
	}
	var listed []string
	for _, v := range Variables {
		listed = append(listed, v.Name)
		if v.Default != defaults[v.Name] {
			t.Errorf("%s is %q by default, want %q", v.Name, v.Default, defaults[v.Name])
		}
	}
	slices.Sort(listed)
	if want := slices.Sorted(maps.Keys(full)); !slices.Equal(slices.Sorted(slices.Values(append(listed, "AWS_REGION"))), want) {
		t.Errorf("listed are %q, want %q", listed, want)
	}

	read := map[string]bool{}
	c, err := Load(func(name string) string { read[name] = true; return full[name] })
	if err != nil {
		t.Fatal(err)
	}
	// Lambda sets that one, so nobody is told about it.
	delete(read, "AWS_REGION")
	if got := slices.Sorted(maps.Keys(read)); !slices.Equal(got, listed) {
		t.Errorf("Load reads %q, listed are %q", got, listed)
	}
	if got := slices.Sorted(maps.Keys(c.Env())); !slices.Equal(got, listed) {
		t.Errorf("Env writes %q, listed are %q", got, listed)
	}
}

// roundTrips are environments that must load to the same from what Env makes
// of them, beside all that TestValues accepts.
var roundTrips = map[string]map[string]string{
	"defaults":        environment(),
	"full":            full,
	"no-clouds":       environment("UPSTREAM_CLOUDS", "none"),
	"no-index":        environment("MIRROR_INDEX_REFRESH", "none"),
	"no-pages":        environment("INFO_URL", "none", "PRIVACY_URL", "none"),
	"same-host":       environment("DEFAULT_AWS_BASE_URL", "/", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example/"),
	"check-elsewhere": environment("DEFAULT_AWS_BASE_URL", "https://d.example", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example"),
	"check-the-same":  environment("DEFAULT_AWS_BASE_URL", "https://d.example", "DEFAULT_MIRROR_CHECK_URL", "https://d.example/"),
}

func TestEnv(t *testing.T) {
	for name, env := range roundTrips {
		t.Run(name, func(t *testing.T) { roundTrip(t, env) })
	}
}

// roundTrip loads what Env writes; the configuration must be the same, and
// so must be what it is written as again.
func roundTrip(t *testing.T, env map[string]string) *Config {
	t.Helper()
	c := load(t, env)
	written := c.Env()
	if _, ok := written["AWS_REGION"]; ok {
		t.Error("Env sets AWS_REGION, which is Lambda's")
	}
	again := maps.Clone(written)
	again["AWS_REGION"] = env["AWS_REGION"]
	back := load(t, again)
	if !reflect.DeepEqual(c, back) {
		t.Errorf("of %v\ncame %+v\nthen %+v", env, c, back)
	}
	if rewritten := back.Env(); !maps.Equal(written, rewritten) {
		t.Errorf("first %v\nthen  %v", written, rewritten)
	}
	return c
}

// TestEnvIsDeterministic: what is deployed must not change by itself.
func TestEnvIsDeterministic(t *testing.T) {
	c := load(t, full)
	want := c.Env()
	for range 50 {
		if got := c.Env(); !maps.Equal(got, want) {
			t.Fatalf("%v, then %v", want, got)
		}
	}
	if got := want["MIRROR_FOR"]; got != "cn-north-1:ap-east-1,eu-west-1:us-east-1,us-south-1:us-east-1" {
		t.Errorf("MIRROR_FOR is written as %q", got)
	}
}

func TestMistakesAreReportedTogether(t *testing.T) {
	_, err := Load(with(map[string]string{
		"UPSTREAM_REGISTRY_PATH":   "/images",
		"DEFAULT_AWS_BASE_URL":     "d.example",
		"DEFAULT_MIRROR_CHECK_URL": "https://bucket.example",
		"MIRROR_CHECK_TIMEOUT":     "1",
		"MIRROR_REGIONS":           "us-east-1",
		"MIRROR_FOR":               "cn-north-1:eu-west-1",
		"LOG_LEVEL":                "loud",
	}))
	if err == nil {
		t.Fatal("no error")
	}
	text := err.Error()
	var named []string
	for _, v := range Variables {
		for range strings.Count(text, v.Name+`="`) {
			named = append(named, v.Name)
		}
	}
	want := []string{"UPSTREAM_REGISTRY_ENDPOINT", "UPSTREAM_REGISTRY_PATH", "DEFAULT_AWS_BASE_URL", "MIRROR_URL_TEMPLATE", "MIRROR_FOR", "MIRROR_CHECK_TIMEOUT", "LOG_LEVEL"}
	if strings.Contains(text, "\n") || !slices.Equal(named, want) {
		t.Errorf("named are %q, want %q: %v", named, want, err)
	}
}

// The index is read where the default mirror's blobs are looked for, else from
// the mirror nearest to the function.
func TestIndexURL(t *testing.T) {
	const index = "/containers/images/index.v1"
	mirrors := []string{"MIRROR_REGIONS", "us-east-1,eu-west-1", "MIRROR_URL_TEMPLATE", "https://{region}.example"}
	for _, tt := range []struct {
		name  string
		pairs []string
		want  string
	}{
		{"no-mirror", nil, ""},
		{"default-mirror", append([]string{"DEFAULT_AWS_BASE_URL", "https://d.example"}, mirrors...), "https://d.example" + index},
		{"same-host", append([]string{"DEFAULT_AWS_BASE_URL", "/", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example"}, mirrors...), "https://bucket.example" + index},
		{"nearest", append([]string{"AWS_REGION", "eu-central-1"}, mirrors...), "https://eu-west-1.example" + index},
		{"own", append([]string{"AWS_REGION", "us-east-1"}, mirrors...), "https://us-east-1.example" + index},
		{"no-region", mirrors, "https://us-east-1.example" + index},
		{"not-wanted", append([]string{"MIRROR_INDEX_REFRESH", "none"}, mirrors...), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := load(t, environment(tt.pairs...)).IndexURL(); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
