package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"archeio/lambda/upstreams"
)

const (
	tokenHostsUnused = "has no effect unless UPSTREAM_ACCESS=token: set that or remove this"
	relayUnused      = "has no effect unless UPSTREAM_ACCESS=token or SINGLE_HOST=true: set one or remove this"
	needsToken       = " requires a token for public images too: want token"
	leavesHost       = "on another host, which SINGLE_HOST=true does not allow: remove it"
	noSignatureToken = " does not serve clients without a token, and only the upstream is relayed: want the upstream itself or a registry without tokens"
)

func badHostPattern(item string) string {
	return strings.Replace(strings.Replace(badHost(item), "invalid host name", "invalid host", 1), "path, comma-separated, for example registry.example.com", `path, "*." allowed in front, comma-separated, for example *.example.com`, 1)
}

func token(pairs ...string) []string { return append([]string{"UPSTREAM_ACCESS", "token"}, pairs...) }

// single is an environment in which no redirect leaves the host.
func single(pairs ...string) []string {
	return append([]string{"SINGLE_HOST", "true", "DEFAULT_AWS_BASE_URL", "/", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example"}, pairs...)
}

func TestRelayValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, variable, value string
		others                []string
		problem               string
	}{
		{"access-token", "UPSTREAM_ACCESS", "token", nil, ""},
		{"access-open", "UPSTREAM_ACCESS", "open", nil, ""},
		{"access-misspelled", "UPSTREAM_ACCESS", "tokne", nil, `unknown access (did you mean "token"?): want open or token`},
		{"access-login", "UPSTREAM_ACCESS", "login", nil, "unknown access: want open or token"},
		{"access-open-ghcr", "UPSTREAM_ACCESS", "", []string{"UPSTREAM_REGISTRY_ENDPOINT", "https://ghcr.io"}, "GHCR" + needsToken},
		{"access-open-hub", "UPSTREAM_ACCESS", "open", []string{"UPSTREAM_REGISTRY_ENDPOINT", "https://INDEX.docker.io:443"}, "Docker Hub" + needsToken},
		{"access-token-artifact-registry", "UPSTREAM_ACCESS", "token", []string{"UPSTREAM_REGISTRY_ENDPOINT", "https://us-docker.pkg.dev", "UPSTREAM_REGISTRY_PATH", "a/b"}, ""},
		{"endpoint-alias", "UPSTREAM_REGISTRY_ENDPOINT", "https://docker.io", token(), "Docker Hub does not serve its registry API here: want https://registry-1.docker.io"},
		{"access-no-tokens", "UPSTREAM_ACCESS", "token", []string{"UPSTREAM_REGISTRY_ENDPOINT", "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"}, "Amazon ECR issues no anonymous tokens: want open, or a registry that serves anonymous clients"},
		{"signatures-token", "SIGNATURE_UPSTREAM_ENDPOINT", "https://ghcr.io", nil, "GHCR" + noSignatureToken},
		{"signatures-token-other", "SIGNATURE_UPSTREAM_ENDPOINT", "https://ghcr.io", token(), "GHCR" + noSignatureToken},
		{"signatures-token-same", "SIGNATURE_UPSTREAM_ENDPOINT", "https://GHCR.io", token("UPSTREAM_REGISTRY_ENDPOINT", "https://ghcr.io"), ""},
		{"signatures-alias", "SIGNATURE_UPSTREAM_ENDPOINT", "https://docker.io", nil, "Docker Hub does not serve its registry API here: want https://registry-1.docker.io"},

		{"token-hosts", "UPSTREAM_TOKEN_HOSTS", "auth.example.com,*.tokens.example.com,127.0.0.1:5001,[::1]:5001,localhost:5001", token(), ""},
		{"token-hosts-open", "UPSTREAM_TOKEN_HOSTS", "auth.example.com", nil, tokenHostsUnused},
		{"token-hosts-single", "UPSTREAM_TOKEN_HOSTS", "auth.example.com", single(), tokenHostsUnused},
		{"token-hosts-twice", "UPSTREAM_TOKEN_HOSTS", "a.example,a.example", token(), `duplicate host "a.example": want each host once`},
		{"token-hosts-url", "UPSTREAM_TOKEN_HOSTS", "https://auth.example.com/token", token(), badHostPattern("https://auth.example.com/token")},
		{"blob-hosts-single", "UPSTREAM_BLOB_HOSTS", "*.example.com", single(), ""},
		{"blob-hosts-open", "UPSTREAM_BLOB_HOSTS", "*.example.com", nil, relayUnused},
		{"blob-hosts-all", "UPSTREAM_BLOB_HOSTS", "*", token(), badHostPattern("*")},
		{"blob-hosts-top-level", "UPSTREAM_BLOB_HOSTS", "*.com", token(), badHostPattern("*.com")},
		{"blob-hosts-middle", "UPSTREAM_BLOB_HOSTS", "a.*.example.com", token(), badHostPattern("a.*.example.com")},
		{"blob-hosts-twice-wild", "UPSTREAM_BLOB_HOSTS", "*.*.example.com", token(), badHostPattern("*.*.example.com")},
		{"blob-hosts-port", "UPSTREAM_BLOB_HOSTS", "a.example.com:8443", token(), badHostPattern("a.example.com:8443")},
		{"blob-hosts-address", "UPSTREAM_BLOB_HOSTS", "10.0.0.1", token(), badHostPattern("10.0.0.1")},
		{"blob-hosts-address-port", "UPSTREAM_BLOB_HOSTS", "169.254.169.254:80", token(), badHostPattern("169.254.169.254:80")},
		{"blob-hosts-loopback-alike", "UPSTREAM_BLOB_HOSTS", "localhost:80.example.com", token(), badHostPattern("localhost:80.example.com")},
		{"blob-hosts-upper-case", "UPSTREAM_BLOB_HOSTS", "A.example.com", token(), badHostPattern("A.example.com")},
		{"blob-hosts-empty-item", "UPSTREAM_BLOB_HOSTS", "a.example.com,", token(), badHostPattern("")},
		{"age", "TAG_MAX_AGE", "15m", token(), ""},
		{"age-longest", "TAG_MAX_AGE", "24h", token(), ""},
		{"age-too-long", "TAG_MAX_AGE", "25h", token(), "too long: want at most 24h0m0s"},
		{"age-zero", "TAG_MAX_AGE", "0s", token(), notPositive},
		{"age-part-of-a-second", "TAG_MAX_AGE", "1500ms", token(), "not whole seconds: want for example 60s or 15m"},
		{"age-word", "TAG_MAX_AGE", "long", token(), notDuration},
		{"age-open", "TAG_MAX_AGE", "15m", nil, relayUnused},
		{"rate", "UPSTREAM_RATE", "0.01", single(), ""},
		{"rate-zero", "UPSTREAM_RATE", "0", token(), "not positive: want requests per second, for example 0.5 or 10"},
		{"rate-open", "UPSTREAM_RATE", "10", nil, relayUnused},
		{"single-word", "SINGLE_HOST", "yes", nil, "not a boolean: want true or false"},
		{"single-no-mirror", "SINGLE_HOST", "true", nil, `requires DEFAULT_AWS_BASE_URL="/": want a default mirror on the host that the client requested`},
		{"single-other-mirror", "SINGLE_HOST", "true", withDefault(""), `requires DEFAULT_AWS_BASE_URL="/": want a default mirror on the host that the client requested`},
		{"single-signatures", "SIGNATURE_UPSTREAM_ENDPOINT", "https://signatures.example", single(), "on another host than the upstream, which SINGLE_HOST=true does not allow: want none or the upstream itself"},
		{"single-signatures-same", "SIGNATURE_UPSTREAM_ENDPOINT", "https://registry.example", single(), ""},
		{"single-info", "INFO_URL", "https://info.example/", single(), leavesHost},
		{"single-privacy", "PRIVACY_URL", "https://privacy.example/", single(), leavesHost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := environment(tt.others...)
			env[tt.variable] = tt.value
			expect(t, env, tt.variable, tt.value, tt.problem)
		})
	}
}

// TestRelayDefaults tests that a known registry needs no settings but its access.
func TestRelayDefaults(t *testing.T) {
	t.Parallel()
	hub := upstreams.DockerHub
	for _, tt := range []struct {
		name string
		env  []string
		want Relay
	}{
		{"open", nil, Relay{}},
		{"unknown", token(), Relay{TagMaxAge: time.Minute, Rate: 10}},
		{"hub", token("UPSTREAM_REGISTRY_ENDPOINT", "https://registry-1.docker.io"), Relay{
			TokenHosts: hub.TokenHosts, BlobHosts: hub.BlobHosts, TagMaxAge: 15 * time.Minute, Rate: 1, Library: true,
		}},
		{"hub-set", token("UPSTREAM_REGISTRY_ENDPOINT", "https://registry-1.docker.io", "UPSTREAM_BLOB_HOSTS", "b.example.com", "TAG_MAX_AGE", "5s", "UPSTREAM_RATE", "3"), Relay{
			TokenHosts: hub.TokenHosts, BlobHosts: []string{"b.example.com"}, TagMaxAge: 5 * time.Second, Rate: 3, Library: true,
		}},
		{"single", single("UPSTREAM_REGISTRY_ENDPOINT", "https://us-docker.pkg.dev", "UPSTREAM_REGISTRY_PATH", "a/b"), Relay{
			BlobHosts: upstreams.ArtifactRegistry.BlobHosts, TagMaxAge: time.Minute, Rate: 100,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if c := load(t, environment(tt.env...)); !reflect.DeepEqual(c.Relay, tt.want) || c.Relays() != (tt.name != "open") {
				t.Errorf("got %+v, relays %v; want %+v", c.Relay, c.Relays(), tt.want)
			}
		})
	}
}

// TestRelayDefaultsDocumented tests that the documented defaults are those of the known
// registries.
func TestRelayDefaultsDocumented(t *testing.T) {
	t.Parallel()
	brief := func(d time.Duration) string { return "`" + strings.TrimSuffix(d.String(), "0s") + "`" }
	age := brief(upstreams.DefaultTagMaxAge)
	for _, r := range upstreams.Known {
		if r.TagMaxAge > 0 && r.TagMaxAge != upstreams.DefaultTagMaxAge {
			age += "; for " + r.Name + " " + brief(r.TagMaxAge)
		}
	}
	want := map[string]string{
		"TAG_MAX_AGE":   age,
		"UPSTREAM_RATE": fmt.Sprintf("that of the known registry; of others `%d`", upstreams.DefaultRate),
	}
	for _, v := range Variables {
		if w := want[v.Name]; w != "" && v.Otherwise != w {
			t.Errorf("%s: default %q, want %q", v.Name, v.Otherwise, w)
		}
	}
}
