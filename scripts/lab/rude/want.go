package rude

import (
	"encoding/json"
	"slices"
	"strings"
)

// Outcome is how a run may end. The order is that of the worst of several.
type Outcome int

const (
	// Full is everything that the source has and that may be mirrored, with
	// complete listings: exit code 0.
	Full Outcome = iota
	// Empty is a source that says that it has nothing: exit code 0, not called
	// full.
	Empty
	// Incomplete is a run that copied what it could, and names what could not be
	// found out: an exit code other than 0.
	Incomplete
	// Refused is a run that could not list the source, or was refused: an exit
	// code other than 0. Nothing needs to be copied.
	Refused
)

// String returns the name of an outcome.
func (o Outcome) String() string {
	return []string{"full", "empty", "incomplete", "refused"}[o]
}

// Run is what a client was asked for.
type Run struct {
	// Repositories are full names; empty for all below Prefix.
	Repositories []string
	// Referrers are followed.
	Referrers bool
}

// Want is what a correct client makes of a server.
type Want struct {
	// Outcomes are those that are correct, most often one.
	Outcomes []Outcome
	// Blobs by digest must be copied, even if the run is incomplete. A run that is
	// called full has all of them.
	Blobs map[string][]byte
	// Tags are what listings must have, by repository: tags, and the digests of all
	// manifests where listings have those.
	Tags map[string][]string
	// UnknownTags are repositories with listings that cannot be proven complete;
	// a client must report an error.
	UnknownTags []string
	// Catalog is the outcome of listing the repositories alone: Full, Empty or
	// Refused.
	Catalog Outcome
	// Requests is an upper bound for a run that fetches each blob twice at most.
	Requests int
}

// Allows reports whether an outcome is correct.
func (w Want) Allows(o Outcome) bool { return slices.Contains(w.Outcomes, o) }

// loss is what habits take away.
type loss struct {
	// outcomes are of the whole run, one set per habit.
	outcomes [][]Outcome
	// catalog is the outcome of listing the repositories: Full or Refused.
	catalog Outcome
	// repositories, manifests and blobs cannot be had, although they exist or may
	// exist; the key of a manifest or blob is its digest.
	repositories, manifests, blobs map[string]bool
	// doubtful repositories, manifests and blobs are those for which full and incomplete are
	// both correct, but nothing is required.
	doubtful map[string]bool
	// referrers of manifests cannot be listed.
	referrers map[string]bool
	// tags cannot be had, "repository:tag"; doubtful ones too.
	tags, doubtfulTags map[string]bool
	// requests is added to the bound.
	requests int
	// everything is whether no blob can be required.
	everything bool
}

func newLoss() loss {
	return loss{
		repositories: map[string]bool{}, manifests: map[string]bool{}, blobs: map[string]bool{}, doubtful: map[string]bool{}, referrers: map[string]bool{},
		tags: map[string]bool{}, doubtfulTags: map[string]bool{},
	}
}

// outcome adds the outcomes that a habit allows.
func (l *loss) outcome(allowed ...Outcome) { l.outcomes = append(l.outcomes, allowed) }

// all is for habits after which nothing can be required.
func (l *loss) all(allowed ...Outcome) {
	l.everything = true
	l.outcome(allowed...)
}

// nothing is for habits that empty the registry: no repository is lost then, and a
// run may end before another habit shows.
func (l *loss) nothing() {
	l.repositories = map[string]bool{}
	for i := range l.outcomes {
		l.outcomes[i] = append(slices.Clone(l.outcomes[i]), Full)
	}
}

// oracle walks the content as a correct client does.
type oracle struct {
	s    *Server
	run  Run
	want Want
	sets [][]Outcome
	cost int
}

// Want returns what a correct client makes of the server in a run.
func (s *Server) Want(run Run) Want {
	o := &oracle{s: s, run: run, want: Want{Blobs: map[string][]byte{}, Tags: map[string][]string{}}}
	o.sets = append(o.sets, []Outcome{Full})
	o.sets = append(o.sets, s.loss.outcomes...)
	o.want.Catalog = s.loss.catalog
	repositories := run.Repositories
	if len(repositories) == 0 {
		switch {
		case s.loss.catalog == Refused:
			o.sets = append(o.sets, []Outcome{Refused})
		default:
			for _, name := range s.content.Names() {
				if below(name) {
					repositories = append(repositories, name)
				}
			}
			if len(repositories) == 0 {
				o.want.Catalog = Refused
				if s.Google {
					o.want.Catalog = Empty
				}
				set := []Outcome{o.want.Catalog}
				if s.UnknownEmpty { // either may be meant
					set = []Outcome{Empty, Refused}
				}
				o.sets = append(o.sets, set)
			}
		}
	}
	for _, name := range repositories {
		o.repository(name)
	}
	// A catalog that is refused may still be followed by what was listed until then.
	if s.loss.everything || s.loss.catalog == Refused && len(run.Repositories) == 0 {
		clear(o.want.Blobs)
		clear(o.want.Tags)
	}
	o.want.Outcomes = combine(o.sets)
	o.want.Requests = 1000 + 4*o.cost + s.loss.requests
	if s.Auth.Uses > 0 {
		o.want.Requests *= 2
	}
	slices.Sort(o.want.UnknownTags)
	return o.want
}

// Want returns what a correct client makes of a polite registry with this content.
func (c *Content) Want(run Run) Want {
	s := &Server{setup: newSetup(c.Clone())}
	for _, r := range s.content.Repositories {
		r.index()
	}
	return s.Want(run)
}

// combine returns the worst outcomes of all combinations.
func combine(sets [][]Outcome) []Outcome {
	worst := []Outcome{Full}
	for _, set := range sets {
		var next []Outcome
		for _, a := range worst {
			for _, b := range set {
				if o := max(a, b); !slices.Contains(next, o) {
					next = append(next, o)
				}
			}
		}
		worst = next
	}
	slices.Sort(worst)
	return worst
}

// repository adds what must be copied of one.
func (o *oracle) repository(name string) {
	o.cost += 2
	r := o.s.content.Repositories[name]
	switch {
	case o.s.loss.repositories[name]:
		o.want.UnknownTags = append(o.want.UnknownTags, name)
		o.sets = append(o.sets, []Outcome{Incomplete})
		if r != nil {
			o.cost += 2*len(r.Tags) + 2*len(r.Manifests) + len(r.Blobs)
		}
		return
	case o.s.loss.doubtful[name]:
		o.sets = append(o.sets, []Outcome{Full, Incomplete})
		return
	case r == nil:
		return // the source itself says that it is not there
	}
	if o.s.TagsPage > 0 {
		o.cost += len(r.Tags) / o.s.TagsPage
	}
	o.cost += len(r.Tags)
	seen := map[string]bool{}
	var listed []string
	for tag, digest := range r.Tags {
		switch key := name + ":" + tag; {
		case o.s.loss.doubtfulTags[key]:
			o.sets = append(o.sets, []Outcome{Full, Incomplete})
			continue
		case o.s.loss.tags[key]:
			o.sets = append(o.sets, []Outcome{Incomplete})
			continue
		}
		listed = append(listed, tag)
		o.manifest(r, digest, seen)
	}
	if o.s.Google {
		for digest := range r.Manifests {
			listed = append(listed, digest)
			o.manifest(r, digest, seen)
		}
	}
	slices.Sort(listed)
	o.want.Tags[name] = listed
}

func (o *oracle) manifest(r *Repository, digest string, seen map[string]bool) {
	if seen[digest] {
		return
	}
	seen[digest] = true
	o.cost += 3 // HEAD, GET, referrers
	m, has := r.Manifests[digest]
	switch {
	case o.s.loss.doubtful[digest]:
		o.sets = append(o.sets, []Outcome{Full, Incomplete})
		return
	case o.s.loss.manifests[digest]:
		o.sets = append(o.sets, []Outcome{Incomplete})
		return
	case !has || !strings.HasPrefix(digest, "sha256:"):
		return
	}
	var d references
	if json.Unmarshal(m.Body, &d) != nil {
		return // its bytes are right, but nothing in it can be mirrored
	}
	for _, child := range d.Manifests {
		if isLayer(child.MediaType) {
			o.blob(r, child)
		} else {
			o.manifest(r, child.Digest, seen)
		}
	}
	if d.Config != nil {
		o.blob(r, *d.Config)
	}
	for _, b := range append(slices.Clone(d.Layers), d.Blobs...) {
		o.blob(r, b)
	}
	for _, l := range d.FSLayers {
		o.blob(r, reference{Digest: l.BlobSum})
	}
	if !o.run.Referrers || o.s.Google {
		return
	}
	absent := o.s.Referrers != 0 || o.s.ReferrersHTML
	switch {
	case o.s.loss.referrers[digest] && absent:
		o.sets = append(o.sets, []Outcome{Full, Incomplete})
	case o.s.loss.referrers[digest]:
		o.sets = append(o.sets, []Outcome{Incomplete})
	case !absent:
		for _, referrer := range r.subjects[digest] {
			o.manifest(r, referrer.Digest, seen)
		}
		if o.s.ReferrersPage > 0 {
			o.cost += len(r.Manifests) / o.s.ReferrersPage
		}
	}
}

// references are what a manifest refers to, whatever it says of sizes.
type references struct {
	Config                   *reference
	Layers, Manifests, Blobs []reference
	FSLayers                 []fsLayer
}

type reference struct {
	MediaType, Digest string
	Data              []byte
}

// isLayer reports whether an entry of an index is a blob, not a manifest.
func isLayer(mediaType string) bool {
	return mediaType == cacheConfig || strings.Contains(mediaType, ".layer.") || strings.Contains(mediaType, ".rootfs.")
}

func (o *oracle) blob(r *Repository, d reference) {
	o.cost += 2
	if d.MediaType == ociForeign || !strings.HasPrefix(d.Digest, "sha256:") {
		return
	}
	switch body, has := r.Blobs[d.Digest]; {
	case digestOf(d.Data) == d.Digest && (len(d.Data) > 0 || !has):
		o.want.Blobs[d.Digest] = d.Data
	case o.s.loss.blobs[d.Digest]:
		o.sets = append(o.sets, []Outcome{Incomplete})
	case o.s.loss.doubtful[d.Digest] || !has:
		o.sets = append(o.sets, []Outcome{Full, Incomplete})
	default:
		o.want.Blobs[d.Digest] = body
	}
}
