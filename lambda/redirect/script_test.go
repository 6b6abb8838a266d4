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
	// blake3 has an algorithm that mirrors do not hold.
	blake3 = "blake3:" + hex64

	blobOf = "/v2/pause/blobs/"
)

// env has the variables that a test adds to common, or replaces.
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

// results has the result of the check of each origin: the mirrors by region,
// "default" and "upstream". An origin without a result must not be checked.
type results map[string]blobs.Answer

// script implements all origins. It records each check: the name of the origin, the
// path and the limit.
type script struct {
	tb      testing.TB
	results results

	mu             sync.Mutex
	checked, paths []string
	limits         []*blobs.Limit
}

// scripted is one origin of a script.
type scripted struct {
	*script
	name string
}

func (p scripted) Has(_ context.Context, limit *blobs.Limit, path string) blobs.Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checked = append(p.checked, p.name)
	p.paths = append(p.paths, path)
	p.limits = append(p.limits, limit)
	result, ok := p.results[p.name]
	if !ok {
		p.tb.Errorf("%s is checked for %s", p.name, path)
	}
	return result
}

// reset removes the recorded checks.
func (s *script) reset() { s.checked, s.paths, s.limits = nil, nil, nil }

// origins returns the origins that NewOrigins would return.
func (s *script) origins(c *config.Config) Origins {
	o := Origins{}
	for _, m := range c.Mirrors {
		o.Mirrors = append(o.Mirrors, scripted{s, m.Region})
	}
	if c.DefaultMirror != "" {
		o.Default = scripted{s, "default"}
	}
	if c.SignatureUpstream != "" {
		o.Upstream = scripted{s, "upstream"}
	}
	return o
}

func newHandler(tb testing.TB, e env, results results) (*Handler, *script) {
	return newRecorded(tb, e, results, nil)
}

func newRecorded(tb testing.TB, e env, results results, recorder *metrics.Recorder) (*Handler, *script) {
	tb.Helper()
	c := load(tb, e)
	s := &script{tb: tb, results: results}
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

// client returns an address in a place such as "AWS eu-west-3". It is looked up, as
// the range table changes every week. "" is an address in no cloud, and "invalid"
// is no address.
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
		tb.Fatalf("the range table has no address in %q", place)
	}
	return a
}

// names splits a list of names.
func names(list string) []string { return strings.Fields(list) }

func checkOrder(t *testing.T, s *script, want []string) {
	t.Helper()
	if !slices.Equal(s.checked, want) {
		t.Errorf("checked %q, want %q", s.checked, want)
	}
}
