package config

import (
	"fmt"
	"slices"
	"strings"

	"archeio/lambda/spelling"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// Mirror is a regional mirror.
type Mirror struct {
	// Region is an AWS region.
	Region string
	// URL is the base URL; a blob is at URL/BlobPrefix<digest>.
	URL string
}

// DistributionHost is the DefaultMirror that stands for the host that the
// client asked.
const DistributionHost = "/"

func (l *loader) defaultMirror(c *Config) {
	const mirror, check = "DEFAULT_AWS_BASE_URL", "DEFAULT_MIRROR_CHECK_URL"
	var err error
	switch v := l.get(mirror); v {
	case "", DistributionHost:
		c.DefaultMirror = v
	default:
		if c.DefaultMirror, err = baseURL(v); err != nil {
			l.invalid(mirror, err.Error()+`, or "/"`)
		}
	}
	switch v := l.get(check); {
	case v != "":
		if c.DefaultMirrorCheck, err = baseURL(v); err != nil {
			l.invalid(check, err.Error())
		}
		if l.get(mirror) == "" {
			l.invalid(check, "has no effect unless "+mirror+" is set: set that or remove this")
		}
	case c.DefaultMirror == DistributionHost:
		l.invalid(check, "required with "+mirror+`="/": want the base URL of a bucket that the distribution serves`)
	default:
		c.DefaultMirrorCheck = c.DefaultMirror
	}
}

func (l *loader) mirrors(c *Config) {
	const (
		regionsName, templateName = "MIRROR_REGIONS", "MIRROR_URL_TEMPLATE"
		overridesName, rulesName  = "MIRROR_URL_OVERRIDES", "MIRROR_FOR"
	)
	for region := range list(l.get(regionsName)) {
		switch {
		case !knownRegion(region):
			l.invalid(regionsName, unknownRegion(region)+": want AWS regions, comma-separated")
			return
		case c.mirrorIn(region) >= 0:
			l.invalid(regionsName, fmt.Sprintf("duplicate region %q: want each region once", region))
			return
		}
		c.Mirrors = append(c.Mirrors, Mirror{Region: region})
	}
	c.template = l.get(templateName)
	if len(c.Mirrors) > 0 || c.template != "" {
		if err := c.expandTemplate(); err != nil {
			l.invalid(templateName, err.Error())
		}
	}
	c.overrides = map[string]string{}
	for item := range list(l.get(overridesName)) {
		if err := c.override(item); err != nil {
			l.invalid(overridesName, err.Error())
			break
		}
	}
	c.MirrorFor = map[string]int{}
	for item := range list(l.get(rulesName)) {
		if err := c.addRule(item); err != nil {
			l.invalid(rulesName, err.Error())
			break
		}
	}
}

// mirrorIn returns the position of the mirror in a region, -1 if there is none.
func (c *Config) mirrorIn(region string) int {
	return slices.IndexFunc(c.Mirrors, func(m Mirror) bool { return m.Region == region })
}

// notAMirror returns the text that there is no mirror in a region.
func (c *Config) notAMirror(region string) string {
	known := each(c.Mirrors, func(m Mirror) string { return m.Region })
	return fmt.Sprintf("%q is not in MIRROR_REGIONS%s", region, spelling.DidYouMean(region, known))
}

// expandTemplate sets the URL of each mirror. A template is checked even if no
// mirror uses it yet.
func (c *Config) expandTemplate() error {
	const placeholder = "{region}"
	const want = "a base URL with " + placeholder + " in it"
	switch {
	case c.template == "":
		return fmt.Errorf("required with MIRROR_REGIONS: want %s, for example https://mirror-%s.s3.dualstack.%[2]s.amazonaws.com", want, placeholder)
	case !strings.Contains(c.template, placeholder):
		return fmt.Errorf("no %s in it: want %s, for example https://mirror-%[1]s.s3.dualstack.%[1]s.amazonaws.com", placeholder, want)
	}
	at := func(region string) (string, error) {
		base, err := baseURL(strings.ReplaceAll(c.template, placeholder, region))
		if err != nil {
			err = fmt.Errorf("%w, with %s in it", err, placeholder)
		}
		return base, err
	}
	_, err := at("region")
	for i := 0; i < len(c.Mirrors) && err == nil; i++ {
		c.Mirrors[i].URL, err = at(c.Mirrors[i].Region)
	}
	return err
}

// override sets the URL of one mirror from an item region=URL.
func (c *Config) override(item string) error {
	const want = "region=URL, comma-separated"
	region, v, ok := strings.Cut(item, "=")
	if !ok {
		return fmt.Errorf("%q has no equals sign: want %s", item, want)
	}
	i := c.mirrorIn(region)
	if i < 0 {
		return fmt.Errorf("%s: want %s", c.notAMirror(region), want)
	}
	if _, ok := c.overrides[region]; ok {
		return fmt.Errorf("duplicate region %q: want each region once", region)
	}
	base, err := baseURL(v)
	if err != nil {
		return fmt.Errorf("%q: %w", item, err)
	}
	c.Mirrors[i].URL, c.overrides[region] = base, base
	return nil
}

// addRule adds an item client-region:mirror-region of MIRROR_FOR.
func (c *Config) addRule(item string) error {
	const want = "client-region:mirror-region, comma-separated"
	client, mirror, ok := strings.Cut(item, ":")
	if !ok {
		return fmt.Errorf("%q has no colon: want %s", item, want)
	}
	i := c.mirrorIn(mirror)
	if i < 0 {
		return fmt.Errorf("%s: want %s", c.notAMirror(mirror), want)
	}
	if !clientRegion(client) {
		return fmt.Errorf("%s: want %s", unknownRegion(client), want)
	}
	if _, ok := c.MirrorFor[client]; ok {
		return fmt.Errorf("duplicate client region %q: want each client region once", client)
	}
	c.MirrorFor[client] = i
	return nil
}

// clientRegion reports whether a client can be in that AWS region: the range
// table may have regions that are not in the table of regions yet.
func clientRegion(name string) bool {
	return knownRegion(name) || slices.Contains(ranges.Places(), ranges.Place{Cloud: ranges.AWS, Region: name})
}

func knownRegion(name string) bool {
	_, ok := regions.Find(string(ranges.AWS), name)
	return ok
}

// unknownRegion returns the text that there is no such AWS region.
func unknownRegion(name string) string {
	known := each(slices.Collect(regions.All(string(ranges.AWS))), func(r regions.Region) string { return r.Name })
	return fmt.Sprintf("unknown region %q%s", name, spelling.DidYouMean(name, known))
}
