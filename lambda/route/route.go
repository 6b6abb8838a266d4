// Package route decides where a request may be redirected to: for a blob, the
// mirrors in the order in which to check them, and then the upstream; for anything
// else, the upstream or the signature upstream.
//
// A decision is pure and does no I/O. The caller checks whether a mirror has the
// blob, candidate by candidate.
package route

import (
	"slices"
	"sync"

	"archeio/lambda/config"
	"archeio/lambda/oci"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// Target is a kind of place that a redirect leads to.
type Target uint8

// The targets.
const (
	Nowhere           Target = iota // no redirect; the zero value
	Regional                        // a mirror of config.Config.Mirrors
	Default                         // the default mirror
	Upstream                        // the upstream registry
	SignatureUpstream               // the registry of signatures and referrers
	InfoPage                        // config.Config.InfoURL, or no redirect; never a candidate
	PrivacyPage                     // config.Config.PrivacyURL; never a candidate

	endOfTargets
)

var targetNames = [endOfTargets]string{"nowhere", "regional mirror", "default mirror", "upstream", "signature upstream", "`INFO_URL`", "`PRIVACY_URL`"}

// String returns the target's name in the reference page, in Markdown.
func (t Target) String() string { return targetNames[t] }

// Mirror reports whether the target is a mirror, regional or default.
func (t Target) Mirror() bool { return t == Regional || t == Default }

// Candidate is a place that may have the requested content.
type Candidate struct {
	Target Target
	// Mirror is an index in config.Config.Mirrors if Target is Regional.
	Mirror int
}

// Request is the input of a decision.
type Request struct {
	Path  oci.Path
	Place ranges.Place
	// Viewer is the position of the client as the entry point reports it, if
	// Positioned.
	Viewer     regions.Point
	Positioned bool
	// Authorized reports whether the client sends Authorization.
	Authorized bool
	// NoDistribution reports whether the requested host is not a distribution,
	// so that the default mirror "/" is not available.
	NoDistribution bool
}

// Decision is a list of candidates. The redirect leads to the first one that has
// the content; the last one is not checked.
type Decision struct {
	// Reason is the reason for the first candidate.
	Reason     Reason
	candidates [4]Candidate
	n, mirrors uint8
}

// Candidates returns the candidates in order: mirrors, then registries. It is
// empty for a request that is not redirected.
func (d *Decision) Candidates() []Candidate { return d.candidates[:d.n] }

// Mirrors returns the candidates that are mirrors.
func (d *Decision) Mirrors() []Candidate { return d.candidates[:d.mirrors] }

// Registries returns the candidates that are registries, at least one if there are
// any candidates.
func (d *Decision) Registries() []Candidate { return d.candidates[d.mirrors:d.n] }

func (d *Decision) add(c Candidate) {
	d.candidates[d.n] = c
	d.n++
	if c.Target.Mirror() {
		d.mirrors = d.n
	}
}

// Planner makes decisions for a configuration. It is safe for concurrent use.
type Planner struct {
	config  *config.Config
	nearest *regions.Index
	// byRegion has the mirror in each region that has one.
	byRegion map[string]int
	// assigned returns the mirror for each region of the partition "aws". It is
	// computed for the first client in AWS, not at start-up.
	assigned func() map[string]assignment
}

type assignment struct {
	mirror int
	reason Reason
}

// New returns a Planner for a configuration.
func New(c *config.Config) *Planner {
	p := &Planner{config: c, byRegion: make(map[string]int, len(c.Mirrors))}
	places := make([]regions.Region, len(c.Mirrors))
	for i, m := range c.Mirrors {
		places[i], _ = regions.Find(string(ranges.AWS), m.Region)
		p.byRegion[m.Region] = i
	}
	p.nearest = regions.NewIndex(places)
	p.assigned = sync.OnceValue(p.assign)
	return p
}

func (p *Planner) assign() map[string]assignment {
	all := map[string]assignment{}
	for r := range regions.All(string(ranges.AWS)) {
		if r.Partition != "aws" || !r.Located {
			continue
		}
		if i, ok := p.byRegion[r.Name]; ok {
			all[r.Name] = assignment{i, AWSRegion}
		} else {
			all[r.Name] = assignment{p.nearest.Nearest(r.Point, -1), NearestRegion}
		}
	}
	return all
}

// Decide returns the decision for a request. It does not allocate, except for the
// first client in AWS.
func (p *Planner) Decide(r *Request) Decision {
	switch r.Path.Kind {
	case oci.Info, oci.Where, oci.Hosts:
		return Decision{Reason: Info}
	case oci.Privacy:
		return Decision{Reason: Privacy}
	case oci.Ping:
		return Decision{Reason: Ping}
	case oci.Manifest:
		if p.config.SignatureUpstream != "" && !r.Path.Digest && oci.SignatureTag(r.Path.Reference) {
			return decision(Signature, Candidate{Target: SignatureUpstream})
		}
		return p.byDigest(Manifest, r.Path)
	case oci.Tags:
		return decision(Tags, Candidate{Target: Upstream})
	case oci.Referrers:
		if p.config.SignatureUpstream != "" {
			return decision(Referrers, Candidate{Target: SignatureUpstream})
		}
		return decision(Referrers, Candidate{Target: Upstream})
	case oci.Blob:
		return p.blob(r)
	}
	return Decision{Reason: Refused}
}

func decision(reason Reason, first Candidate) Decision {
	d := Decision{Reason: reason}
	d.add(first)
	return d
}

// byDigest returns the upstream, followed by the signature upstream for content that
// is requested by digest: that may be part of a signature. Content that no registry
// can hold is not, and the upstream need not be checked for it.
func (p *Planner) byDigest(reason Reason, path oci.Path) Decision {
	d := decision(reason, Candidate{Target: Upstream})
	if p.config.SignatureUpstream != "" && path.Digest && oci.Supported(path.Reference) {
		d.add(Candidate{Target: SignatureUpstream})
	}
	return d
}

// blob returns the mirrors in order, followed by the upstream.
func (p *Planner) blob(r *Request) Decision {
	if p.config.SingleHost {
		return p.onHost(r)
	}
	if slices.Contains(p.config.UpstreamClouds, r.Place.Cloud) {
		return p.byDigest(UpstreamCloud, r.Path)
	}
	if !oci.Mirrored(r.Path.Reference) {
		return p.byDigest(UpstreamDigest, r.Path)
	}
	fallback := p.config.DefaultMirror != "" && !(r.NoDistribution && p.config.DefaultMirror == config.DistributionHost)
	first, reason := p.regional(r, fallback)

	d := Decision{Reason: reason}
	switch {
	case first < 0 && !fallback:
		return p.byDigest(NoMirror, r.Path)
	case first < 0:
		d.Reason = DefaultMirror
	case r.Authorized && !fallback:
		return p.byDigest(NoMirror, r.Path)
	case r.Authorized:
		d.Reason = Authorization
	default:
		d.add(Candidate{Regional, first})
	}
	if fallback {
		d.add(Candidate{Target: Default})
	}
	d.add(Candidate{Target: Upstream})
	if p.config.SignatureUpstream != "" {
		d.add(Candidate{Target: SignatureUpstream})
	}
	return d
}

// onHost returns the default mirror, which is on the requested host, followed by the
// upstream, which is relayed: no client is sent to another host.
func (p *Planner) onHost(r *Request) Decision {
	switch {
	case !oci.Mirrored(r.Path.Reference):
		return p.byDigest(UpstreamDigest, r.Path)
	case r.NoDistribution:
		return p.byDigest(NoMirror, r.Path)
	}
	d := decision(DefaultMirror, Candidate{Target: Default})
	d.add(Candidate{Target: Upstream})
	return d
}

// regional returns the regional mirror for a client, -1 if there is none.
func (p *Planner) regional(r *Request, fallback bool) (int, Reason) {
	if r.Place.Cloud == ranges.AWS {
		if i, ok := p.config.MirrorFor[r.Place.Region]; ok {
			return i, MirrorRule
		}
		if a, ok := p.assigned()[r.Place.Region]; ok {
			return a.mirror, a.reason
		}
	}
	if fallback {
		return -1, 0
	}
	if r.Positioned {
		if i := p.nearest.Nearest(r.Viewer, -1); i >= 0 {
			return i, ViewerPosition
		}
	}
	if i, ok := p.byRegion[p.config.Region]; ok {
		return i, FunctionRegion
	}
	if at, ok := regions.Find(string(ranges.AWS), p.config.Region); ok && at.Located {
		return p.nearest.Nearest(at.Point, -1), FunctionRegion
	}
	return -1, 0
}

// Next returns the mirror to fail over to if the first candidate, which must be a
// regional mirror, cannot be checked: the next one by distance from the place that
// the first one is nearest to. For a mirror that MIRROR_FOR sets, the distance is
// from that mirror. It is -1 if there is no other mirror.
func (p *Planner) Next(r *Request, d *Decision) int {
	failed := d.candidates[0].Mirror
	from := p.config.Mirrors[failed].Region
	switch d.Reason {
	case NearestRegion:
		from = r.Place.Region
	case FunctionRegion:
		from = p.config.Region
	case ViewerPosition:
		return p.nearest.Nearest(r.Viewer, failed)
	}
	at, ok := regions.Find(string(ranges.AWS), from)
	if !ok || !at.Located {
		return -1
	}
	return p.nearest.Nearest(at.Point, failed)
}
