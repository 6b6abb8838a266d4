// Package route decides where a request goes: which mirrors may be asked for
// a blob and in which order, and whether anything else goes upstream or to the
// signature upstream.
//
// The decision is pure: it asks nobody. Whether a mirror really has a blob is
// found out afterwards, candidate by candidate.
//
// A Planner is safe for concurrent use. Deciding does not allocate, but for the
// first client in AWS.
package route

import (
	"slices"
	"sync"

	"archeio/lambda/config"
	"archeio/lambda/oci"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// Target is a kind of place to send a client to.
type Target uint8

// The targets.
const (
	Nowhere           Target = iota // no redirect; the zero value
	Regional                        // a mirror of config.Config.Mirrors
	Default                         // the default mirror
	Upstream                        // the upstream registry
	SignatureUpstream               // the registry of signatures and referrers
	InfoPage                        // config.Config.InfoURL; never a candidate
	PrivacyPage                     // config.Config.PrivacyURL; never a candidate

	endOfTargets
)

var targetNames = [endOfTargets]string{"nowhere", "regional mirror", "default mirror", "upstream", "signature upstream", "`INFO_URL`", "`PRIVACY_URL`"}

// String returns the target's name in the reference page, in Markdown.
func (t Target) String() string { return targetNames[t] }

// Mirror reports whether the target is a mirror, regional or default.
func (t Target) Mirror() bool { return t == Regional || t == Default }

// Candidate is one place that may have what is asked for.
type Candidate struct {
	Target Target
	// Mirror is the index of the mirror where Target is Regional.
	Mirror int
}

// Request is all that a decision depends on, beside the configuration.
type Request struct {
	Path  oci.Path
	Place ranges.Place
	// Viewer is where the front says the viewer is, if Positioned.
	Viewer     regions.Point
	Positioned bool
	// Authorized tells that the client sends Authorization.
	Authorized bool
	// NoDistribution tells that the host which was asked is no distribution,
	// so that the default mirror "/" does not exist for this request.
	NoDistribution bool
}

// Decision is where to look, in order. The first candidate that has the blob
// is the answer; the last needs not be asked.
type Decision struct {
	// Reason is why the first candidate is the first.
	Reason     Reason
	candidates [4]Candidate
	n, mirrors uint8
}

// Candidates are the places in order; empty where there is nothing to
// redirect to.
func (d *Decision) Candidates() []Candidate { return d.candidates[:d.n] }

// Mirrors returns the candidates that are mirrors; they come first.
func (d *Decision) Mirrors() []Candidate { return d.candidates[:d.mirrors] }

// Registries returns the candidates that are registries: at least one where
// there are candidates at all.
func (d *Decision) Registries() []Candidate { return d.candidates[d.mirrors:d.n] }

func (d *Decision) add(c Candidate) {
	d.candidates[d.n] = c
	d.n++
	if c.Target.Mirror() {
		d.mirrors = d.n
	}
}

// Planner is a configuration, prepared for decisions.
type Planner struct {
	config  *config.Config
	nearest *regions.Index
	// byRegion finds the mirror of a region.
	byRegion map[string]int
	// assigned is the mirror of every region of the partition "aws". It is made
	// when the first client in AWS comes, not at start.
	assigned func() map[string]assignment
}

type assignment struct {
	mirror int
	reason Reason
}

// New prepares a configuration.
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

// Decide answers where a request goes.
func (p *Planner) Decide(r *Request) Decision {
	switch r.Path.Kind {
	case oci.Info:
		return Decision{Reason: Info}
	case oci.Privacy:
		return Decision{Reason: Privacy}
	case oci.Ping:
		return Decision{Reason: Ping}
	case oci.Manifest:
		if p.config.SignatureUpstream != "" && !r.Path.Digest && oci.SignatureTag(r.Path.Reference) {
			return decision(Signature, Candidate{Target: SignatureUpstream})
		}
		return p.upstream(Manifest, r.Path.Digest)
	case oci.Tags:
		return p.upstream(Tags, false)
	case oci.Referrers:
		if p.config.SignatureUpstream != "" {
			return decision(Referrers, Candidate{Target: SignatureUpstream})
		}
		return p.upstream(Referrers, false)
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

// upstream sends to the registry, or on to the signature upstream what the
// registry itself may lack: whatever a client asks for by its digest.
func (p *Planner) upstream(reason Reason, byDigest bool) Decision {
	d := decision(reason, Candidate{Target: Upstream})
	if byDigest && p.config.SignatureUpstream != "" {
		d.add(Candidate{Target: SignatureUpstream})
	}
	return d
}

// blob orders the mirrors, and upstream behind all of them.
func (p *Planner) blob(r *Request) Decision {
	if slices.Contains(p.config.UpstreamClouds, r.Place.Cloud) {
		return p.upstream(UpstreamCloud, true)
	}
	if !oci.Mirrored(r.Path.Reference) {
		return p.upstream(UpstreamDigest, true)
	}
	fallback := p.config.DefaultMirror != "" && !(r.NoDistribution && p.config.DefaultMirror == config.DistributionHost)
	first, reason := p.regional(r, fallback)

	d := Decision{Reason: reason}
	switch {
	case first < 0 && !fallback:
		return p.upstream(NoMirror, true)
	case first < 0:
		d.Reason = DefaultMirror
	case r.Authorized && !fallback:
		return p.upstream(NoMirror, true)
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

// regional picks the regional mirror of a client, -1 for none.
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

// Next is the mirror to fail over to when the first candidate, a regional one,
// is in trouble: the next by distance from where that one was the nearest. A
// mirror that a rule names stands for its client, so there the distance is
// counted from the mirror. -1 if there is no other.
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
