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

// Replicas are the mirror regions without the primary.
func (s *Stage) Replicas() []string {
	return slices.DeleteFunc(slices.Clone(s.Mirrors), func(region string) bool { return region == s.Primary })
}

// Config is the configuration of the function in a redirector region.
func (s *Stage) Config(region string) (*config.Config, error) {
	env := s.environment(region)
	return config.Load(func(name string) string { return env[name] })
}
