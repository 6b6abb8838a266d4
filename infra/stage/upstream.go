package stage

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// upstream is the registry that is the source of truth.
type upstream struct {
	Endpoint, Path string
	// Regional are the endpoints of redirectors in a region.
	Regional map[string]string
}

// upstream reads the registry. Package config validates the URLs and the path.
func (r *reader) upstream(s *Stage) {
	if r.object("upstream") {
		r.text("upstream.endpoint", &s.upstream.Endpoint, notEmpty)
		r.decode("upstream.path", &s.upstream.Path)
		r.byRegion("upstream.regional", &s.upstream.Regional, "redirectors", s.Redirectors)
	}
	r.byRegion("mirrorURLs", &s.MirrorURLs, "mirrors", s.Mirrors)
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
