// Package config is the redirector's configuration: environment variables,
// read and checked once and then never looked at again. The program that
// deploys the redirector writes its environment through this package too, so
// the two cannot drift apart.
//
// A Config is not changed after Load; it is safe for concurrent use.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"archeio/lambda/index"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// Config is the whole configuration. URLs have no slash at their end.
type Config struct {
	// Upstream is the scheme and host of the registry that is the source of
	// truth; Prefix comes before every repository name there, empty for none.
	Upstream string
	Prefix   string
	// SignatureUpstream is where signatures and referrers are; empty for none.
	SignatureUpstream string
	// DefaultMirror is the base URL of the default mirror, "/" for the host
	// that was asked, empty for none. DefaultMirrorCheck is the base URL where
	// its blobs are looked for.
	DefaultMirror      string
	DefaultMirrorCheck string
	// Mirrors are the regional ones, in the order in which they were named.
	Mirrors []Mirror
	// MirrorFor maps a client's region to an index in Mirrors.
	MirrorFor map[string]int
	// UpstreamClouds are the clouds whose clients always go upstream.
	UpstreamClouds []ranges.Cloud
	// ClientAddressHeader is in lower case; empty for none.
	ClientAddressHeader string
	CheckTimeout        time.Duration
	HealthInterval      time.Duration
	// IndexRefresh is how often the index of what all mirrors hold is asked
	// for, 0 for never; IndexMaxAge is how old it may be.
	IndexRefresh, IndexMaxAge time.Duration
	// FailoverBudget is in requests per second and process.
	FailoverBudget float64
	// InfoURL and PrivacyURL are empty where there is no such page.
	InfoURL, PrivacyURL string
	LogLevel            slog.Level
	// Region is the function's own, as Lambda tells it; empty outside of it.
	Region string

	// As they were written, for Env.
	template  string
	overrides map[string]string
}

// Mirror is a regional mirror.
type Mirror struct {
	// Region is an AWS region.
	Region string
	// URL is the base URL: its blobs are at URL/BlobPrefix<digest>.
	URL string
}

// BlobPrefix is where a mirror keeps its blobs: the digest follows. It is the
// layout of the bucket behind a Google container registry.
const BlobPrefix = "containers/images/"

// DistributionHost is the DefaultMirror that stands for the host that the
// client asked.
const DistributionHost = "/"

// Load reads the configuration through getenv, which answers the empty string
// for what is not set, as os.Getenv does. Its error names each wrong variable
// with its value and what it takes, in one line.
func Load(getenv func(string) string) (*Config, error) {
	l := loader{getenv: getenv}
	c := &Config{
		Upstream:            l.endpoint("UPSTREAM_REGISTRY_ENDPOINT"),
		Prefix:              l.repository("UPSTREAM_REGISTRY_PATH"),
		SignatureUpstream:   l.endpoint("SIGNATURE_UPSTREAM_ENDPOINT"),
		UpstreamClouds:      l.clouds("UPSTREAM_CLOUDS"),
		ClientAddressHeader: l.header("CLIENT_ADDRESS_HEADER"),
		CheckTimeout:        l.duration("MIRROR_CHECK_TIMEOUT"),
		HealthInterval:      l.duration("MIRROR_HEALTH_INTERVAL"),
		IndexRefresh:        l.interval("MIRROR_INDEX_REFRESH"),
		IndexMaxAge:         l.duration("MIRROR_INDEX_MAX_AGE"),
		FailoverBudget:      l.rate("FAILOVER_BUDGET"),
		InfoURL:             l.page("INFO_URL"),
		PrivacyURL:          l.page("PRIVACY_URL"),
		LogLevel:            l.level("LOG_LEVEL"),
		Region:              getenv("AWS_REGION"),
	}
	if getenv("UPSTREAM_REGISTRY_ENDPOINT") == "" {
		l.refuse("UPSTREAM_REGISTRY_ENDPOINT", "is required: scheme and host of the registry that is the source of truth")
	}
	l.defaultMirror(c)
	l.mirrors(c)
	if len(l.errs) > 0 {
		return nil, fmt.Errorf("configuration: %w", oneLine(l.errs))
	}
	return c, nil
}

// Env writes the configuration as the environment that Load reads it from.
// Every variable is there; what is not set is empty. Region is left out: it is
// Lambda's to set.
func (c *Config) Env() map[string]string {
	var regions, rules []string
	for _, m := range c.Mirrors {
		regions = append(regions, m.Region)
	}
	for client, i := range c.MirrorFor {
		rules = append(rules, client+":"+c.Mirrors[i].Region)
	}
	var overrides []string
	for region, url := range c.overrides {
		overrides = append(overrides, region+"="+url)
	}
	clouds := []string{"none"}
	if len(c.UpstreamClouds) > 0 {
		clouds = nil
		for _, cloud := range c.UpstreamClouds {
			clouds = append(clouds, string(cloud))
		}
	}
	check := c.DefaultMirrorCheck
	if check == c.DefaultMirror {
		check = ""
	}
	refresh := none
	if c.IndexRefresh > 0 {
		refresh = c.IndexRefresh.String()
	}
	page := func(url string) string {
		if url == "" {
			return none
		}
		return url
	}
	return map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT":  c.Upstream,
		"UPSTREAM_REGISTRY_PATH":      c.Prefix,
		"SIGNATURE_UPSTREAM_ENDPOINT": c.SignatureUpstream,
		"DEFAULT_AWS_BASE_URL":        c.DefaultMirror,
		"DEFAULT_MIRROR_CHECK_URL":    check,
		"MIRROR_REGIONS":              strings.Join(regions, ","),
		"MIRROR_URL_TEMPLATE":         c.template,
		"MIRROR_URL_OVERRIDES":        sorted(overrides),
		"MIRROR_FOR":                  sorted(rules),
		"UPSTREAM_CLOUDS":             strings.Join(clouds, ","),
		"CLIENT_ADDRESS_HEADER":       c.ClientAddressHeader,
		"MIRROR_CHECK_TIMEOUT":        c.CheckTimeout.String(),
		"MIRROR_HEALTH_INTERVAL":      c.HealthInterval.String(),
		"MIRROR_INDEX_REFRESH":        refresh,
		"MIRROR_INDEX_MAX_AGE":        c.IndexMaxAge.String(),
		"FAILOVER_BUDGET":             strconv.FormatFloat(c.FailoverBudget, 'f', -1, 64),
		"INFO_URL":                    page(c.InfoURL),
		"PRIVACY_URL":                 page(c.PrivacyURL),
		"LOG_LEVEL":                   strings.ToLower(c.LogLevel.String()),
	}
}

// IndexURL is where the index of what all mirrors hold is read: where the
// default mirror's blobs are looked for, else from the mirror nearest to the
// function; empty where there is none, or none is wanted.
func (c *Config) IndexURL() string {
	base := c.DefaultMirrorCheck
	if base == "" && len(c.Mirrors) > 0 {
		base = c.Mirrors[c.nearest()].URL
	}
	if base == "" || c.IndexRefresh == 0 {
		return ""
	}
	return base + "/" + BlobPrefix + index.Name
}

// nearest is the mirror nearest to the function.
func (c *Config) nearest() int {
	places := make([]regions.Region, len(c.Mirrors))
	for i, m := range c.Mirrors {
		places[i], _ = regions.Find(string(ranges.AWS), m.Region)
	}
	here, known := regions.Find(string(ranges.AWS), c.Region)
	if !known {
		return 0
	}
	return max(0, regions.NewIndex(places).Nearest(here.Point, -1))
}

// oneLine joins errors so that a log has them together.
func oneLine(errs []error) error {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}
