package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"archeio/lambda/config"
	"archeio/ranges/regions"
)

// settings maps the keys of a stage that are handed to the functions unchanged
// to the variables that they become.
var settings = map[string]string{
	"signatureUpstream":    "SIGNATURE_UPSTREAM_ENDPOINT",
	"mirrorFor":            "MIRROR_FOR",
	"upstreamClouds":       "UPSTREAM_CLOUDS",
	"mirrorCheckTimeout":   "MIRROR_CHECK_TIMEOUT",
	"mirrorHealthInterval": "MIRROR_HEALTH_INTERVAL",
	"mirrorIndexRefresh":   "MIRROR_INDEX_REFRESH",
	"mirrorIndexMaxAge":    "MIRROR_INDEX_MAX_AGE",
	"failoverBudget":       "FAILOVER_BUDGET",
	"infoURL":              "INFO_URL",
	"privacyURL":           "PRIVACY_URL",
	"logLevel":             "LOG_LEVEL",
}

// retentions are the numbers of days that CloudWatch Logs takes.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
var retentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

const (
	// longestBucket is S3's limit, longestEnvironment Lambda's in bytes.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
	// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
	longestBucket      = 63
	longestEnvironment = 4096
)

var (
	nameForm    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`)
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	prefixForm  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	domainForm  = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$`)
	zoneForm    = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
	vpcForm     = regexp.MustCompile(`^vpc-([0-9a-f]{8}|[0-9a-f]{17})$`)
	subnetForm  = regexp.MustCompile(`^subnet-([0-9a-f]{8}|[0-9a-f]{17})$`)
)

// Load reads all stages: a JSON object of them by name, as under the key
// "stages" in the context of cdk.json. Its error names each stage and key that
// is wrong, and what it takes.
func Load(data []byte) ([]*Stage, error) {
	var all map[string]map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil || len(all) == 0 {
		return nil, errors.New(`cdk.json: "stages" takes an object with at least one stage by its name, each an object`)
	}
	var out []*Stage
	var errs []error
	names := slices.Sorted(maps.Keys(all))
	for _, name := range names {
		r := &reader{stage: name, stages: names, values: all[name]}
		s := r.read()
		if r.errs != nil {
			errs = append(errs, r.errs...)
			continue
		}
		out = append(out, s)
	}
	return out, errors.Join(errs...)
}

// reader reads the keys of one stage and collects what is wrong.
type reader struct {
	stage  string
	stages []string // all of the file
	values map[string]json.RawMessage
	errs   []error
}

func (r *reader) refuse(key, takes string) {
	text := fmt.Sprintf("stage %q: %s %s", r.stage, key, takes)
	first, _, _ := strings.Cut(key, ".")
	if raw, ok := r.values[first]; ok {
		text += "; it is " + string(raw)
	} else {
		text += "; it is missing"
	}
	r.errs = append(r.errs, errors.New(text))
}

// decode reads a key into a value and marks it as read; false if the key is
// not there, or of another type and refused.
func (r *reader) decode(key string, into any, takes string) bool {
	raw, ok := r.values[key]
	if !ok {
		return false
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil || string(raw) == "null" {
		r.refuse(key, takes)
		return false
	}
	return true
}

func (r *reader) read() *Stage {
	s := &Stage{
		Name:         r.stage,
		Front:        CloudFront,
		MirrorPrefix: "archeio-" + r.stage,
		Architecture: "arm64",
		Memory:       256,
		LogRetention: 30,
		Protected:    true,

		DownloadAlarm: 100,

		variables: map[string]string{},
	}
	if !nameForm.MatchString(r.stage) {
		r.errs = append(r.errs, fmt.Errorf("stage %q: its name takes up to 20 lower-case letters, digits and hyphens, with a letter first", r.stage))
		return s
	}
	r.unknown()
	r.text("account", &s.Account, true, "takes an AWS account, twelve digits", accountForm.MatchString)
	r.text("mirrorPrefix", &s.MirrorPrefix, false, "takes the beginning of the buckets' names: lower-case letters, digits and hyphens", prefixForm.MatchString)
	r.text("architecture", &s.Architecture, false, `takes "arm64" or "x86_64"`, oneOf("arm64", "x86_64"))
	r.text("front", (*string)(&s.Front), false, `takes "cloudfront", "alb" or "both"`, oneOf("cloudfront", "alb", "both"))
	r.number("memory", &s.Memory, "takes megabytes, from 128 to 10240", func(n int) bool { return n >= 128 && n <= 10240 })
	r.number("logRetention", &s.LogRetention, "takes days, as CloudWatch Logs counts them: 1, 3, 5, 7, 14, 30, 60, 90, ...", func(n int) bool { return slices.Contains(retentions, n) })
	r.decode("terminationProtection", &s.Protected, "takes true or false")
	s.Mirrors = r.regions("mirrors")
	s.Redirectors = r.regions("redirectors")
	if len(r.errs) > 0 {
		return s
	}
	s.Primary = s.Mirrors[0]
	r.text("primary", &s.Primary, false, "takes one of the regions in mirrors", oneOf(s.Mirrors...))
	r.moving(s)
	r.samePartition(s)
	r.domain(s)
	r.networks(s)
	r.upstream(s)
	r.byRegion("mirrorURLs", &s.MirrorURLs, s.Mirrors, "takes base URLs by mirror region")
	r.settings(s)
	r.fill(s)
	r.watch(s)
	r.accessLogs(s)
	r.firewall(s)
	r.release(s)
	r.bucketNames(s)
	if len(r.errs) == 0 {
		r.environments(s)
	}
	return s
}

var keys = []string{
	"account", "mirrors", "primary", "filling", "retiring", "redirectors", "front", "domain", "hostedZone", "mirrorPrefix", "architecture", "memory",
	"logRetention", "terminationProtection", "networks", "upstream", "mirrorURLs", "fill", "email", "downloadAlarm", "budget",
	"accessLogs", "firewall", "release",
}

func (r *reader) unknown() {
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		if _, ok := settings[key]; !ok && !slices.Contains(keys, key) && key != "//" {
			r.errs = append(r.errs, fmt.Errorf("stage %q: there is no key %q; the keys are %s", r.stage, key,
				strings.Join(append(slices.Clone(keys), slices.Sorted(maps.Keys(settings))...), ", ")))
		}
	}
}

func (r *reader) text(key string, into *string, required bool, takes string, valid func(string) bool) {
	var v string
	switch {
	case r.decode(key, &v, takes):
		if !valid(v) {
			r.refuse(key, takes)
		}
		*into = v
	case required && r.values[key] == nil:
		r.refuse(key, takes)
	}
}

func (r *reader) number(key string, into *int, takes string, valid func(int) bool) {
	var v int
	if r.decode(key, &v, takes) {
		if !valid(v) {
			r.refuse(key, takes)
		}
		*into = v
	}
}

// regions reads a list of at least one region, each known and named once.
func (r *reader) regions(key string) []string {
	const takes = "takes AWS regions, at least one and each once"
	var names []string
	if !r.decode(key, &names, takes) {
		if r.values[key] == nil {
			r.refuse(key, takes)
		}
		return nil
	}
	if len(names) == 0 {
		r.refuse(key, takes)
	}
	for i, name := range names {
		switch _, known := regions.Find("AWS", name); {
		case !known:
			r.refuse(key, fmt.Sprintf("%s; %q is none that is known", takes, name))
		case slices.Contains(names[:i], name):
			r.refuse(key, fmt.Sprintf("%s; %q is there twice", takes, name))
		}
	}
	return names
}

// samePartition: credentials and addresses of one partition are of no use in
// another. CloudFront is in the commercial one only as it is used here.
func (r *reader) samePartition(s *Stage) {
	for _, list := range []struct {
		key   string
		names []string
	}{{"mirrors", s.Mirrors}, {"redirectors", s.Redirectors}} {
		for _, name := range list.names {
			if at, _ := regions.Find("AWS", name); at.Partition != "aws" {
				r.refuse(list.key, fmt.Sprintf("takes regions of the partition aws; %q is in %s (mirrorFor sends its clients to a mirror)", name, at.Partition))
			}
		}
	}
}

func (r *reader) domain(s *Stage) {
	const takes = `takes the registry's name, as "registry.example.com"`
	r.text("domain", &s.Domain, s.HasLoadBalancers(), takes+", which a load balancer needs for its certificate", domainForm.MatchString)
	const zoneTakes = `takes the zone that the domain is in, as {"id": "Z0123456789ABCDEFGHIJ", "name": "example.com"}`
	switch given := r.decode("hostedZone", &s.Zone, zoneTakes); {
	case !given && s.Domain != "" && r.values["hostedZone"] == nil:
		r.refuse("hostedZone", zoneTakes+"; a domain needs one")
	case given && s.Domain == "":
		r.refuse("domain", takes+"; a hosted zone is of no use without one")
	case given && (!zoneForm.MatchString(s.Zone.ID) || !domainForm.MatchString(s.Zone.Name)):
		r.refuse("hostedZone", zoneTakes)
	case given && s.Domain != s.Zone.Name && !strings.HasSuffix(s.Domain, "."+s.Zone.Name):
		r.refuse("domain", fmt.Sprintf("takes a name in the hosted zone %s", s.Zone.Name))
	}
}

func (r *reader) networks(s *Stage) {
	const takes = `takes networks by redirector region, as {"us-east-1": {"vpc": "vpc-0123abcd", "subnets": ["subnet-0123abcd", "subnet-4567cdef"]}}`
	if !r.decode("networks", &s.Networks, takes) {
		return
	}
	for region, n := range s.Networks {
		odd := slices.ContainsFunc(n.Subnets, func(id string) bool { return !subnetForm.MatchString(id) })
		different := len(slices.Compact(slices.Sorted(slices.Values(n.Subnets)))) == len(n.Subnets)
		if !slices.Contains(s.Redirectors, region) || !vpcForm.MatchString(n.VPC) || len(n.Subnets) < 2 || odd || !different {
			r.refuse("networks", takes+"; each with two subnets or more")
			return
		}
	}
	if !s.HasLoadBalancers() {
		r.refuse("networks", "is of no use without load balancers")
	}
}

func (r *reader) upstream(s *Stage) {
	const takes = `takes the registry that is the source of truth, as {"endpoint": "https://us-docker.pkg.dev", "path": "project/images", "regional": {"eu-west-1": "https://europe-docker.pkg.dev"}}`
	if !r.decode("upstream", &s.upstream, takes) {
		if r.values["upstream"] == nil {
			r.refuse("upstream", takes)
		}
		return
	}
	if s.upstream.Endpoint == "" {
		r.refuse("upstream.endpoint", takes)
	}
	for region := range s.upstream.Regional {
		if !slices.Contains(s.Redirectors, region) {
			r.refuse("upstream.regional", fmt.Sprintf("takes endpoints by redirector region; %q is none", region))
		}
	}
}

func (r *reader) byRegion(key string, into *map[string]string, known []string, takes string) {
	if !r.decode(key, into, takes) {
		return
	}
	for region, v := range *into {
		u, err := url.Parse(v)
		if !slices.Contains(known, region) || err != nil || u.Host == "" {
			r.refuse(key, takes)
			return
		}
	}
}

// settings hands on what package config checks.
func (r *reader) settings(s *Stage) {
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		name := settings[key]
		var v any
		if !r.decode(key, &v, "takes a value") {
			continue
		}
		switch v := v.(type) {
		case string:
			s.variables[name] = v
		case float64:
			s.variables[name] = strconv.FormatFloat(v, 'f', -1, 64)
		case []any:
			if len(v) == 0 { // would hand on nothing, and so mean the default
				r.refuse(key, `takes a list with something in it (upstreamClouds takes "none" too)`)
			}
			items := make([]string, len(v))
			for i, item := range v {
				items[i] = fmt.Sprint(item)
			}
			s.variables[name] = strings.Join(items, ",")
		case map[string]any:
			var items []string
			for _, from := range slices.Sorted(maps.Keys(v)) {
				items = append(items, fmt.Sprintf("%s:%v", from, v[from]))
			}
			s.variables[name] = strings.Join(items, ",")
		default:
			r.refuse(key, "takes a text, a number, a list or an object of texts")
		}
	}
}

func (r *reader) bucketNames(s *Stage) {
	var name string
	if s.Filler != nil {
		name = s.StateBucket()
	}
	for _, region := range s.Mirrors {
		if bucket := s.Bucket(region); len(bucket) > len(name) {
			name = bucket
		}
	}
	if len(name) > longestBucket {
		r.refuse("mirrorPrefix", fmt.Sprintf("takes at most %d characters: the bucket %q would be longer than the %d that S3 takes",
			len(s.MirrorPrefix)-(len(name)-longestBucket), name, longestBucket))
	}
}

// environments checks what the functions will read.
func (r *reader) environments(s *Stage) {
	for _, region := range s.Redirectors {
		c, err := s.Config(region)
		if err != nil {
			r.errs = append(r.errs, fmt.Errorf("stage %q, function in %s: %s", s.Name, region, inKeys(err.Error())))
			return
		}
		n := size(c.Env())
		if s.Release != nil {
			n += releaseEnvironment
		}
		if n > longestEnvironment {
			r.errs = append(r.errs, fmt.Errorf("stage %q: the environment of the function in %s has %d bytes, Lambda takes %d: shorten mirrorPrefix, mirrors, mirrorFor or mirrorURLs", s.Name, region, n, longestEnvironment))
			return
		}
	}
	if s.Filler == nil {
		return
	}
	f, err := s.Fill()
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("stage %q, functions that fill the mirrors: %s", s.Name, inKeys(err.Error())))
		return
	}
	if n := size(f.Env()); n > longestEnvironment {
		r.errs = append(r.errs, fmt.Errorf("stage %q: the environment of the functions that fill the mirrors has %d bytes, Lambda takes %d: shorten mirrorPrefix, mirrors, upstream or fill.secret", s.Name, n, longestEnvironment))
	}
}

// size is what Lambda measures: the environment as JSON.
func size(env map[string]string) int {
	text, err := json.Marshal(env)
	if err != nil {
		panic("stage: " + strconv.Quote(err.Error())) // texts only
	}
	return len(text)
}

// inKeys puts the keys of a stage in place of the variables that they become.
func inKeys(text string) string {
	pairs := []string{
		"UPSTREAM_REGISTRY_ENDPOINT", "upstream.endpoint",
		"UPSTREAM_REGISTRY_PATH", "upstream.path",
		"MIRROR_REGIONS", "mirrors",
		"MIRROR_URL_OVERRIDES", "mirrorURLs",
		"FILL_SOURCE", "upstream.endpoint",
		config.ErrorPrefix, "",
	}
	for key, name := range settings {
		pairs = append(pairs, name, key)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func oneOf(values ...string) func(string) bool {
	return func(v string) bool { return slices.Contains(values, v) }
}
