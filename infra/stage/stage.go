// Package stage reads the stages of cdk.json: what is deployed where. A stage is
// data; everything that follows from one, as the names of its buckets and the
// environment of its functions, is derived here and nowhere else.
//
// A Stage is not changed once it is read.
package stage

import (
	"slices"

	"archeio/lambda/config"
)

// Front is what stands before the functions.
type Front string

// The fronts.
const (
	CloudFront Front = "cloudfront"
	ALB        Front = "alb"
	Both       Front = "both"
)

// Stage is one deployment of the whole system.
type Stage struct {
	// Name is the key in cdk.json. It is part of every stack's name.
	Name    string
	Account string
	// Mirrors are the regions that have a mirror bucket. Primary is the one
	// of them that every blob is written to first.
	Mirrors []string
	Primary string
	// Filling are mirrors that are filled and not yet read, Retiring those that
	// are neither any more.
	Filling, Retiring []string
	// Redirectors are the regions that have a redirector function.
	Redirectors []string
	Front       Front
	// Domain is the registry's name, in Zone; both are empty for none.
	Domain string
	Zone   Zone
	// MirrorPrefix begins the name of every mirror bucket.
	MirrorPrefix string
	// Architecture is "arm64" or "x86_64".
	Architecture string
	// Memory of a function is in MB, LogRetention in days.
	Memory, LogRetention int
	// Protected keeps stacks from being deleted.
	Protected bool
	// Networks are those that load balancers are put into, by region; one is
	// made where there is none.
	Networks map[string]Network
	// MirrorURLs are base URLs by region, where a mirror is not read under
	// its bucket's own address.
	MirrorURLs map[string]string
	// Filler is nil where no function fills the mirrors: people do, from a
	// shell.
	Filler *Filler
	// Email is told of alarms and of the budget, empty for nobody.
	Email string
	// DownloadAlarm is how many GB a bucket may send in an hour before an
	// alarm rings.
	DownloadAlarm int
	// Budget is what a month may cost before Email is told, in dollars; 0 is
	// no budget.
	Budget float64
	// PlainAlarms leaves out alarms by metric math, which the emulator does not
	// know. No key of a stage sets it.
	PlainAlarms bool
	// AccessLogs tells whether the distribution writes down its requests,
	// without anything about the client.
	AccessLogs bool
	// Firewall is nil for none.
	Firewall *Firewall
	// Release is nil where a new version takes over at once.
	Release *Release

	upstream  upstream
	variables map[string]string // of the functions, the same in all regions
}

// Zone is a hosted zone of Route 53.
type Zone struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Network is a VPC with at least two public subnets in different zones.
type Network struct {
	VPC     string   `json:"vpc"`
	Subnets []string `json:"subnets"`
}

type upstream struct {
	Endpoint string `json:"endpoint"`
	Path     string `json:"path"`
	// Regional are endpoints that functions in a region use instead.
	Regional map[string]string `json:"regional"`
}

// HasDistribution tells whether the stage has a CloudFront distribution.
func (s *Stage) HasDistribution() bool { return s.Front != ALB }

// HasLoadBalancers tells whether the stage has load balancers.
func (s *Stage) HasLoadBalancers() bool { return s.Front != CloudFront }

// BalancerDomain is the name that the load balancers share.
func (s *Stage) BalancerDomain() string {
	if s.Front == Both {
		return "alb." + s.Domain
	}
	return s.Domain
}

// Filled are the mirrors that blobs are written to, the primary first.
func (s *Stage) Filled() []string { return append([]string{s.Primary}, s.Replicas()...) }

// Replicas are those of them without the primary.
func (s *Stage) Replicas() []string {
	return slices.DeleteFunc(slices.Clone(s.Mirrors), func(region string) bool {
		return region == s.Primary || slices.Contains(s.Retiring, region)
	})
}

// Routed are the mirrors that clients are sent to.
func (s *Stage) Routed() []string {
	return slices.DeleteFunc(slices.Clone(s.Mirrors), func(region string) bool {
		return slices.Contains(s.Filling, region) || slices.Contains(s.Retiring, region)
	})
}

// Leaves tells whether a stack is only there until people delete it, as its
// mirror retires.
func (s *Stage) Leaves(what, region string) bool {
	return slices.Contains(s.Retiring, region) && (what == "mirror" || what == "watch" && !slices.Contains(s.Redirectors, region))
}

// Config is the configuration of the function in a redirector region.
func (s *Stage) Config(region string) (*config.Config, error) {
	env := s.environment(region)
	return config.Load(func(name string) string { return env[name] })
}
