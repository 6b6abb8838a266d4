package config

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Env returns the environment from which Load reads the same configuration. It
// has every variable; those that are not set are empty. Region is left out,
// because Lambda sets it.
func (c *Config) Env() map[string]string {
	var regions, rules, overrides []string
	for _, m := range c.Mirrors {
		regions = append(regions, m.Region)
	}
	for client, i := range c.MirrorFor {
		rules = append(rules, client+":"+c.Mirrors[i].Region)
	}
	for region, url := range c.overrides {
		overrides = append(overrides, region+"="+url)
	}
	clouds := []string{none}
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
	env := map[string]string{
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
		"MIRROR_INDEX_REFRESH":        formatInterval(c.IndexRefresh),
		"MIRROR_INDEX_MAX_AGE":        c.IndexMaxAge.String(),
		"RANGES_REFRESH":              formatInterval(c.RangesRefresh),
		"RANGES_MAX_AGE":              c.RangesMaxAge.String(),
		"FAILOVER_BUDGET":             formatRate(c.FailoverBudget),
		"VIEWER_HOSTS":                strings.Join(c.ViewerHosts, ","),
		"INFO_URL":                    c.InfoURL,
		"PRIVACY_URL":                 c.PrivacyURL,
		"REGISTRY_HOST":               c.RegistryHost,
		"PAGE_TITLE":                  c.PageTitle,
		"PAGE_CONTACT":                c.PageContact,
		"PAGE_TEXT":                   c.PageText,
		"LOG_LEVEL":                   levelName(c.LogLevel),
		"UPSTREAM_ACCESS":             string(c.Access),
		"UPSTREAM_TOKEN_HOSTS":        "",
		"UPSTREAM_BLOB_HOSTS":         "",
		"TAG_MAX_AGE":                 "",
		"UPSTREAM_RATE":               "",
		"SINGLE_HOST":                 strconv.FormatBool(c.SingleHost),
	}
	if c.Relays() {
		known := known(c.Upstream)
		if known == nil || !slices.Equal(c.Relay.TokenHosts, known.TokenHosts) {
			env["UPSTREAM_TOKEN_HOSTS"] = strings.Join(c.Relay.TokenHosts, ",")
		}
		if known == nil || !slices.Equal(c.Relay.BlobHosts, known.BlobHosts) {
			env["UPSTREAM_BLOB_HOSTS"] = strings.Join(c.Relay.BlobHosts, ",")
		}
		env["TAG_MAX_AGE"] = c.Relay.TagMaxAge.String()
		env["UPSTREAM_RATE"] = formatRate(c.Relay.Rate)
	}
	return env
}

// Env returns the environment from which LoadFill reads the same configuration.
// It has every variable; those that are not set are empty.
func (f *Fill) Env() map[string]string {
	var buckets, filling []string
	for _, b := range f.Buckets {
		buckets = append(buckets, b.Name+"@"+b.Region)
		if b.Filling {
			filling = append(filling, b.Region)
		}
	}
	state := f.State.Name
	if f.State.Region != "" {
		state += "@" + f.State.Region
	}
	return map[string]string{
		"FILL_SOURCE":    f.Source,
		"FILL_BUCKETS":   strings.Join(buckets, ","),
		"FILL_FILLING":   strings.Join(filling, ","),
		"FILL_STATE":     state,
		"FILL_QUEUE":     f.Queue,
		"FILL_RATE":      formatRate(f.Rate),
		"FILL_REFERRERS": strconv.FormatBool(f.Referrers),
		"FILL_SECRET":    f.Secret,

		"FILL_REPOSITORIES": strings.Join(f.Repositories, ","),
		"FILL_TAGS":         strings.Join(f.Tags, ","),
		"FILL_EXCLUDE_TAGS": strings.Join(f.ExcludeTags, ","),
		"FILL_PLATFORMS":    strings.Join(f.Platforms, ","),
		"FILL_ALLOW_EMPTY":  strconv.FormatBool(f.AllowEmpty),
	}
}

// formatInterval returns what the loader reads as an interval, which may be none.
func formatInterval(d time.Duration) string {
	if d == 0 {
		return none
	}
	return d.String()
}

func formatRate(r float64) string { return strconv.FormatFloat(r, 'f', -1, 64) }

func sorted(items []string) string {
	slices.Sort(items)
	return strings.Join(items, ",")
}
