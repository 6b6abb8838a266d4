package stage

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"archeio/lambda/config"
)

// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
var (
	rateForm = regexp.MustCompile(`^rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]{1,4}) (minutes|hours|days))\)$`)
	cronForm = regexp.MustCompile(`^cron\([0-9A-Z*?,/#-]+( [0-9A-Z*?,/#-]+){5}\)$`)
)

func validSchedule(v string) bool {
	if rateForm.MatchString(v) {
		return true
	}
	if !cronForm.MatchString(v) {
		return false
	}
	// Exactly one of day of month and day of week must be "?".
	fields := strings.Fields(v)
	return (fields[2] == "?") != (fields[4] == "?")
}

// planTime is about how long a run of the planner takes until it has written the index.
const planTime = 5 * time.Minute

// schedule reads when the planner runs. The blob index must not become so old between two
// runs that an alarm fires.
func (r *reader) schedule(s *Stage, f *Filler) {
	r.text("fill.schedule", &f.Schedule, validSchedule)
	if !validSchedule(f.Schedule) || s.variables["MIRROR_INDEX_REFRESH"] == "none" {
		return
	}
	maxAge, err := time.ParseDuration(s.variables["MIRROR_INDEX_MAX_AGE"])
	if err != nil {
		maxAge = config.IndexMaxAge
	}
	want := fmt.Sprintf(`want runs at most %s apart, for example "rate(1 hour)"`, hours(config.IndexMaxAge-2*config.IndexMargin))
	const without = `mirrorIndexRefresh "none" for no index`
	gaps := f.intervals()
	if gaps == nil {
		r.wrong("fill.schedule", "does not run every day, so the blob index would be too old: %s, or %s", want, without)
		return
	}
	age := indexAge(gaps)
	if needed := age + planTime + config.IndexMargin; needed > maxAge {
		r.wrong("fill.schedule", "the blob index would be up to %s old, and redirectors use none older than %s: %s, or mirrorIndexMaxAge of at least %s, or %s",
			hours(age), hours(maxAge), want, hours((needed + time.Hour - 1).Truncate(time.Hour)), without)
	}
}

// hours returns a duration of whole minutes as in cdk.json, for example 11h30m or 12h.
func hours(d time.Duration) string {
	text := strings.TrimSuffix(d.String(), "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// indexAge returns the age that the blob index reaches with runs at intervals that repeat:
// that of its oldest part. Each part is listed when it would be older than IndexMaxAge -
// IndexMargin at the next run, if that is as far away as the last one and at least an hour.
func indexAge(intervals []time.Duration) (oldest time.Duration) {
	for first := range intervals {
		age := time.Duration(0)
		for i := first; ; i = (i + 1) % len(intervals) {
			age += intervals[i]
			oldest = max(oldest, age)
			if age+max(intervals[i], time.Hour) > config.IndexMaxAge-config.IndexMargin {
				break
			}
		}
	}
	return oldest
}

// intervals returns the times between the runs of a day, which repeat, nil if not every day
// has the same runs.
func (f *Filler) intervals() (all []time.Duration) {
	if runs := f.ratePerHour(); runs > 0 {
		return []time.Duration{time.Duration(float64(time.Hour) / runs).Round(time.Minute)}
	}
	fields := strings.Fields(strings.Trim(f.Schedule, "cron()"))
	if slices.ContainsFunc(fields[2:], func(field string) bool { return field != "*" && field != "?" }) {
		return nil
	}
	var minutes []int
	for _, hour := range cronValues(fields[1], 24) {
		for _, minute := range cronValues(fields[0], 60) {
			minutes = append(minutes, 60*hour+minute)
		}
	}
	slices.Sort(minutes)
	minutes = slices.Compact(minutes)
	for i, m := range minutes {
		next := 24*60 + minutes[0] // on the next day
		if i+1 < len(minutes) {
			next = minutes[i+1]
		}
		all = append(all, time.Duration(next-m)*time.Minute)
	}
	return all
}

// ratePerHour returns how often a rate expression starts a run, 0 for a cron expression.
func (f *Filler) ratePerHour() float64 {
	var n float64
	var unit string
	if _, err := fmt.Sscanf(strings.TrimSuffix(f.Schedule, ")"), "rate(%g %s", &n, &unit); err != nil || n <= 0 {
		return 0
	}
	return map[string]float64{"minute": 60, "hour": 1, "day": 1. / 24}[strings.TrimSuffix(unit, "s")] / n
}

// RunsPerHour returns how often the schedule starts a run, on a day on which it does.
func (f *Filler) RunsPerHour() float64 {
	if runs := f.ratePerHour(); runs > 0 {
		return runs
	}
	fields := strings.Fields(strings.TrimPrefix(f.Schedule, "cron("))
	if len(fields) < 2 {
		return 0
	}
	return float64(len(cronValues(fields[0], 60))*len(cronValues(fields[1], 24))) / 24
}

// cronValues returns which values below n match a field of a cron expression.
func cronValues(field string, n int) (all []int) {
	for item := range strings.SplitSeq(field, ",") {
		values, step, _ := strings.Cut(item, "/")
		first, last, isRange := strings.Cut(values, "-")
		from, _ := strconv.Atoi(first) // 0 for *
		to, err := strconv.Atoi(last)
		switch {
		case err == nil && isRange:
		case values == "*" || step != "":
			to = n - 1
		default:
			to = from
		}
		every, err := strconv.Atoi(step)
		if err != nil || every < 1 {
			every = 1
		}
		for v := from; v <= min(to, n-1); v += every {
			all = append(all, v)
		}
	}
	return all
}
