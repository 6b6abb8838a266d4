package redirect

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/metrics"
	"archeio/ranges"
)

const (
	hex64  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	digest = "sha256:" + hex64
	sha512 = "sha512:" + hex64 + hex64
	// blake3 is of an algorithm that no mirror holds.
	blake3 = "blake3:" + hex64

	blobOf = "/v2/pause/blobs/"
)

// env is what a test sets beside, or instead of, the environment that all
// tests have.
type env map[string]string

var common = env{
	"UPSTREAM_REGISTRY_ENDPOINT": "https://upstream.example",
	"UPSTREAM_REGISTRY_PATH":     "project/images",
	"DEFAULT_AWS_BASE_URL":       "https://default.example",
	"MIRROR_REGIONS":             "eu-west-3,eu-central-1,us-east-1",
	"MIRROR_URL_TEMPLATE":        "https://mirror-{region}.example",
	"INFO_URL":                   "https://info.example/read?me=1#first",
	"PRIVACY_URL":                "https://privacy.example/",
	"AWS_REGION":                 "us-east-1",
}

func load(tb testing.TB, e env) *config.Config {
	tb.Helper()
	all := maps.Clone(common)
	maps.Copy(all, e)
	c, err := config.Load(func(name string) string { return all[name] })
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// says is what each origin answers: the mirrors by their region, "default" and
// "upstream". One that is not there is not to be asked.
type says map[string]blobs.Answer

// script plays all origins. It keeps whom it was asked for, in order, and what.
type script struct {
	tb      testing.TB
	answers says

	mu           sync.Mutex
	asked, paths []string
	limits       []*blobs.Limit
}

// part is one origin of a script.
type part struct {
	*script
	name string
}

func (p part) Has(_ context.Context, limit *blobs.Limit, path string) blobs.Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, p.name)
	p.paths = append(p.paths, path)
	p.limits = append(p.limits, limit)
	answer, ok := p.answers[p.name]
	if !ok {
		p.tb.Errorf("%s was asked for %s", p.name, path)
	}
	return answer
}

// forget begins a new request.
func (s *script) forget() { s.asked, s.paths, s.limits = nil, nil, nil }

// origins are the parts, there or not as Ask makes them.
func (s *script) origins(c *config.Config) Origins {
	o := Origins{}
	for _, m := range c.Mirrors {
		o.Mirrors = append(o.Mirrors, part{s, m.Region})
	}
	if c.DefaultMirror != "" {
		o.Default = part{s, "default"}
	}
	if c.SignatureUpstream != "" {
		o.Upstream = part{s, "upstream"}
	}
	return o
}

func newHandler(tb testing.TB, e env, answers says) (*Handler, *script) {
	return newRecorded(tb, e, answers, nil)
}

func newRecorded(tb testing.TB, e env, answers says, recorder *metrics.Recorder) (*Handler, *script) {
	tb.Helper()
	c := load(tb, e)
	s := &script{tb: tb, answers: answers}
	return New(c, s.origins(c), recorder, nil), s
}

var addresses = sync.OnceValue(func() map[string]netip.Addr {
	all := map[string]netip.Addr{}
	for r := range ranges.All() {
		place := string(r.Place.Cloud) + " " + r.Place.Region
		if _, ok := all[place]; !ok {
			all[place] = r.First
		}
	}
	return all
})

// client answers an address in a place, as "AWS eu-west-3". The address is of
// the table, which changes every week. "" is an address that nobody has, and
// "invalid" none.
func client(tb testing.TB, place string) netip.Addr {
	tb.Helper()
	switch place {
	case "":
		return netip.MustParseAddr("192.0.2.1")
	case "invalid":
		return netip.Addr{}
	}
	a, ok := addresses()[place]
	if !ok {
		tb.Fatalf("no address is in %q", place)
	}
	return a
}

// names splits a list of a table.
func names(list string) []string { return strings.Fields(list) }

func checkAsked(t *testing.T, s *script, want []string) {
	t.Helper()
	if !slices.Equal(s.asked, want) {
		t.Errorf("asked %q, want %q", s.asked, want)
	}
}
