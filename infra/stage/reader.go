package stage

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"archeio/lambda/spelling"
)

// reader reads the keys of one stage and collects what is wrong with them.
type reader struct {
	stage  string
	stages []string                   // all stages of the file
	values map[string]json.RawMessage // by the full names of the keys
	errs   []error
}

// problem records what is wrong with a key.
func (r *reader) problem(name, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("stage %q: %s: %s", r.stage, name, fmt.Sprintf(format, args...)))
}

// wrong records what is wrong with the value of a key, together with the value.
func (r *reader) wrong(name, format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	raw := string(r.values[name])
	var text string
	switch {
	case raw == "":
	case strings.HasPrefix(raw, "{"):
		problem = "invalid object: " + problem
	case strings.HasPrefix(raw, "["):
		problem = "invalid list: " + problem
	case json.Unmarshal([]byte(raw), &text) == nil && raw != "null":
		name += fmt.Sprintf("=%q", shortened(text))
	default:
		name += "=" + shortened(raw)
	}
	r.problem(name, "%s", problem)
}

// invalid records that the value of a key is not what is wanted.
func (r *reader) invalid(name string) { r.wrong(name, "want %s", find(name).wanted()) }

// missing records that a key is required, by a reason that may be empty.
func (r *reader) missing(name, reason string) {
	if reason != "" {
		reason = ": " + reason
	}
	r.problem(name, "missing%s: want %s", reason, find(name).wanted())
}

// shortened returns at most the first 100 bytes of a text.
func shortened(text string) string {
	const limit = 100
	if len(text) <= limit {
		return text
	}
	n := limit
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "..."
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// enter makes the keys in an object readable by their full names, and records
// the unknown ones. parent is empty for the stage itself.
func (r *reader) enter(parent string, object map[string]json.RawMessage) {
	known := slices.Collect(within(parent))
	for _, k := range slices.Sorted(maps.Keys(object)) {
		name := join(parent, k)
		switch {
		case slices.Contains(known, k):
			r.values[name] = object[k]
		case parent == "" && k == comment:
		default:
			if !plainName.MatchString(k) {
				name = join(parent, fmt.Sprintf("%q", shortened(k)))
			}
			if s := spelling.Suggest(k, slices.Values(known)); s != "" {
				r.problem(name, "unknown key: did you mean %q?", s)
			} else {
				r.problem(name, "unknown key: want %s", enumeration(known, "or"))
			}
		}
	}
}

func join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// enumeration returns the names as a list in words.
func enumeration(names []string, conjunction string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " " + conjunction + " " + names[last]
}

// decode decodes the value of a key, or else its default, and reports whether it
// could. It records a value of another type, and a required key that is missing.
func (r *reader) decode(name string, into any) bool {
	raw, ok := r.values[name]
	switch k := find(name); {
	case ok:
	case k.value != "":
		raw = json.RawMessage(k.value)
	case k.required:
		r.missing(name, "")
		return false
	default:
		return false
	}
	if string(raw) == "null" || json.Unmarshal(raw, into) != nil {
		r.invalid(name)
		return false
	}
	return true
}

// object reports whether the value of a key is an object, or is one by default,
// and makes the keys in it readable.
func (r *reader) object(name string) bool {
	var object map[string]json.RawMessage
	if !r.decode(name, &object) {
		return false
	}
	r.enter(name, object)
	return true
}

// text reads a string that must be valid.
func (r *reader) text(name string, into *string, valid func(string) bool) {
	if r.decode(name, into) && !valid(*into) {
		r.invalid(name)
	}
}

// number reads a number within its limits.
func number[T int | float64](r *reader, name string, into *T) {
	if !r.decode(name, into) {
		return
	}
	if limits := find(name).limits; limits != nil && (float64(*into) < limits[0] || float64(*into) > limits[1]) {
		r.invalid(name)
	}
}

// byRegion reads an object of texts by regions, each of which must be in the
// value of the key list.
func (r *reader) byRegion(name string, into *map[string]string, list string, known []string) {
	if !r.decode(name, into) {
		return
	}
	for _, region := range slices.Sorted(maps.Keys(*into)) {
		if !slices.Contains(known, region) {
			r.problem(name, "%s: want %s", notIn(region, list, known), find(name).want)
		}
	}
}

// notIn returns the message that a region is not in the value of the key list.
func notIn(region, list string, known []string) string {
	return fmt.Sprintf("%q is not in %s%s", shortened(region), list, spelling.DidYouMean(region, slices.Values(known)))
}

func oneOf(values ...string) func(string) bool {
	return func(v string) bool { return slices.Contains(values, v) }
}
