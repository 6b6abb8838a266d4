package config

// Variable is an environment variable, for documentation and for programs that
// write or pass on an environment.
type Variable struct {
	Name string
	// Meaning is a line of Markdown. It ends with "; required" if the variable
	// always is.
	Meaning string
	// Default applies if the variable is empty or not set; empty for none.
	Default string
}

// none disables what has a default.
const none = "none"

// Variables lists every variable that Load reads, in the order in which they
// are documented.
var Variables = [...]Variable{
	{"UPSTREAM_REGISTRY_ENDPOINT", "scheme and host of the upstream registry; required", ""},
	{"UPSTREAM_REGISTRY_PATH", "repository prefix there, for example `project/images`; required for `*.pkg.dev` endpoints", ""},
	{"SIGNATURE_UPSTREAM_ENDPOINT", "scheme and host of the registry that serves signatures and referrers; unless it is the upstream, without a token", ""},
	{"DEFAULT_AWS_BASE_URL", "base URL of the default mirror; `/` is the distribution that the client came through: the redirect names the host in `X-Viewer-Host`, which the edge function sets, or else is a path", ""},
	{"DEFAULT_MIRROR_CHECK_URL", "base URL for existence checks of the default mirror; required with `/`, else the base URL itself", ""},
	{"MIRROR_REGIONS", "AWS regions that have a mirror bucket, comma-separated", ""},
	{"MIRROR_URL_TEMPLATE", "base URL of a mirror with `{region}` in it; required with `MIRROR_REGIONS`", ""},
	{"MIRROR_URL_OVERRIDES", "`region=URL`, comma-separated, for mirrors that do not follow the template", ""},
	{"MIRROR_FOR", "`client-region:mirror-region`, comma-separated, where the nearest mirror is not the best", ""},
	{"UPSTREAM_CLOUDS", "clouds whose clients always go upstream, comma-separated, for example `GCP,OCI`; or `none`", "GCP"},
	{"CLIENT_ADDRESS_HEADER", "header that holds the client address in function URL and API events, for example `CloudFront-Viewer-Address`", ""},
	{"MIRROR_CHECK_TIMEOUT", "deadline of one existence check, at most `1.5s`", "1s"},
	{"MIRROR_HEALTH_INTERVAL", "how long a mirror is assumed healthy after its last response", "10s"},
	{"MIRROR_INDEX_REFRESH", "how often the blob index is refreshed; `none` disables the index", "5m"},
	{"MIRROR_INDEX_MAX_AGE", "maximum age of the blob index", "12h"},
	{"RANGES_REFRESH", "how often the table of IP ranges is refreshed; `none` uses the one in the binary only", "1h"},
	{"RANGES_MAX_AGE", "age of the table of IP ranges above which it is reported", "720h"},
	{"FAILOVER_BUDGET", "requests per second and process that may go to the next mirror by distance; 0 disables failover", "0"},
	{"VIEWER_HOSTS", "host names of the distribution in addition to its own below `cloudfront.net`, comma-separated", ""},
	{"UPSTREAM_ACCESS", "`open`: the upstream serves anonymous clients without a token; `token`: it requires an anonymous token, and manifests, tags and referrers are relayed", "open"},
	{"UPSTREAM_TOKEN_HOSTS", "hosts that may issue tokens, in addition to the upstream's own, comma-separated; `*.` in front stands for one label; by default those of the known registry", ""},
	{"UPSTREAM_BLOB_HOSTS", "hosts that the upstream may redirect blobs to, comma-separated; `*.` in front stands for one label; by default those of the known registry", ""},
	{"TAG_MAX_AGE", "how long a relayed tag or list may be cached; by default `60s`, with Docker Hub `15m`", ""},
	{"UPSTREAM_RATE", "requests per second that one process may relay to the upstream; by default that of the known registry, otherwise 10", ""},
	{"SINGLE_HOST", "`true`: clients are only sent to the host that they requested, and what its mirror does not have is relayed; requires `DEFAULT_AWS_BASE_URL=/`", "false"},
	{"INFO_URL", "where `/` redirects to, instead of the function's own page", ""},
	{"PRIVACY_URL", "where `/privacy` redirects to, instead of that page", ""},
	{"REGISTRY_HOST", "host name of the registry that the page shows; by default the one that the client requested, if it is a name of the distribution", ""},
	{"PAGE_TITLE", "title of the page, at most 80 characters without `<` and `>`", ""},
	{"PAGE_CONTACT", "email address or https URL that the page shows as the contact", ""},
	{"PAGE_TEXT", "a paragraph about the registry on the page, at most 600 characters without `<` and `>`", ""},
	{"LOG_LEVEL", "`debug`, `info`, `warn` or `error`", "info"},
}

// FillVariables lists every variable that LoadFill reads, in the order in which
// they are documented.
var FillVariables = [...]Variable{
	{"FILL_SOURCE", "registry and prefix that blobs are copied from, for example `us-docker.pkg.dev/project/images`; required", ""},
	{"FILL_BUCKETS", "buckets of the mirrors, `name@region`, comma-separated, the primary first; required", ""},
	{"FILL_FILLING", "regions of buckets that are filled but not yet redirected to, comma-separated; not the primary's", ""},
	{"FILL_STATE", "private bucket for the state that outlives an invocation, `name` or `name@region`; required", ""},
	{"FILL_QUEUE", "URL of the work queue; required", ""},
	{"FILL_RATE", "maximum requests per second from one worker to the source; 0 is no limit", "0"},
	{"FILL_REFERRERS", "whether the source is asked for the referrers of each manifest that its listing does not show: `true` or `false`", "true"},
	{"FILL_REPOSITORIES", "names or patterns of the repositories below the prefix, comma-separated; `*` is any part of a name, `**` any number of names; only names need no listing of the registry", ""},
	{"FILL_TAGS", "patterns of the tags to mirror, comma-separated; untagged manifests are then mirrored only if an image refers to them", ""},
	{"FILL_EXCLUDE_TAGS", "patterns of the tags not to mirror, comma-separated", ""},
	{"FILL_PLATFORMS", "patterns of the platforms to mirror, for example `linux/amd64`, comma-separated; without a variant all variants", ""},
	{"FILL_ALLOW_EMPTY", "whether a source that does not exist yet is no error: `true` or `false`", "false"},
	{"FILL_SECRET", "name or ARN of a secret that holds credentials as a Docker configuration file does", ""},
}

func defaultOf(name string) string {
	for _, list := range [][]Variable{Variables[:], FillVariables[:], RefreshVariables[:]} {
		for _, v := range list {
			if v.Name == name {
				return v.Default
			}
		}
	}
	panic("config: no variable " + name)
}
