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
	r.text("priceClass", &s.PriceClass, oneOf("100", "200", "all"))
	_, hasDomain := r.values["domain"]
	_, hasZone := r.values["hostedZone"]
	if !hasDomain && s.HasLoadBalancers() {
		r.missing("domain", "required for load balancers")
	} else if !hasDomain {
		for _, key := range []string{"aliases", "certificate", "hostedZone"} {
			if _, ok := r.values[key]; ok {
				r.problem(key, "has no effect without domain: set that or remove this")
			}
		}
	}
	if r.decode("domainPending", &s.DomainPending); s.DomainPending && s.Front != Both {
		r.problem("domainPending", `has no effect unless front is "both": remove it`)
	}
	if r.decode("aliases", &s.Aliases) {
		different := slices.Compact(slices.Sorted(slices.Values(append([]string{s.Domain}, s.Aliases...))))
		if len(s.Aliases) == 0 || len(different) != len(s.Aliases)+1 || slices.ContainsFunc(s.Aliases, func(v string) bool { return !domainForm.MatchString(v) }) {
			r.invalid("aliases")
		}
	}
	r.certificates(s)
	if r.object("hostedZone") {
		r.text("hostedZone.id", &s.Zone.ID, zoneForm.MatchString)
		r.text("hostedZone.name", &s.Zone.Name, domainForm.MatchString)
	}
	if len(r.errs) > before || !hasDomain {
		return
	}
	var missing []string
	for _, region := range s.certificateRegions() {
		if s.Certificates[region] == "" {
			missing = append(missing, region)
		}
	}
	switch {
	case len(missing) == 0:
	case !hasZone:
		r.missing("hostedZone", "required with domain, unless certificate has ARNs for "+enumeration(s.certificateRegions(), "and"))
	case !s.InZone(s.Domain):
		r.wrong("domain", "not in the hosted zone %s: want a host name in it, or certificate with ARNs for %s", s.Zone.Name, enumeration(s.certificateRegions(), "and"))
	default:
		for _, alias := range s.Aliases {
			if !s.InZone(alias) {
				r.problem("aliases", "%q is not in the hosted zone %s: want a host name in it, or certificate with ARNs for %s", alias, s.Zone.Name, enumeration(s.certificateRegions(), "and"))
			}
		}
	}
}

// certificates reads existing certificates.
func (r *reader) certificates(s *Stage) {
	if !r.decode("certificate", &s.Certificates) {
		return
	}
	for _, region := range slices.Sorted(maps.Keys(s.Certificates)) {
		part := certificateForm.FindStringSubmatch(s.Certificates[region])
		switch {
		case !slices.Contains(s.certificateRegions(), region):
			r.problem("certificate", "%q has no effect: want %s", shortened(region), enumeration(s.certificateRegions(), "or"))
		case part == nil || part[1] != region || part[2] != s.Account:
			r.problem("certificate", "invalid ARN %q in %s: want for example arn:aws:acm:%s:%s:certificate/01234567-89ab-cdef-0123-456789abcdef", shortened(s.Certificates[region]), region, region, s.Account)
		}
	}
}

var certificateForm = regexp.MustCompile(`^arn:aws:acm:([a-z0-9-]+):([0-9]{12}):certificate/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// certificateRegions returns the regions in which the stage needs a certificate.
func (s *Stage) certificateRegions() []string {
	var all []string
	if s.HasDistribution() {
		all = append(all, EdgeRegion)
	}
	for _, region := range s.Redirectors {
		if s.HasLoadBalancers() && !slices.Contains(all, region) {
			all = append(all, region)
		}
	}
	return all
}

// CertificateNames returns the host names that the certificate in a region must be for.
func (s *Stage) CertificateNames(region string) []string {
	names := s.Hosts()
	// The same names for every front: while it changes, clients use both.
	if s.HasLoadBalancers() && slices.Contains(s.Redirectors, region) {
		names = append([]string{s.Domain, s.BalancerDomain()}, s.Aliases...)
	}
	return names
}

// Hosts returns the host names of the registry, empty if it has only that of the
// distribution.
func (s *Stage) Hosts() []string {
	if s.Domain == "" {
		return nil
	}
	return append([]string{s.Domain}, s.Aliases...)
}

// InZone reports whether records of a host name can be created in the hosted zone.
func (s *Stage) InZone(host string) bool {
	return s.Zone.ID != "" && (host == s.Zone.Name || strings.HasSuffix(host, "."+s.Zone.Name))
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
