package stage

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"archeio/ranges/regions"
)

// plainNamespace are the regions in which a bucket cannot be in the namespace
// of its account.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html
var plainNamespace = []string{"me-central-1", "me-south-1"}

// AccountNamespace tells whether mirror buckets in a region are in the
// account's own namespace, where nobody else can take their names.
func AccountNamespace(region string) bool { return !slices.Contains(plainNamespace, region) }

// Bucket is the name of a region's mirror bucket. Names outside of the
// account's namespace have the account in them too.
func (s *Stage) Bucket(region string) string { return s.bucket(s.MirrorPrefix, region) }

// StateBucket is the name of the private bucket, in the primary's region, of the
// functions that fill the mirrors.
func (s *Stage) StateBucket() string { return s.bucket(s.MirrorPrefix+"-state", s.Primary) }

func (s *Stage) bucket(prefix, region string) string {
	name := prefix + "-" + s.Account + "-" + region
	if AccountNamespace(region) {
		name += "-an"
	}
	return name
}

// FillQueue is the name of the queue that hands out the work of filling the
// mirrors, DeadFillQueue of the one that gets what failed too often.
func (s *Stage) FillQueue() string     { return "archeio-" + s.Name + "-fill" }
func (s *Stage) DeadFillQueue() string { return s.FillQueue() + "-dead" }

// ViewerRequest is the name of the function at the edge.
func (s *Stage) ViewerRequest() string { return "archeio-" + s.Name + "-viewer-request" }

// Stack is the name of a stack: what it is for, and where.
func (s *Stage) Stack(what, region string) string {
	return "archeio-" + s.Name + "-" + what + "-" + region
}

// EdgeRegion is where CloudFront wants its certificates.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cnames-and-https-requirements.html
const EdgeRegion = "us-east-1"

// Stack is one of a stage's stacks.
type Stack struct{ What, Region, Name string }

// Stacks are all of a stage's stacks, in an order in which each comes after
// those that it needs.
func (s *Stage) Stacks() []Stack {
	var all []Stack
	add := func(what string, regions ...string) {
		for _, region := range regions {
			all = append(all, Stack{what, region, s.Stack(what, region)})
		}
	}
	add("watch", s.Regions()...)
	add("mirror", slices.DeleteFunc(slices.Clone(s.Mirrors), func(region string) bool { return region == s.Primary })...)
	add("mirror", s.Primary)
	if s.Filler != nil {
		add("filler", s.Primary)
	}
	add("redirector", s.Redirectors...)
	if s.HasDistribution() {
		add("edge", EdgeRegion)
	}
	return all
}

// Retained is a bucket that outlives the stack that made it.
type Retained struct{ Name, Region, Stack string }

// RetainedBuckets are all of a stage's buckets.
func (s *Stage) RetainedBuckets() []Retained {
	var all []Retained
	for _, region := range s.Mirrors {
		all = append(all, Retained{s.Bucket(region), region, s.Stack("mirror", region)})
	}
	if s.Filler != nil {
		all = append(all, Retained{s.StateBucket(), s.Primary, s.Stack("filler", s.Primary)})
	}
	return all
}

// bucketURL is where S3 serves a bucket for both IPv4 and IPv6.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/dual-stack-endpoints.html
func bucketURL(bucket, region string) string {
	return "https://" + bucket + ".s3.dualstack." + region + ".amazonaws.com"
}

// MirrorURL is the base URL of a region's mirror.
func (s *Stage) MirrorURL(region string) string {
	if url := s.MirrorURLs[region]; url != "" {
		return url
	}
	return bucketURL(s.Bucket(region), region)
}

// environment is that of the function in a region, as config.Load reads it.
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
		if s.MirrorURLs[mirror] != "" || !AccountNamespace(mirror) {
			overrides = append(overrides, mirror+"="+s.MirrorURL(mirror))
		}
	}
	env["MIRROR_URL_OVERRIDES"] = strings.Join(overrides, ",")
	if s.HasDistribution() {
		env["DEFAULT_AWS_BASE_URL"] = "/"
		if s.Domain != "" {
			// Only an absolute address leads from a load balancer to the
			// distribution.
			env["DEFAULT_AWS_BASE_URL"] = "https://" + s.Domain
		}
		env["DEFAULT_MIRROR_CHECK_URL"] = s.MirrorURL(s.nearestMirror(region))
		env["CLIENT_ADDRESS_HEADER"] = "CloudFront-Viewer-Address"
	}
	env["AWS_REGION"] = region
	return env
}

// fillEnvironment is that of the functions that fill the mirrors, as
// config.LoadFill reads it.
func (s *Stage) fillEnvironment() map[string]string {
	_, source, _ := strings.Cut(strings.TrimSuffix(s.upstream.Endpoint, "/"), "://")
	if s.upstream.Path != "" {
		source += "/" + s.upstream.Path
	}
	var buckets []string
	for _, region := range s.Filled() {
		buckets = append(buckets, s.Bucket(region)+"@"+region)
	}
	return map[string]string{
		"FILL_SOURCE":    source,
		"FILL_BUCKETS":   strings.Join(buckets, ","),
		"FILL_FILLING":   strings.Join(s.Filling, ","),
		"FILL_STATE":     s.StateBucket(),
		"FILL_QUEUE":     "https://sqs." + s.Primary + ".amazonaws.com/" + s.Account + "/" + s.FillQueue(),
		"FILL_RATE":      strconv.FormatFloat(s.Filler.Rate/float64(s.Filler.Workers), 'f', -1, 64),
		"FILL_REFERRERS": strconv.FormatBool(s.Filler.Referrers),
		"FILL_SECRET":    s.Filler.Secret,
	}
}

// nearestMirror is the mirror region nearest to a region.
func (s *Stage) nearestMirror(region string) string {
	at, _ := regions.Find("AWS", region)
	routed := s.Routed()
	if i := Nearest(routed, at.Point, -1); i >= 0 {
		return routed[i]
	}
	return s.Primary
}

// Nearest answers the position of the region nearest to a point, of those that
// are not at position except; -1 if there is none.
func Nearest(names []string, to regions.Point, except int) int {
	places := make([]regions.Region, len(names))
	for i, name := range names {
		places[i], _ = regions.Find("AWS", name)
	}
	return regions.NewIndex(places).Nearest(to, except)
}
