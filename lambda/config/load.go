package config

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"archeio/lambda/oci"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// loader reads one variable after the other and collects what is wrong.
type loader struct {
	getenv func(string) string
	errs   []error
}

func (l *loader) get(name string) string {
	if v := l.getenv(name); v != "" {
		return v
	}
	return defaultOf(name)
}

// refuse records what a variable takes.
func (l *loader) refuse(name, takes string) {
	l.errs = append(l.errs, fmt.Errorf("%s=%q: %s", name, l.getenv(name), takes))
}

func (l *loader) endpoint(name string) string {
	v := l.get(name)
	if v == "" {
		return ""
	}
	base, err := baseURL(v)
	if err == nil && strings.Count(base, "/") > 2 {
		err = fmt.Errorf("takes scheme and host only, as https://registry.example")
	}
	if err != nil {
		l.refuse(name, err.Error())
	}
	return base
}

func (l *loader) repository(name string) string {
	v := l.get(name)
	if v != "" && !oci.ValidName(v) {
		l.refuse(name, "takes a repository name without slashes at its ends, as project/images")
	}
	return v
}

func (l *loader) clouds(name string) []ranges.Cloud {
	v := l.get(name)
	if v == none {
		return nil
	}
	var out []ranges.Cloud
	// A blank is no list here: it must not switch off what has a default.
	for item := range strings.SplitSeq(v, ",") {
		item = strings.TrimSpace(item)
		i := slices.IndexFunc(ranges.Clouds[:], func(c ranges.Cloud) bool { return strings.EqualFold(string(c), item) })
		if i < 0 || slices.Contains(out, ranges.Clouds[i]) {
			l.refuse(name, "takes AWS, GCP, Azure, each at most once and comma-separated, or none")
			return nil
		}
		out = append(out, ranges.Clouds[i])
	}
	return out
}

// otherUse are headers that never hold the client's address.
var otherUse = []string{"authorization", "x-viewer-authorized", "cloudfront-viewer-latitude", "cloudfront-viewer-longitude", "cloudfront-viewer-country"}

func (l *loader) header(name string) string {
	v := strings.ToLower(l.get(name))
	if slices.Contains(otherUse, v) {
		l.refuse(name, "takes the name of a header with an address, as CloudFront-Viewer-Address; this one has another use")
	}
	for i := range len(v) {
		if c := v[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			l.refuse(name, "takes the name of a header, as CloudFront-Viewer-Address")
			break
		}
	}
	return v
}

func (l *loader) duration(name string) time.Duration {
	d, err := time.ParseDuration(l.get(name))
	if err != nil || d <= 0 {
		l.refuse(name, "takes a duration above zero, as 500ms or 10s")
	}
	return d
}

// interval is a duration, or 0 for none.
func (l *loader) interval(name string) time.Duration {
	if l.get(name) == none {
		return 0
	}
	return l.duration(name)
}

func (l *loader) rate(name string) float64 {
	r, err := strconv.ParseFloat(l.get(name), 64)
	if err != nil || math.IsNaN(r) || r < 0 || r > 1e6 {
		l.refuse(name, "takes requests per second, a number from 0 to 1000000")
	}
	return r
}

func (l *loader) level(name string) slog.Level {
	switch l.get(name) {
	case "debug":
		return slog.LevelDebug
	case "info":
		return slog.LevelInfo
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	l.refuse(name, "takes debug, info, warn or error")
	return slog.LevelInfo
}

// page reads the address of a page for people; unlike a base URL it may have
// a query and a fragment.
func (l *loader) page(name string) string {
	v := l.get(name)
	if v == none {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || u.User != nil || !trustedScheme(u) || !printable(v) {
		l.refuse(name, "takes an https URL (http on loopback addresses), or none")
		return ""
	}
	return v
}

func (l *loader) defaultMirror(c *Config) {
	const mirror, check = "DEFAULT_AWS_BASE_URL", "DEFAULT_MIRROR_CHECK_URL"
	var err error
	switch v := l.get(mirror); v {
	case "", DistributionHost:
		c.DefaultMirror = v
	default:
		if c.DefaultMirror, err = baseURL(v); err != nil {
			l.refuse(mirror, err.Error()+`, or "/"`)
		}
	}
	switch v := l.get(check); {
	case v != "":
		if c.DefaultMirrorCheck, err = baseURL(v); err != nil {
			l.refuse(check, err.Error())
		}
		if l.get(mirror) == "" {
			l.refuse(check, "is of no use without "+mirror)
		}
	case c.DefaultMirror == DistributionHost:
		l.refuse(check, "is required where "+mirror+` is "/": the base URL of a bucket that the distribution serves`)
	default:
		c.DefaultMirrorCheck = c.DefaultMirror
	}
}

func (l *loader) mirrors(c *Config) {
	const (
		regionsName, templateName = "MIRROR_REGIONS", "MIRROR_URL_TEMPLATE"
		overridesName, rulesName  = "MIRROR_URL_OVERRIDES", "MIRROR_FOR"
	)
	c.template = l.get(templateName)
	index := map[string]int{}
	for region := range list(l.get(regionsName)) {
		if _, ok := regions.Find(string(ranges.AWS), region); !ok {
			l.refuse(regionsName, fmt.Sprintf("takes AWS regions, comma-separated; %q is none that is known", region))
			return
		}
		if _, twice := index[region]; twice {
			l.refuse(regionsName, fmt.Sprintf("names %q twice", region))
			return
		}
		index[region] = len(c.Mirrors)
		c.Mirrors = append(c.Mirrors, Mirror{Region: region})
	}
	l.fromTemplate(templateName, regionsName, c)
	c.overrides = map[string]string{}
	for item := range list(l.get(overridesName)) {
		region, v, ok := strings.Cut(item, "=")
		i, known := index[region]
		base, err := baseURL(v)
		_, twice := c.overrides[region]
		if !ok || !known || err != nil || twice {
			l.refuse(overridesName, fmt.Sprintf("takes region=URL, comma-separated, each region once, one of %s, and a base URL; %q is not", regionsName, item))
			break
		}
		c.Mirrors[i].URL = base
		c.overrides[region] = base
	}
	c.MirrorFor = map[string]int{}
	for item := range list(l.get(rulesName)) {
		client, mirror, ok := strings.Cut(item, ":")
		i, known := index[mirror]
		_, twice := c.MirrorFor[client]
		if !ok || !known || twice || !clientRegion(client) {
			l.refuse(rulesName, fmt.Sprintf("takes client-region:mirror-region, comma-separated, each client region once, the mirror region one of %s; %q is not", regionsName, item))
			break
		}
		c.MirrorFor[client] = i
	}
}

// fromTemplate gives each mirror its URL. A template is checked also where no
// mirror needs it yet.
func (l *loader) fromTemplate(name, regionsName string, c *Config) {
	if len(c.Mirrors) == 0 && c.template == "" {
		return
	}
	if !strings.Contains(c.template, "{region}") {
		l.refuse(name, "is required with "+regionsName+": a base URL with {region} in it, as https://mirror-{region}.s3.dualstack.{region}.amazonaws.com")
		return
	}
	at := func(region string) (string, error) {
		return baseURL(strings.ReplaceAll(c.template, "{region}", region))
	}
	_, err := at("region")
	for i := 0; i < len(c.Mirrors) && err == nil; i++ {
		c.Mirrors[i].URL, err = at(c.Mirrors[i].Region)
	}
	if err != nil {
		l.refuse(name, err.Error()+", with {region} in it")
	}
}

// clientRegion tells whether a client can be in that region of AWS: the range
// table may know regions that are not in the table of regions yet.
func clientRegion(name string) bool {
	if _, ok := regions.Find(string(ranges.AWS), name); ok {
		return true
	}
	return slices.Contains(ranges.Places(), ranges.Place{Cloud: ranges.AWS, Region: name})
}

// baseURL checks a URL to which a path will be joined, and cuts its slash off.
func baseURL(v string) (string, error) {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || !printable(v) || strings.Contains(v, "%"):
		return "", fmt.Errorf("takes a URL as https://host or https://host/path")
	case !trustedScheme(u):
		return "", fmt.Errorf("takes an https URL (http on loopback addresses)")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(v, "#"):
		return "", fmt.Errorf("takes a URL without user, query and fragment")
	case strings.Contains(u.Path, "//") || strings.Contains(u.Path+"/", "/./") || strings.Contains(u.Path+"/", "/../"):
		return "", fmt.Errorf("takes a URL without empty, . and .. segments")
	}
	return strings.TrimSuffix(v, "/"), nil
}

// trustedScheme allows http to this machine only.
func trustedScheme(u *url.URL) bool {
	host := u.Hostname()
	switch u.Scheme {
	case "https":
		return host != ""
	case "http":
		addr, err := netip.ParseAddr(host)
		return err == nil && addr.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
	}
	return false
}

// printable: only what may stand in a Location header as it is.
func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return false
		}
	}
	return true
}

// list goes through a comma-separated list; spaces around an item are no part
// of it. An empty string is an empty list, but an empty item is an item.
func list(v string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if strings.TrimSpace(v) == "" {
			return
		}
		for item := range strings.SplitSeq(v, ",") {
			if !yield(strings.TrimSpace(item)) {
				return
			}
		}
	}
}

func sorted(items []string) string {
	slices.Sort(items)
	return strings.Join(items, ",")
}
