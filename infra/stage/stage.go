// Package stage reads the stages of cdk.json: what is deployed where. A stage is
// data; everything that follows from it, such as the names of its buckets and the
// environments of its functions, is derived here and nowhere else.
//
// A Stage is not changed after it is loaded, except by OverrideRelease.
package stage

import "slices"

// Stage is one deployment of the whole system.
type Stage struct {
	// Name is the name in cdk.json. It is part of the name of every stack.
	Name    string
	Account string
	// Mirrors are the regions that have a mirror bucket. Primary is the one of
	// them that is written first.
	Mirrors []string
	Primary string
	// Home is the region of the fillers' state and of the dashboard.
	Home string
	// Filling are mirrors that are filled but that clients are not redirected to
	// yet. Retiring are mirrors that are neither filled nor redirected to.
	Filling, Retiring []string
	// Redirectors are the regions that have a redirector function.
	Redirectors []string
	Front       Front
	// Domain is the host name of the registry, Aliases are more of them; empty if the
	// host name is that of the distribution. Zone is empty if no records are created.
	Domain  string
	Aliases []string
	// Certificates are ARNs of existing certificates by region. In the other regions one
	// is created.
	Certificates map[string]string
	// PriceClass is that of the distribution, without its prefix.
	PriceClass string
	// DomainPending is whether Domain does not lead to the distribution yet.
	DomainPending bool
	Zone          Zone
	// MirrorPrefix is the prefix of all bucket names.
	MirrorPrefix string
	// Buckets are the names of existing buckets by mirror region. The others are created.
	Buckets map[string]string
	// Architecture is "arm64" or "x86_64".
	Architecture string
	// Memory of a redirector is in MB, LogRetention in days.
	Memory, LogRetention int
	// Protected is whether the stacks are protected from deletion.
	Protected bool
	// Networks are the VPCs for load balancers by region. In the other regions one
	// is created.
	Networks map[string]Network
	// MirrorURLs are base URLs by region, for mirrors that are not read from the
	// URL of the bucket.
	MirrorURLs map[string]string
	// Filler is nil if no functions fill the mirrors.
	Filler *Filler
	// Email receives alarms and budget notifications; empty for none.
	Email string
	// Canary is nil if no function pulls through the entry points.
	Canary *Canary
	// DownloadAlarm is how many GB may be downloaded from a bucket within an hour
	// before an alarm fires.
	DownloadAlarm int
	// Budget is the monthly budget in US dollars, 0 for none.
	Budget float64
	// PlainAlarms omits the alarms on metric math, which the AWS emulator does not
	// support. No key of a stage sets it.
	PlainAlarms bool
	// AccessLogs is whether the distribution logs requests, without anything about
	// the client.
	AccessLogs bool
	// Firewall is nil if there is none.
	Firewall *Firewall
	// Release is nil if a new version of a redirector serves all traffic at once.
	Release *Release

	// SingleHost is whether clients are only sent to the distribution.
	SingleHost bool

	upstream  upstream
	variables map[string]string // of the redirectors, the same in all regions
}

// HasDistribution reports whether the stage has a CloudFront distribution.
func (s *Stage) HasDistribution() bool { return s.Front != ALB }

// HasLoadBalancers reports whether the stage has load balancers.
func (s *Stage) HasLoadBalancers() bool { return s.Front != CloudFront }

// BalancerDomain returns the host name of the load balancers, which is the same in
// all regions and for all fronts.
func (s *Stage) BalancerDomain() string { return "alb." + s.Domain }

// Filled returns the mirrors that blobs are written to, the primary first.
func (s *Stage) Filled() []string { return append([]string{s.Primary}, s.Replicas()...) }

// Replicas returns the mirrors that blobs are written to, without the primary.
func (s *Stage) Replicas() []string {
	return slices.DeleteFunc(slices.Clone(s.Mirrors), func(region string) bool {
		return region == s.Primary || slices.Contains(s.Retiring, region)
	})
}

// Routed returns the mirrors that clients are redirected to.
func (s *Stage) Routed() []string {
	return slices.DeleteFunc(slices.Clone(s.Mirrors), func(region string) bool {
		return slices.Contains(s.Filling, region) || slices.Contains(s.Retiring, region)
	})
}

// IsRetired reports whether a stack remains only until an operator deletes it,
// because its mirror is retiring. what is the kind of the stack, as for Stack.
func (s *Stage) IsRetired(what, region string) bool {
	edge := region == EdgeRegion && s.HasDistribution()
	return slices.Contains(s.Retiring, region) && (what == "mirror" || what == "watch" && !slices.Contains(s.Redirectors, region) && !edge)
}
