package stage

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Front is what clients connect to.
type Front string

// The fronts.
const (
	CloudFront Front = "cloudfront"
	ALB        Front = "alb"
	Both       Front = "both"
)

// Zone is a hosted zone of Route 53.
type Zone struct{ ID, Name string }

// Network is a VPC with at least two public subnets in different availability
// zones.
type Network struct {
	VPC     string
	Subnets []string
	// IPv6 is whether the subnets have IPv6 blocks.
	IPv6 bool
}

// Firewall limits the rate of requests from one address.
type Firewall struct {
	// Limit is the number of requests from one address within five minutes.
	Limit int
	// CountOnly is whether requests above it are counted and not blocked.
	CountOnly bool
}

var (
	domainForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$`)
	zoneForm   = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
	vpcForm    = regexp.MustCompile(`^vpc-([0-9a-f]{8}|[0-9a-f]{17})$`)
	subnetForm = regexp.MustCompile(`^subnet-([0-9a-f]{8}|[0-9a-f]{17})$`)
)

func (r *reader) front(s *Stage) {
	before := len(r.errs)
	r.text("front", (*string)(&s.Front), oneOf(string(CloudFront), string(ALB), string(Both)))
	if len(r.errs) > before {
		s.Front = CloudFront // requires nothing that could be missing
	}
}

func (r *reader) domain(s *Stage) {
	before := len(r.errs)
	r.text("domain", &s.Domain, domainForm.MatchString)
	_, hasDomain := r.values["domain"]
	_, hasZone := r.values["hostedZone"]
	switch {
	case !hasDomain && s.HasLoadBalancers():
		r.missing("domain", "required for load balancers")
	case !hasDomain && hasZone:
		r.problem("hostedZone", "has no effect without domain: set that or remove this")
	case hasDomain && !hasZone:
		r.missing("hostedZone", "required with domain")
	}
	if r.decode("domainPending", &s.DomainPending); s.DomainPending && s.Front != Both {
		r.problem("domainPending", `has no effect unless front is "both": remove it`)
	}
	if !r.object("hostedZone") {
		return
	}
	r.text("hostedZone.id", &s.Zone.ID, zoneForm.MatchString)
	r.text("hostedZone.name", &s.Zone.Name, domainForm.MatchString)
	if len(r.errs) == before && s.Domain != "" && s.Domain != s.Zone.Name && !strings.HasSuffix(s.Domain, "."+s.Zone.Name) {
		r.wrong("domain", "not in the hosted zone %s: want a host name in it", s.Zone.Name)
	}
}

func (r *reader) networks(s *Stage) {
	var byRegion map[string]json.RawMessage
	if !r.decode("networks", &byRegion) {
		return
	}
	if !s.HasLoadBalancers() {
		r.problem("networks", `has no effect without load balancers: remove it, or set front to "alb" or "both"`)
		return
	}
	s.Networks = map[string]Network{}
	for _, region := range slices.Sorted(maps.Keys(byRegion)) {
		if !slices.Contains(s.Redirectors, region) {
			r.problem("networks", "%s: want %s", notIn(region, "redirectors", s.Redirectors), find("networks").want)
			continue
		}
		name := join("networks", region)
		r.values[name] = byRegion[region]
		if !r.object(name) {
			continue
		}
		var n Network
		r.text(name+".vpc", &n.VPC, vpcForm.MatchString)
		if r.decode(name+".subnets", &n.Subnets) {
			invalid := slices.ContainsFunc(n.Subnets, func(id string) bool { return !subnetForm.MatchString(id) })
			different := slices.Compact(slices.Sorted(slices.Values(n.Subnets)))
			if invalid || len(different) < 2 || len(different) != len(n.Subnets) {
				r.invalid(name + ".subnets")
			}
		}
		r.decode(name+".ipv6", &n.IPv6)
		s.Networks[region] = n
	}
}

// BalancerIPv6 reports whether the load balancer in a region has IPv6 addresses.
func (s *Stage) BalancerIPv6(region string) bool {
	n, existing := s.Networks[region]
	return !existing || n.IPv6
}

func (r *reader) firewall(s *Stage) {
	if !r.object("firewall") {
		return
	}
	s.Firewall = &Firewall{}
	number(r, "firewall.limit", &s.Firewall.Limit)
	r.decode("firewall.countOnly", &s.Firewall.CountOnly)
}

func (r *reader) accessLogs(s *Stage) {
	if r.decode("accessLogs", &s.AccessLogs) && s.AccessLogs && !s.HasDistribution() {
		r.wrong("accessLogs", "logs of load balancers always have the client address: want false, or a front with a distribution")
	}
}
