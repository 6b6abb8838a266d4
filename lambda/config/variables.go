package config

// Variable is one environment variable, for documentation and for the
// programs that write or pass on an environment.
type Variable struct {
	Name    string
	Meaning string
	// Default is what holds where the variable is not set or empty; empty for
	// none.
	Default string
}

// none switches off what has a default.
const none = "none"

// documentation is where the two pages for people lead unless the operator
// says otherwise. The name is reserved (RFC 2606), so nobody can take it.
const documentation = "https://archeio.example/"

// Variables lists every variable that Load reads, in the order in which they
// are documented.
var Variables = [...]Variable{
	{"UPSTREAM_REGISTRY_ENDPOINT", "scheme and host of the upstream registry; required", ""},
	{"UPSTREAM_REGISTRY_PATH", "repository prefix there, as `project/images`", ""},
	{"SIGNATURE_UPSTREAM_ENDPOINT", "scheme and host of the registry that has signatures and referrers", ""},
	{"DEFAULT_AWS_BASE_URL", "base URL of the default mirror; `/` is the distribution that the client came through", ""},
	{"DEFAULT_MIRROR_CHECK_URL", "base URL where the default mirror's blobs are looked for; required with `/`, else the base URL itself", ""},
	{"MIRROR_REGIONS", "AWS regions that have a mirror bucket, comma-separated", ""},
	{"MIRROR_URL_TEMPLATE", "base URL of a mirror with `{region}` in it; required with `MIRROR_REGIONS`", ""},
	{"MIRROR_URL_OVERRIDES", "`region=URL`, comma-separated, where the template does not hold", ""},
	{"MIRROR_FOR", "`client-region:mirror-region`, comma-separated, where the nearest mirror is not the best", ""},
	{"UPSTREAM_CLOUDS", "clouds whose clients always go upstream: `AWS`, `GCP`, `Azure`, comma-separated; or `none`", "GCP"},
	{"CLIENT_ADDRESS_HEADER", "header with the client's address in function URL and API events, as `CloudFront-Viewer-Address`", ""},
	{"MIRROR_CHECK_TIMEOUT", "deadline of one existence check", "1s"},
	{"MIRROR_HEALTH_INTERVAL", "how long a mirror's life is taken for granted", "10s"},
	{"MIRROR_INDEX_REFRESH", "how often the index of what all mirrors hold is asked for; `none` uses no index", "5m"},
	{"MIRROR_INDEX_MAX_AGE", "how old that index may be", "24h"},
	{"FAILOVER_BUDGET", "requests per second and process that may go to the next mirror by distance; 0 is off", "0"},
	{"INFO_URL", "where `/` leads; `none` answers 404", documentation},
	{"PRIVACY_URL", "where `/privacy` leads; `none` answers 404", documentation},
	{"LOG_LEVEL", "`debug`, `info`, `warn` or `error`", "info"},
}

func defaultOf(name string) string {
	for _, list := range [][]Variable{Variables[:], FillVariables[:]} {
		for _, v := range list {
			if v.Name == name {
				return v.Default
			}
		}
	}
	panic("config: no variable " + name)
}
