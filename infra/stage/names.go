package stage

import (
	"slices"

	"archeio/ranges/regions"
)

// plainNamespace are the regions that do not support account regional namespaces
// for buckets.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html
var plainNamespace = []string{"me-central-1", "me-south-1"}

// AccountNamespace reports whether mirror buckets in a region are in the namespace
// of the account, where no other account can take their names.
func AccountNamespace(region string) bool { return !slices.Contains(plainNamespace, region) }

// Bucket returns the name of the mirror bucket in a region. It contains the account
// in every region, so that it is unique outside of the account's namespace too;
// but for an existing bucket.
func (s *Stage) Bucket(region string) string {
	if name := s.Buckets[region]; name != "" {
		return name
	}
	return s.bucket(s.MirrorPrefix, region)
}

// StateBucket returns the name of the private bucket, in the home region, of the
// functions that fill the mirrors.
func (s *Stage) StateBucket() string { return s.bucket(s.MirrorPrefix+"-state", s.Home) }

func (s *Stage) bucket(prefix, region string) string {
	name := prefix + "-" + s.Account + "-" + region
	if AccountNamespace(region) {
		name += "-an"
	}
	return name
}

// maxBucketName is S3's limit for the name of a bucket, in characters.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
const maxBucketName = 63

// bucketNames records that the longest of the bucket names is too long.
func (r *reader) bucketNames(s *Stage) {
	var longest string
	for _, b := range s.RetainedBuckets() {
		if len(b.Name) > len(longest) {
			longest = b.Name
		}
	}
	if excess := len(longest) - maxBucketName; excess > 0 {
		r.problem("mirrorPrefix", "the bucket name %q is longer than the %d characters that S3 allows: want at most %d characters",
			shortened(longest), maxBucketName, len(s.MirrorPrefix)-excess)
	}
}

// FillQueue returns the name of the work queue for filling the mirrors.
func (s *Stage) FillQueue() string { return "archeio-" + s.Name + "-fill" }

// DeadFillQueue returns the name of its dead-letter queue.
func (s *Stage) DeadFillQueue() string { return s.FillQueue() + "-dead" }

// The logical ids of the functions in the templates.
const (
	RedirectorID = "Redirector" // for sam local invoke too
	PlannerID    = "Planner"
	WorkerID     = "Worker"
	HookID       = "RolloutHook"
	RefreshID    = "Refresher"
	CanaryID     = "Canary"
)

// ViewerRequest returns the beginning of the name of the CloudFront function. The rest is
// a hash of its code.
func (s *Stage) ViewerRequest() string { return "archeio-" + s.Name + "-viewer-request-" }

// Stack returns the name of a stack. what is its kind, one of [Kinds].
func (s *Stage) Stack(what, region string) string {
	return "archeio-" + s.Name + "-" + what + "-" + region
}

// RedirectorLogs returns the name of the redirector's log group in each region.
func (s *Stage) RedirectorLogs() string { return "archeio-" + s.Name + "-redirector" }

// EdgeRegion is the region of the edge stack, because CloudFront requires its
// certificates there, and of the domain and budget stacks. Budgets are not in every
// region.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cnames-and-https-requirements.html
const EdgeRegion = "us-east-1"

// Outputs of stacks that others use.
const (
	// BucketName is the output of a mirror stack with the name of its bucket.
	BucketName = "BucketName"
	// BalancerName is the output of a redirector stack with the host name of its load
	// balancer.
	BalancerName = "BalancerName"
	// Records is the output of the domain stack with the host names of its records,
	// comma-separated.
	Records = "Records"
	// RequiredReplication is the output of the primary's mirror stack with the
	// replication configuration that an existing bucket must have.
	RequiredReplication = "RequiredReplication"
	// FunctionHost is the output of a redirector stack with the host of the
	// function URL.
	FunctionHost = "FunctionHost"
	// DistributionName is the output of the edge stack with the host name of the
	// distribution.
	DistributionName = "DistributionName"
	// DomainTarget is the output of the domain stack with what the domain leads
	// to, [ToDistribution] or [ToBalancers].
	DomainTarget = "DomainTarget"
	// UsesMirrors and UsesRedirectors are outputs with the regions of the stacks that a
	// stack refers to, separated by commas.
	UsesMirrors     = "UsesMirrors"
	UsesRedirectors = "UsesRedirectors"
	ToDistribution  = "distribution"
	ToBalancers     = "load balancers"
)

// Kinds are the kinds of stacks, each after those that it depends on.
var Kinds = []string{"watch", "home", "mirror", "filler", "refresh", "redirector", "edge", "domain", "canary", "budget"}

// Stack is a stack of a stage. What is its kind.
type Stack struct{ What, Region, Name string }

// Stacks returns all stacks of the stage, each after those that it depends on.
func (s *Stage) Stacks() []Stack {
	var all []Stack
	add := func(what string, regions ...string) {
		for _, region := range regions {
			all = append(all, Stack{what, region, s.Stack(what, region)})
		}
	}
	add("watch", s.Regions()...)
	add("home", s.Home)
	add("mirror", slices.DeleteFunc(slices.Clone(s.Mirrors), func(region string) bool { return region == s.Primary })...)
	add("mirror", s.Primary)
	if s.Filler != nil {
		add("filler", s.Primary)
	}
	if s.Refreshes() {
		add("refresh", EdgeRegion)
	}
	add("redirector", s.Redirectors...)
	if s.HasDistribution() {
		add("edge", EdgeRegion)
	}
	if slices.ContainsFunc(s.Hosts(), s.InZone) {
		add("domain", EdgeRegion)
	}
	if s.Canary != nil {
		add("canary", s.Redirectors...)
	}
	if s.Budget > 0 {
		add("budget", EdgeRegion)
	}
	return all
}

// StackRegions returns the regions of all stacks, sorted.
func (s *Stage) StackRegions() []string {
	var all []string
	for _, st := range s.Stacks() {
		all = append(all, st.Region)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Retained is a bucket that is kept when its stack is deleted.
type Retained struct{ Name, Region, Stack string }

// RetainedBuckets returns all buckets that the stage creates.
func (s *Stage) RetainedBuckets() []Retained {
	var all []Retained
	for _, region := range s.Mirrors {
		if s.IsExisting(region) {
			continue
		}
		all = append(all, Retained{s.Bucket(region), region, s.Stack("mirror", region)})
	}
	if s.HasState() {
		all = append(all, Retained{s.StateBucket(), s.Home, s.Stack("home", s.Home)})
	}
	return all
}

// bucketURL returns the URL of a bucket's dual-stack endpoint.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/dual-stack-endpoints.html
func bucketURL(bucket, region string) string {
	return "https://" + bucket + ".s3.dualstack." + region + ".amazonaws.com"
}

// MirrorURL returns the base URL of the mirror in a region.
func (s *Stage) MirrorURL(region string) string {
	if url := s.MirrorURLs[region]; url != "" {
		return url
	}
	return bucketURL(s.Bucket(region), region)
}

// nearestMirror returns the region of the mirror nearest to a region, among those
// that clients are redirected to.
func (s *Stage) nearestMirror(region string) string {
	at, _ := regions.Find(aws, region)
	routed := s.Routed()
	if i := Nearest(routed, at.Point, -1); i >= 0 {
		return routed[i]
	}
	return s.Primary
}

// Nearest returns the position in names of the AWS region nearest to a point,
// leaving out the one at position except; -1 if none is left.
func Nearest(names []string, to regions.Point, except int) int {
	places := make([]regions.Region, len(names))
	for i, name := range names {
		places[i], _ = regions.Find(aws, name)
	}
	return regions.NewIndex(places).Nearest(to, except)
}
