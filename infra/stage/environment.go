package stage

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	"archeio/lambda/config"
)

const (
	// maxEnvironment is Lambda's limit for the environment of a function, in
	// bytes.
	// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
	maxEnvironment = 4096

	// memoryEnvironment is the size of the variable GOMEMLIMIT, which every function
	// has in addition, in bytes.
	memoryEnvironment = len(`,"GOMEMLIMIT":"9999MiB"`)

	// hookEnvironment is the size of what the environment of the rollout hook has
	// in addition to the redirector's and to PullEnvironment, in bytes: the longest
	// ARN of a version, the longest name of a function with its alias, and the fronts.
	hookEnvironment = 384
)

// Config returns the configuration of the function in a redirector region.
func (s *Stage) Config(region string) (*config.Config, error) {
	env := s.environment(region)
	return config.Load(func(name string) string { return env[name] })
}

// environment returns the environment of the redirector in a region, for
// config.Load.
func (s *Stage) environment(region string) map[string]string {
	env := maps.Clone(s.variables)
	env["UPSTREAM_REGISTRY_ENDPOINT"] = s.upstream.Endpoint
	if regional := s.upstream.Regional[region]; regional != "" {
		env["UPSTREAM_REGISTRY_ENDPOINT"] = regional
	}
	env["UPSTREAM_REGISTRY_PATH"] = s.upstream.Path
	env["MIRROR_REGIONS"] = strings.Join(s.Routed(), ",")
	env["MIRROR_URL_TEMPLATE"] = bucketURL(s.MirrorPrefix+"-"+s.Account+"-{region}-an", "{region}")
	var overrides []string
	for _, mirror := range s.Routed() {
		if s.MirrorURLs[mirror] != "" || s.IsExisting(mirror) || !AccountNamespace(mirror) {
			overrides = append(overrides, mirror+"="+s.MirrorURL(mirror))
		}
	}
	env["MIRROR_URL_OVERRIDES"] = strings.Join(overrides, ",")
	if s.HasDistribution() {
		env["DEFAULT_AWS_BASE_URL"] = config.DistributionHost
		if s.HasLoadBalancers() && !s.DomainPending {
			// A client of a load balancer asked another host than the distribution's.
			env["DEFAULT_AWS_BASE_URL"] = "https://" + s.Domain
		}
		env["VIEWER_HOSTS"] = strings.Join(s.Hosts(), ",")
		env["DEFAULT_MIRROR_CHECK_URL"] = s.MirrorURL(s.nearestMirror(region))
		env["CLIENT_ADDRESS_HEADER"] = "CloudFront-Viewer-Address"
	}
	env["REGISTRY_HOST"] = s.Domain
	env["AWS_REGION"] = region
	return env
}

// Source returns the registry and prefix that the mirrors are filled from:
// REGISTRY[/PREFIX].
func (s *Stage) Source() string {
	_, source, _ := strings.Cut(strings.TrimSuffix(s.upstream.Endpoint, "/"), "://")
	if s.upstream.Path != "" {
		source += "/" + s.upstream.Path
	}
	return source
}

// fillEnvironment returns the environment of the functions that fill the mirrors,
// for config.LoadFill.
func (s *Stage) fillEnvironment() map[string]string {
	var buckets []string
	for _, region := range s.Filled() {
		buckets = append(buckets, s.Bucket(region)+"@"+region)
	}
	return map[string]string{
		"FILL_SOURCE":    s.Source(),
		"FILL_BUCKETS":   strings.Join(buckets, ","),
		"FILL_FILLING":   strings.Join(s.Filling, ","),
		"FILL_STATE":     s.StateBucket() + "@" + s.Home,
		"FILL_QUEUE":     "https://sqs." + s.Primary + ".amazonaws.com/" + s.Account + "/" + s.FillQueue(),
		"FILL_RATE":      strconv.FormatFloat(s.Filler.Rate/float64(s.Filler.Workers), 'f', -1, 64),
		"FILL_REFERRERS": strconv.FormatBool(s.Filler.Referrers),
		"FILL_SECRET":    s.Filler.Secret,

		"FILL_REPOSITORIES": strings.Join(s.Filler.Repositories, ","),
		"FILL_TAGS":         strings.Join(s.Filler.Tags, ","),
		"FILL_EXCLUDE_TAGS": strings.Join(s.Filler.ExcludeTags, ","),
		"FILL_PLATFORMS":    strings.Join(s.Filler.Platforms, ","),
		"FILL_ALLOW_EMPTY":  strconv.FormatBool(s.Filler.AllowEmpty),
	}
}

// environments loads the environments of all functions, and records what package
// config refuses.
func (r *reader) environments(s *Stage) {
	for _, region := range s.Redirectors {
		c, err := s.Config(region)
		if err != nil {
			r.refused(s, region, err)
			return
		}
		env := c.Env()
		n := size(env)
		if s.Release != nil {
			maps.Copy(env, s.PullEnvironment())
			n = size(env) + hookEnvironment
		}
		if n > maxEnvironment {
			r.problem("redirectors", "the environment of the function in %s has %d bytes, Lambda allows %d: shorten mirrorPrefix, mirrors, mirrorFor, mirrorURLs, buckets or page.text", region, n, maxEnvironment)
			return
		}
	}
	if s.Refreshes() {
		c, err := s.Refresh()
		if err != nil {
			r.refused(s, "", err)
			return
		}
		if n := size(c.Env()); n > maxEnvironment {
			r.problem("mirrors", "the environment of the function that refreshes the IP ranges has %d bytes, Lambda allows %d: shorten mirrorPrefix, mirrors or mirrorFor", n, maxEnvironment)
		}
	}
	if s.Filler == nil {
		return
	}
	f, err := s.Fill()
	if err != nil {
		r.refused(s, "", err)
		return
	}
	if n := size(f.Env()); n > maxEnvironment {
		r.problem("fill", "the environment of the functions has %d bytes, Lambda allows %d: shorten mirrorPrefix, mirrors, upstream or fill.secret", n, maxEnvironment)
	}
}

// refused records an error of package config with keys in place of variables.
// region is that of the redirector, empty for the functions that fill the mirrors.
func (r *reader) refused(s *Stage, region string, err error) {
	names := []string{
		config.ErrorPrefix, "",
		"FILL_SOURCE", "upstream.endpoint",
		"DEFAULT_MIRROR_CHECK_URL", join("mirrorURLs", s.nearestMirror(region)),
		"REGISTRY_HOST", "domain",
		", comma-separated", "", // a key has a list or an object
	}
	if s.upstream.Regional[region] != "" {
		names = append(names, "UPSTREAM_REGISTRY_ENDPOINT", join("upstream.regional", region))
	}
	for _, k := range keys {
		if k.variable != "" {
			names = append(names, k.variable, k.name)
		}
	}
	name, problem, _ := strings.Cut(strings.NewReplacer(names...).Replace(err.Error()), ": ")
	r.problem(name, "%s", problem)
}

// size returns the size of an environment as Lambda measures it: as JSON, with the
// variable GOMEMLIMIT.
func size(env map[string]string) int {
	text, err := json.Marshal(env)
	if err != nil {
		panic("stage: " + strconv.Quote(err.Error())) // it has only texts
	}
	return len(text) + memoryEnvironment
}
