// Package config is the configuration of the functions: environment variables,
// read and validated once. The CDK app writes the functions' environment through
// this package too, so the two cannot drift apart.
//
// A configuration is not changed after it is loaded and is safe for concurrent
// use.
package config

import (
	"log/slog"
	"time"

	"archeio/lambda/upstreams"
	"archeio/ranges"
)

// Config is the configuration of the redirector. URLs have no trailing slash.
type Config struct {
	// Upstream is the scheme and host of the upstream registry. Prefix is
	// prepended to every repository name there; it may be empty.
	Upstream string
	Prefix   string
	// SignatureUpstream is the scheme and host of the registry that serves
	// signatures and referrers, empty if there is none.
	SignatureUpstream string
	// Access is whether the upstream requires a token of clients. SingleHost is
	// whether clients are only sent to the host that they requested.
	Access     upstreams.Access
	SingleHost bool
	Relay      Relay
	// DefaultMirror is the base URL of the default mirror, DistributionHost for
	// the host that the client asked, empty if there is none.
	// DefaultMirrorCheck is the base URL for its existence checks.
	DefaultMirror      string
	DefaultMirrorCheck string
	// Mirrors are the regional mirrors in the order of MIRROR_REGIONS.
	Mirrors []Mirror
	// MirrorFor maps a client's AWS region to a position in Mirrors.
	MirrorFor map[string]int
	// UpstreamClouds are the clouds whose clients always go upstream.
	UpstreamClouds []ranges.Cloud
	// ClientAddressHeader is in lower case, empty if there is none.
	ClientAddressHeader string
	// CheckTimeout is the deadline of one existence check, at most
	// MaxCheckTimeout. HealthInterval is how long a mirror is assumed healthy
	// after its last response.
	CheckTimeout, HealthInterval time.Duration
	// IndexRefresh is how often the blob index is refreshed, 0 if it is not
	// used. IndexMaxAge is its maximum age.
	IndexRefresh, IndexMaxAge time.Duration
	// RangesRefresh is how often the range table is refreshed, 0 if only the
	// embedded one is used. RangesMaxAge is the age above which it is reported.
	RangesRefresh, RangesMaxAge time.Duration
	// FailoverBudget is in requests per second and process; 0 disables failover.
	FailoverBudget float64
	// ViewerHosts are the names of the distribution in addition to the one that
	// CloudFront assigns.
	ViewerHosts []string
	// InfoURL and PrivacyURL are the redirect targets of / and /privacy, empty
	// for the function's own page.
	InfoURL, PrivacyURL string
	// RegistryHost is the host name of the registry that the page shows, empty for
	// the one that the client requested.
	RegistryHost string
	// PageTitle, PageContact and PageText are shown on the page; they may be empty.
	// PageContact is an email address or a URL.
	PageTitle, PageContact, PageText string
	LogLevel                         slog.Level
	// Region is the function's own AWS region, as Lambda sets it; empty outside
	// of Lambda.
	Region string

	// template and overrides are as configured, for Env.
	template  string
	overrides map[string]string
}

// MaxCheckTimeout is the longest deadline of one existence check: the time that
// all checks of one request share.
const MaxCheckTimeout = 1500 * time.Millisecond

// ErrorPrefix begins the error of Load and LoadFill. What follows is
// NAME="value": what is wrong: what is wanted
// for each wrong variable, separated by semicolons.
const ErrorPrefix = "reading configuration: "

// Load reads the configuration through getenv, which returns the empty string
// for a variable that is not set, as os.Getenv does. Its error is one line that
// names each wrong variable with its value, what is wrong and what is wanted.
func Load(getenv func(string) string) (*Config, error) {
	l := loader{getenv: getenv}
	c := &Config{
		Upstream:            l.upstream("UPSTREAM_REGISTRY_ENDPOINT"),
		Prefix:              l.repository("UPSTREAM_REGISTRY_PATH"),
		SignatureUpstream:   l.endpoint("SIGNATURE_UPSTREAM_ENDPOINT"),
		UpstreamClouds:      l.clouds("UPSTREAM_CLOUDS"),
		ClientAddressHeader: l.header("CLIENT_ADDRESS_HEADER"),
		CheckTimeout:        l.timeout("MIRROR_CHECK_TIMEOUT", MaxCheckTimeout),
		HealthInterval:      l.duration("MIRROR_HEALTH_INTERVAL"),
		IndexRefresh:        l.interval("MIRROR_INDEX_REFRESH"),
		IndexMaxAge:         l.duration("MIRROR_INDEX_MAX_AGE"),
		RangesRefresh:       l.interval("RANGES_REFRESH"),
		RangesMaxAge:        l.duration("RANGES_MAX_AGE"),
		FailoverBudget:      l.rate("FAILOVER_BUDGET"),
		ViewerHosts:         l.hostNames("VIEWER_HOSTS"),
		InfoURL:             l.page("INFO_URL"),
		PrivacyURL:          l.page("PRIVACY_URL"),
		RegistryHost:        l.registryHost("REGISTRY_HOST"),
		PageTitle:           l.plainText("PAGE_TITLE", maxTitle),
		PageContact:         l.contact("PAGE_CONTACT"),
		PageText:            l.plainText("PAGE_TEXT", maxText),
		LogLevel:            l.level("LOG_LEVEL"),
		Region:              getenv("AWS_REGION"),
	}
	l.prefix(c)
	l.defaultMirror(c)
	l.mirrors(c)
	l.relay(c)
	if err := l.err(); err != nil {
		return nil, err
	}
	return c, nil
}
