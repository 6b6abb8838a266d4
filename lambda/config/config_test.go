package config

import (
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/lambda/upstreams"
	"archeio/ranges"
)

// environment returns the smallest valid environment with pairs of name and value
// added.
func environment(pairs ...string) map[string]string {
	env := map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example"}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return env
}

// with returns a function that reads a map as os.Getenv reads the environment.
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

// full sets every variable, all but SINGLE_HOST to a value other than its default.
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
	"MIRROR_INDEX_MAX_AGE", "36h",
	"RANGES_REFRESH", "30m",
	"RANGES_MAX_AGE", "240h",
	"FAILOVER_BUDGET", "2.50",
	"VIEWER_HOSTS", "registry.example.com, images.example.com",
	"UPSTREAM_ACCESS", "token",
	"UPSTREAM_TOKEN_HOSTS", "auth.example.com, 127.0.0.1:5001",
	"UPSTREAM_BLOB_HOSTS", "*.example.com,localhost:7070",
	"TAG_MAX_AGE", "2m",
	"UPSTREAM_RATE", "0.5",
	"SINGLE_HOST", "false",
	"INFO_URL", "https://info.example/?q=1#top",
	"PRIVACY_URL", "https://privacy.example/",
	"REGISTRY_HOST", "registry.example.com",
	"PAGE_TITLE", "Images of the project",
	"PAGE_CONTACT", "registry@example.com",
	"PAGE_TEXT", "Bücher & \"images\", for all.",
	"LOG_LEVEL", "debug",
	"AWS_REGION", "eu-central-1",
)

func TestLoad(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		env  map[string]string
		want Config
	}{
		{"defaults", environment(), Config{
			Upstream:       "https://registry.example",
			Access:         upstreams.Open,
			MirrorFor:      map[string]int{},
			UpstreamClouds: []ranges.Cloud{ranges.GCP},
			CheckTimeout:   time.Second,
			HealthInterval: 10 * time.Second,
			IndexRefresh:   5 * time.Minute,
			IndexMaxAge:    IndexMaxAge,
			RangesRefresh:  time.Hour,
			RangesMaxAge:   720 * time.Hour,
			LogLevel:       slog.LevelInfo,
			overrides:      map[string]string{},
		}},
		{"full", full, Config{
			Upstream:          "https://registry.example",
			Prefix:            "project/images",
			SignatureUpstream: "https://signatures.example",
			Access:            upstreams.Token,
			Relay: Relay{
				TokenHosts: []string{"auth.example.com", "127.0.0.1:5001"},
				BlobHosts:  []string{"*.example.com", "localhost:7070"},
				TagMaxAge:  2 * time.Minute,
				Rate:       0.5,
			},
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
			IndexMaxAge:         36 * time.Hour,
			RangesRefresh:       30 * time.Minute,
			RangesMaxAge:        240 * time.Hour,
			FailoverBudget:      2.5,
			ViewerHosts:         []string{"registry.example.com", "images.example.com"},
			InfoURL:             "https://info.example/?q=1#top",
			PrivacyURL:          "https://privacy.example/",
			RegistryHost:        "registry.example.com",
			PageTitle:           "Images of the project",
			PageContact:         "registry@example.com",
			PageText:            "Bücher & \"images\", for all.",
			LogLevel:            slog.LevelDebug,
			Region:              "eu-central-1",

			template:  "https://mirror-{region}.s3.{region}.example/",
			overrides: map[string]string{"us-east-1": "https://other.example/a=b", "ap-east-1": "http://127.0.0.1:9000"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := load(t, tt.env); !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", *got, tt.want)
			}
		})
	}
}

// Empty variables count as not set: the environment of a deployed function has
// all of them.
func TestEmptyCountsAsNotSet(t *testing.T) {
	t.Parallel()
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

// TestVariables compares the table with what Load reads and Env returns, and its
// defaults with the specification.
func TestVariables(t *testing.T) {
	t.Parallel()
	defaults := map[string]string{
		"UPSTREAM_CLOUDS": "GCP", "MIRROR_CHECK_TIMEOUT": "1s", "MIRROR_HEALTH_INTERVAL": "10s",
		"MIRROR_INDEX_REFRESH": "5m", "MIRROR_INDEX_MAX_AGE": "12h",
		"FAILOVER_BUDGET": "0", "LOG_LEVEL": "info", "UPSTREAM_ACCESS": "open", "SINGLE_HOST": "false",
		"RANGES_REFRESH": "1h", "RANGES_MAX_AGE": "720h",
	}
	var listed []string
	for _, v := range Variables {
		listed = append(listed, v.Name)
		if v.Default != defaults[v.Name] {
			t.Errorf("%s: default %q, want %q", v.Name, v.Default, defaults[v.Name])
		}
	}
	slices.Sort(listed)
	if want := slices.Sorted(maps.Keys(full)); !slices.Equal(slices.Sorted(slices.Values(append(listed, "AWS_REGION"))), want) {
		t.Errorf("Variables has %q, want %q", listed, want)
	}

	read := map[string]bool{}
	c, err := Load(func(name string) string { read[name] = true; return full[name] })
	if err != nil {
		t.Fatal(err)
	}
	// Lambda sets it, so it is not documented.
	delete(read, "AWS_REGION")
	if got := slices.Sorted(maps.Keys(read)); !slices.Equal(got, listed) {
		t.Errorf("Load reads %q, Variables has %q", got, listed)
	}
	if got := slices.Sorted(maps.Keys(c.Env())); !slices.Equal(got, listed) {
		t.Errorf("Env returns %q, Variables has %q", got, listed)
	}
}

// roundTrips are environments that must survive Env, in addition to the valid ones
// of valueTests.
var roundTrips = map[string]map[string]string{
	"defaults":        environment(),
	"full":            full,
	"no-clouds":       environment("UPSTREAM_CLOUDS", "none"),
	"no-index":        environment("MIRROR_INDEX_REFRESH", "none"),
	"no-ranges":       environment("RANGES_REFRESH", "none"),
	"same-host":       environment("DEFAULT_AWS_BASE_URL", "/", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example/"),
	"check-elsewhere": environment("DEFAULT_AWS_BASE_URL", "https://d.example", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example"),
	"token":           environment("UPSTREAM_REGISTRY_ENDPOINT", "https://ghcr.io", "UPSTREAM_ACCESS", "token"),
	"token-hub":       environment("UPSTREAM_REGISTRY_ENDPOINT", "https://registry-1.docker.io", "UPSTREAM_ACCESS", "token", "UPSTREAM_BLOB_HOSTS", "blobs.example.com"),
	"token-unknown":   environment("UPSTREAM_ACCESS", "token"),
	"single-host":     environment("DEFAULT_AWS_BASE_URL", "/", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example", "SINGLE_HOST", "true"),
	"check-the-same":  environment("DEFAULT_AWS_BASE_URL", "https://d.example", "DEFAULT_MIRROR_CHECK_URL", "https://d.example/"),
}

func TestEnv(t *testing.T) {
	t.Parallel()
	for name, env := range roundTrips {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roundTrip(t, env)
		})
	}
}

// roundTrip loads what Env returns: the configuration must be the same, and so
// must its own Env.
func roundTrip(t *testing.T, env map[string]string) *Config {
	t.Helper()
	c := load(t, env)
	written := c.Env()
	if _, ok := written["AWS_REGION"]; ok {
		t.Error("Env sets AWS_REGION, want it left to Lambda")
	}
	again := maps.Clone(written)
	again["AWS_REGION"] = env["AWS_REGION"]
	back := load(t, again)
	if !reflect.DeepEqual(c, back) {
		t.Errorf("environment %v\nloads as %+v\nthen    %+v", env, c, back)
	}
	if rewritten := back.Env(); !maps.Equal(written, rewritten) {
		t.Errorf("Env returns %v\nthen        %v", written, rewritten)
	}
	return c
}

// The environment must be deterministic, so that a deployment without changes
// changes nothing.
func TestEnvIsDeterministic(t *testing.T) {
	t.Parallel()
	c := load(t, full)
	want := c.Env()
	for range 50 {
		if got := c.Env(); !maps.Equal(got, want) {
			t.Fatalf("Env returns %v, then %v", want, got)
		}
	}
	if got := want["MIRROR_FOR"]; got != "cn-north-1:ap-east-1,eu-west-1:us-east-1,us-south-1:us-east-1" {
		t.Errorf("MIRROR_FOR is %q, want it sorted", got)
	}
}

func TestAllProblemsAreReported(t *testing.T) {
	t.Parallel()
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
		t.Fatal("no error, want one")
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
		t.Errorf("error names %q, want %q in one line: %v", named, want, err)
	}
}

func TestIndexURL(t *testing.T) {
	t.Parallel()
	const index = "/containers/images/index.v2"
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
		{"not-used", append([]string{"MIRROR_INDEX_REFRESH", "none"}, mirrors...), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := load(t, environment(tt.pairs...))
			if got := c.IndexURL(); got != tt.want {
				t.Errorf("IndexURL() = %q, want %q", got, tt.want)
			}
			if tt.name == "not-used" {
				return
			}
			if got, want := c.RangesURL(), strings.Replace(tt.want, "index.v2", "ranges.v1", 1); got != want {
				t.Errorf("RangesURL() = %q, want %q", got, want)
			}
			c.RangesRefresh = 0
			if got := c.RangesURL(); got != "" {
				t.Errorf("RangesURL() without a refresh = %q, want none", got)
			}
		})
	}
}
