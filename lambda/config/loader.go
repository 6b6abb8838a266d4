package config

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"archeio/lambda/spelling"
	"archeio/ranges"
)

// loader reads variables and collects what is wrong with them.
type loader struct {
	getenv   func(string) string
	problems []string
}

// get returns the value of a variable, its default if it is empty or not set.
func (l *loader) get(name string) string {
	if v := l.getenv(name); v != "" {
		return v
	}
	return defaultOf(name)
}

// invalid records what is wrong with a variable, as "problem: what is wanted".
func (l *loader) invalid(name, problem string) {
	l.problems = append(l.problems, fmt.Sprintf("%s=%q: %s", name, l.getenv(name), problem))
}

// err returns all that was recorded as an error of one line, so that a log has
// it together.
func (l *loader) err() error {
	if len(l.problems) == 0 {
		return nil
	}
	return errors.New(ErrorPrefix + strings.Join(l.problems, "; "))
}

func (l *loader) clouds(name string) []ranges.Cloud {
	v := l.get(name)
	if v == none {
		return nil
	}
	names := each(ranges.Clouds[:], func(c ranges.Cloud) string { return string(c) })
	var out []ranges.Cloud
	// A blank is not an empty list here: it must not disable the default.
	for item := range strings.SplitSeq(v, ",") {
		item = strings.TrimSpace(item)
		i := slices.IndexFunc(ranges.Clouds[:], func(c ranges.Cloud) bool { return strings.EqualFold(string(c), item) })
		if i < 0 {
			l.invalid(name, fmt.Sprintf("unknown cloud %q%s: want %s, comma-separated, or none",
				item, spelling.DidYouMean(item, names), strings.Join(slices.Collect(names), ", ")))
			return nil
		}
		if slices.Contains(out, ranges.Clouds[i]) {
			l.invalid(name, fmt.Sprintf("duplicate cloud %q: want each cloud once", item))
			return nil
		}
		out = append(out, ranges.Clouds[i])
	}
	return out
}

// reservedHeaders never hold the client address.
var reservedHeaders = []string{"authorization", "x-viewer-authorized", "x-viewer-host", "cloudfront-viewer-latitude", "cloudfront-viewer-longitude", "cloudfront-viewer-country"}

func (l *loader) header(name string) string {
	v := strings.ToLower(l.get(name))
	const want = "want a header that holds the client address, for example CloudFront-Viewer-Address"
	if slices.Contains(reservedHeaders, v) {
		l.invalid(name, "reserved header: "+want)
	}
	if !only(v, "-_") {
		l.invalid(name, "invalid header name: "+want)
	}
	return v
}

func (l *loader) duration(name string) time.Duration { return l.timeout(name, math.MaxInt64) }

// timeout reads a duration of at most limit.
func (l *loader) timeout(name string, limit time.Duration) time.Duration {
	d, err := time.ParseDuration(l.get(name))
	switch {
	case err != nil:
		l.invalid(name, "not a duration: want a number with a unit, for example 500ms or 10s")
	case d <= 0:
		l.invalid(name, "not positive: want a duration above 0, for example 500ms or 10s")
	case d > limit:
		l.invalid(name, fmt.Sprintf("too long: want at most %s", limit))
	}
	return d
}

// interval reads a duration, or none as 0.
func (l *loader) interval(name string) time.Duration {
	if l.get(name) == none {
		return 0
	}
	return l.duration(name)
}

func (l *loader) rate(name string) float64 {
	r, err := strconv.ParseFloat(l.get(name), 64)
	if err != nil || math.IsNaN(r) || r < 0 || r > 1e6 {
		l.invalid(name, "invalid rate: want requests per second, from 0 to 1000000")
	}
	return r
}

var levels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func levelName(l slog.Level) string { return strings.ToLower(l.String()) }

func (l *loader) level(name string) slog.Level {
	v := l.get(name)
	i := slices.IndexFunc(levels, func(level slog.Level) bool { return levelName(level) == v })
	if i < 0 {
		l.invalid(name, "unknown level"+spelling.DidYouMean(v, each(levels, levelName))+": want debug, info, warn or error")
		return slog.LevelInfo
	}
	return levels[i]
}

func (l *loader) boolean(name string) bool {
	v := l.get(name)
	if v != "true" && v != "false" {
		l.invalid(name, "not a boolean: want true or false")
	}
	return v == "true"
}

// only reports whether a text has only ASCII letters, digits and bytes of others.
func only(v, others string) bool {
	for i := range len(v) {
		if c := v[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

// list yields the items of a comma-separated list without the spaces around
// them. An empty string is an empty list, but an empty item is an item.
func list(v string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if strings.TrimSpace(v) == "" {
			return
		}
		for item := range strings.SplitSeq(v, ",") {
			if !yield(strings.TrimSpace(item)) {
				return
			}
		}
	}
}

// each yields the names of all.
func each[T any](all []T, name func(T) string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, v := range all {
			if !yield(name(v)) {
				return
			}
		}
	}
}
