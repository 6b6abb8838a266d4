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
	// Otherwise is Markdown that says what applies then, if that is not a value.
	Otherwise string
}

// none disables what has a default.
const none = "none"

// Variables lists every variable that Load reads, in the order in which they
// are documented.
var Variables = [...]Variable{
	{Name: "UPSTREAM_REGISTRY_ENDPOINT", Meaning: "scheme and host of the upstream registry; required"},
	{Name: "UPSTREAM_REGISTRY_PATH", Meaning: "repository prefix there, for example `project/images`; required for `*.pkg.dev` endpoints"},
	{Name: "SIGNATURE_UPSTREAM_ENDPOINT", Meaning: "scheme and host of the registry that serves signatures and referrers; unless it is the upstream, without a token"},
	{Name: "DEFAULT_AWS_BASE_URL", Meaning: "base URL of the default mirror; `/` is the distribution that the client came through: the redirect names the host in `X-Viewer-Host`, which the edge function sets, or else is a path"},
	{Name: "DEFAULT_MIRROR_CHECK_URL", Meaning: "base URL for existence checks of the default mirror; required with `/`, else the base URL itself"},
	{Name: "MIRROR_REGIONS", Meaning: "AWS regions that have a mirror bucket, comma-separated"},
	{Name: "MIRROR_URL_TEMPLATE", Meaning: "base URL of a mirror with `{region}` in it; required with `MIRROR_REGIONS`"},
	{Name: "MIRROR_URL_OVERRIDES", Meaning: "`region=URL`, comma-separated, for mirrors that do not follow the template"},
	{Name: "MIRROR_FOR", Meaning: "`client-region:mirror-region`, comma-separated, where the nearest mirror is not the best"},
	{Name: "UPSTREAM_CLOUDS", Meaning: "clouds whose clients always go upstream, comma-separated, for example `GCP,OCI`; or `none`", Default: "GCP"},
	{Name: "CLIENT_ADDRESS_HEADER", Meaning: "header that holds the client address in function URL and API events, for example `CloudFront-Viewer-Address`"},
	{Name: "MIRROR_CHECK_TIMEOUT", Meaning: "deadline of one existence check, at most `1.5s`", Default: "1s"},
	{Name: "MIRROR_HEALTH_INTERVAL", Meaning: "how long a mirror is assumed healthy after its last response", Default: "10s"},
	{Name: "MIRROR_INDEX_REFRESH", Meaning: "how often the blob index is refreshed; `none` disables the index", Default: "5m"},
	{Name: "MIRROR_INDEX_MAX_AGE", Meaning: "maximum age of the blob index", Default: "12h"},
	{Name: "RANGES_REFRESH", Meaning: "how often the table of IP ranges is refreshed; `none` uses the one in the binary only", Default: "1h"},
	{Name: "RANGES_MAX_AGE", Meaning: "age of the table of IP ranges above which it is reported", Default: "720h"},
	{Name: "FAILOVER_BUDGET", Meaning: "requests per second and process that may go to the next mirror by distance; 0 disables failover", Default: "0"},
	{Name: "VIEWER_HOSTS", Meaning: "host names of the distribution in addition to its own below `cloudfront.net`, comma-separated"},
	{Name: "UPSTREAM_ACCESS", Meaning: "`open`: the upstream serves anonymous clients without a token; `token`: it requires an anonymous token, and manifests, tags and referrers are relayed", Default: "open"},
	{Name: "UPSTREAM_TOKEN_HOSTS", Meaning: "hosts that may issue tokens, in addition to the upstream's own, comma-separated; `*.` in front stands for one label", Otherwise: "those of the known registry"},
	{Name: "UPSTREAM_BLOB_HOSTS", Meaning: "hosts that the upstream may redirect blobs to, comma-separated; `*.` in front stands for one label", Otherwise: "those of the known registry"},
	{Name: "TAG_MAX_AGE", Meaning: "how long a relayed tag or list may be cached", Otherwise: "`1m`; for Docker Hub `15m`"},
	{Name: "UPSTREAM_RATE", Meaning: "requests per second that one process may relay to the upstream", Otherwise: "that of the known registry; of others `10`"},
	{Name: "SINGLE_HOST", Meaning: "`true`: clients are only sent to the host that they requested, and what its mirror does not have is relayed; requires `DEFAULT_AWS_BASE_URL=/`", Default: "false"},
	{Name: "INFO_URL", Meaning: "where `/` redirects to, instead of the function's own page"},
	{Name: "PRIVACY_URL", Meaning: "where `/privacy` redirects to, instead of that page"},
	{Name: "REGISTRY_HOST", Meaning: "host name of the registry that the page shows", Otherwise: "the requested one, if it is a name of the distribution"},
	{Name: "PAGE_TITLE", Meaning: "title of the page, at most 80 characters without `<` and `>`"},
	{Name: "PAGE_CONTACT", Meaning: "email address or https URL that the page shows as the contact"},
	{Name: "PAGE_TEXT", Meaning: "a paragraph about the registry on the page, at most 600 characters without `<` and `>`"},
	{Name: "LOG_LEVEL", Meaning: "`debug`, `info`, `warn` or `error`", Default: "info"},
}

// FillVariables lists every variable that LoadFill reads, in the order in which
// they are documented.
var FillVariables = [...]Variable{
	{Name: "FILL_SOURCE", Meaning: "registry and prefix that blobs are copied from, for example `us-docker.pkg.dev/project/images`; required"},
	{Name: "FILL_BUCKETS", Meaning: "buckets of the mirrors, `name@region`, comma-separated, the primary first; required"},
	{Name: "FILL_FILLING", Meaning: "regions of buckets that are filled but not yet redirected to, comma-separated; not the primary's"},
	{Name: "FILL_STATE", Meaning: "private bucket for the state that outlives an invocation, `name` or `name@region`; required"},
	{Name: "FILL_QUEUE", Meaning: "URL of the work queue; required"},
	{Name: "FILL_RATE", Meaning: "maximum requests per second from one worker to the source; 0 is no limit", Default: "0"},
	{Name: "FILL_REFERRERS", Meaning: "whether the source is asked for the referrers of each manifest that its listing does not show: `true` or `false`", Default: "true"},
	{Name: "FILL_REPOSITORIES", Meaning: "names or patterns of the repositories below the prefix, comma-separated; `*` is any part of a name, `**` any number of names; only names need no listing of the registry"},
	{Name: "FILL_TAGS", Meaning: "patterns of the tags to mirror, comma-separated; untagged manifests are then mirrored only if an image refers to them"},
	{Name: "FILL_EXCLUDE_TAGS", Meaning: "patterns of the tags not to mirror, comma-separated"},
	{Name: "FILL_PLATFORMS", Meaning: "patterns of the platforms to mirror, for example `linux/amd64`, comma-separated; without a variant all variants"},
	{Name: "FILL_ALLOW_EMPTY", Meaning: "whether a source that does not exist yet is no error: `true` or `false`", Default: "false"},
	{Name: "FILL_SECRET", Meaning: "name or ARN of a secret that holds credentials as a Docker configuration file does"},
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
