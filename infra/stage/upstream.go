package stage

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"archeio/lambda/upstreams"
)

// upstream is the registry that is the source of truth.
type upstream struct {
	Endpoint, Path string
	// Regional are the endpoints of redirectors in a region.
	Regional map[string]string
	// Rate is requests per second, 0 for no limit. The part for relaying limits each
	// process of a redirector, so all of them together may send more.
	Rate float64
}

// upstream reads the registry. Package config validates the URLs and the path.
func (r *reader) upstream(s *Stage) {
	if r.object("upstream") {
		r.text("upstream.endpoint", &s.upstream.Endpoint, notEmpty)
		r.decode("upstream.path", &s.upstream.Path)
		r.byRegion("upstream.regional", &s.upstream.Regional, "redirectors", s.Redirectors)
		number(r, "upstream.rate", &s.upstream.Rate)
	}
	r.byRegion("mirrorURLs", &s.MirrorURLs, "mirrors", s.Mirrors)
	if r.decode("singleHost", &s.SingleHost) && s.SingleHost {
		if s.Front != CloudFront {
			r.wrong("singleHost", `a load balancer cannot serve blobs: want false, or front "cloudfront"`)
		}
		s.variables["SINGLE_HOST"] = "true"
	}
}

// rates divides upstream.rate between filling the mirrors and relaying, and the latter
// among the regions.
func (r *reader) rates(s *Stage) {
	rest := s.upstream.Rate
	if rest == 0 {
		return
	}
	if s.Filler != nil {
		if _, set := r.values["fill.rate"]; !set {
			s.Filler.Rate = min(s.Filler.Rate, rest/2)
		} else if s.Filler.Rate > rest || s.Filler.Rate == rest && s.Relays() {
			r.wrong("fill.rate", "leaves nothing of upstream.rate=%s for relaying: want less than that", decimal(rest))
			return
		}
		rest -= s.Filler.Rate
	}
	if s.Relays() {
		s.variables["UPSTREAM_RATE"] = decimal(rest / float64(len(s.Redirectors)))
	}
}

// Relays reports whether redirectors relay what the upstream responds with, instead
// of redirecting clients there.
func (s *Stage) Relays() bool {
	return s.SingleHost || s.variables["UPSTREAM_ACCESS"] == string(upstreams.Token)
}

func notEmpty(v string) bool { return v != "" }

// passed reads the keys that become a variable unchanged. Package config
// validates them.
func (r *reader) passed(s *Stage) {
	if r.object("page") && r.values["infoURL"] != nil {
		r.problem("page", "has no effect with infoURL: remove one of them")
	}
	for _, k := range keys {
		raw, ok := r.values[k.name]
		if !k.passed || !ok {
			continue
		}
		if v, ok := variable(raw); ok {
			s.variables[k.variable] = v
		} else {
			r.invalid(k.name)
		}
	}
}

// variable returns a text, a number, a list of texts or an object of texts the
// way a variable holds them.
func variable(raw json.RawMessage) (string, bool) {
	var text string
	var number float64
	var list []string
	var object map[string]string
	is := func(into any) bool { return json.Unmarshal(raw, into) == nil }
	switch {
	case string(raw) == "null":
	case is(&text):
		return text, true
	case is(&number):
		return strconv.FormatFloat(number, 'f', -1, 64), true
	case is(&list):
		// An empty variable would mean the default.
		return strings.Join(list, ","), len(list) > 0
	case is(&object):
		var items []string
		for _, from := range slices.Sorted(maps.Keys(object)) {
			items = append(items, from+":"+object[from])
		}
		return strings.Join(items, ","), true
	}
	return "", false
}
