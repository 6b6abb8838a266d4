package rude

import (
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"slices"
)

// Habit is one way in which a registry misbehaves.
type Habit struct {
	Name string
	// Groups are those of which a server has at most one habit.
	Groups []string
	// Source is who does it, with the report: REPOSITORY#NUMBER on GitHub.
	Source string
	// Heavy habits have thousands of manifests or megabytes; Pairs leaves them out.
	Heavy bool
	// Slow habits have responses that take hours; they are for virtual time. Pairs
	// leaves them out.
	Slow bool
	// Pushable habits are content that a real registry might accept.
	Pushable bool
	// Apply changes the knobs and the content, and records what they take away.
	Apply func(s *setup)

	order int
}

// Names returns the names of all habits, in the order of Habits.
func Names() []string {
	names := make([]string, len(Habits))
	for i, h := range Habits {
		names[i] = h.Name
	}
	return names
}

// Light returns the names of the habits that are neither Heavy nor Slow.
func Light() []string {
	var names []string
	for _, h := range Habits {
		if !h.Heavy && !h.Slow {
			names = append(names, h.Name)
		}
	}
	return names
}

// Pairs returns n random pairs of habits that do not exclude each other, the same
// for the same seed and table.
func Pairs(seed uint64, n int) [][]string { return Combinations(seed, n, 2) }

// Combinations returns n random sets of size habits that do not exclude each other.
func Combinations(seed uint64, n, size int) [][]string {
	random := rand.New(rand.NewPCG(seed, 1))
	light := slices.DeleteFunc(slices.Clone(Habits), func(h Habit) bool { return h.Heavy || h.Slow })
	var sets [][]string
	for len(sets) < n {
		var names []string
		taken := map[string]bool{}
		for _, i := range random.Perm(len(light)) {
			h := light[i]
			if len(names) == size {
				break
			}
			if slices.ContainsFunc(h.Groups, func(g string) bool { return taken[g] }) {
				continue
			}
			for _, g := range h.Groups {
				taken[g] = true
			}
			names = append(names, h.Name)
		}
		slices.Sort(names)
		sets = append(sets, names)
	}
	return sets
}

// Repositories and tags that habits change.
const (
	appName  = Prefix + "/app"
	manyName = Prefix + "/tools/cli"
)

func (s *setup) maker(habit string) maker {
	h := fnv.New64a()
	_, _ = h.Write([]byte(habit)) // has no errors
	return newMaker(h.Sum64())
}

// special sets the response for one URL.
func (s *setup) special(kind, repository, reference string, do special) {
	s.specials[request{kind, repository, reference}.key()] = do
}

// badTags adds a repository with an image, and responds to its tags/list.
func (s *setup) badTags(habit string, do special) {
	name := Prefix + "/" + habit
	s.maker(habit).image(s.content.Repository(name), 300, 1, "v1")
	s.special("tags", name, "", do)
	s.loss.repositories[name] = true
}

// badManifest adds a tagged image, and responds to requests for its manifest.
func (s *setup) badManifest(habit string, do special) {
	r := s.content.Repository(appName)
	d := s.maker(habit).image(r, 300, 1, habit)
	s.special("manifest", appName, habit, do)
	s.special("manifest", appName, d.Digest, do)
	s.loss.manifests[d.Digest] = true
}

// badBlob adds a tagged image, and responds to requests for its layer.
func (s *setup) badBlob(habit string, do func(body []byte) special) {
	r := s.content.Repository(appName)
	m := s.maker(habit)
	layer := r.blob(ociLayer, m.layer(900))
	config := r.blob(ociConfig, []byte(`{"habit":"`+habit+`"}`))
	r.store(ociManifest, document{MediaType: ociManifest, Config: &config, Layers: []Descriptor{layer}}, habit)
	s.special("blob", appName, layer.Digest, do(r.Blobs[layer.Digest]))
	s.loss.blobs[layer.Digest] = true
}

// always responds in the same way.
func always(a response) special { return func(*http.Request) response { return a } }

func deny(status int) special {
	return always(failure(status, "DENIED", "requested access to the resource is denied"))
}

func json200(body string) special {
	return always(response{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(body)})
}

// set returns an Apply that changes knobs only and takes nothing away.
func set(change func(k *Knobs)) func(*setup) { return func(s *setup) { change(&s.Knobs) } }

// withLinks makes listings short, so that there are links, if no other habit did.
func withLinks(k *Knobs) {
	for _, page := range []*int{&k.TagsPage, &k.CatalogPage} {
		if *page == 0 {
			*page = 20
		}
	}
}

func linked(form linkForm) func(*setup) {
	return func(s *setup) {
		withLinks(&s.Knobs)
		s.Link = form
		switch form {
		case clearScheme, upperHost, defaultPort: // in memory, a host with TLS is a name without a port
			s.TLS = true
		}
	}
}

// misledTags has one repository with a listing that does not end well.
func misledTags(end ending) func(*setup) {
	return func(s *setup) {
		withLinks(&s.Knobs)
		s.TagsEnd[manyName] = end
		s.loss.repositories[manyName] = true
		s.loss.requests += 2000
	}
}

func misledCatalog(end ending) func(*setup) {
	return func(s *setup) {
		withLinks(&s.Knobs)
		s.CatalogEnd = end
		s.loss.catalog = Refused
		s.loss.requests += 2000
	}
}

// noCatalog refuses the catalog.
func noCatalog(do special) func(*setup) {
	return func(s *setup) {
		s.special("catalog", "", "", do)
		s.loss.catalog = Refused
	}
}

func noReferrers(status int, allowed ...Outcome) func(*setup) {
	return func(s *setup) {
		s.Referrers = status
		if len(allowed) > 0 {
			s.loss.outcome(allowed...)
		}
	}
}

func passing(each int, statuses ...int) func(*setup) {
	return set(func(k *Knobs) { k.PassingEach, k.Passing = each, statuses })
}

func throttled(t throttle) func(*setup) {
	t.On = true
	return func(s *setup) {
		s.Throttle = t
		s.loss.requests += 3000
	}
}

func redirected(r redirects) func(*setup) {
	if r.Status == 0 {
		r.Status = http.StatusTemporaryRedirect
	}
	return set(func(k *Knobs) { k.Redirect = r })
}

func authenticated(a authentication) func(*setup) {
	if a.Scheme == "" {
		a.Scheme = "bearer"
	}
	return set(func(k *Knobs) { k.Auth = a })
}

// never gives the same response to all that a run begins with.
func (s *setup) never(do special) {
	for _, q := range []request{{kind: "ping"}, {kind: "catalog"}} {
		s.specials[q.key()] = do
	}
	s.loss.all(Refused)
}
