package stage

import (
	"regexp"
	"slices"
	"strings"

	"archeio/lambda/config"
)

// Filler is how functions fill the mirrors from the upstream.
type Filler struct {
	// Schedule is when the upstream is listed, as an EventBridge expression.
	Schedule string
	// Rate is the maximum of requests per second from all workers together to
	// the upstream, Workers how many of them run at the same time.
	Rate    float64
	Workers int
	// Referrers is whether the upstream is asked for the referrers of each
	// manifest.
	Referrers bool
	// Repositories, Tags, ExcludeTags and Platforms are names or patterns of what is
	// mirrored, or not; empty for no limit.
	Repositories, Tags, ExcludeTags, Platforms []string
	// AllowEmpty is whether an upstream that does not exist yet is no error.
	AllowEmpty bool
	// Secret is the ARN of a secret that holds credentials for the upstream,
	// empty for none.
	Secret string
}

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

// secretForm ends with the six characters that Secrets Manager appends to a name:
// permission is granted to the full ARN.
var secretForm = regexp.MustCompile(`^arn:aws:secretsmanager:([a-z0-9-]+):([0-9]{12}):secret:[A-Za-z0-9/_+=.@-]{1,512}-[A-Za-z0-9]{6}$`)

// fill reads how functions fill the mirrors. They do unless it is false.
func (r *reader) fill(s *Stage) {
	if string(r.values["fill"]) == "false" || !r.object("fill") {
		return
	}
	f := &Filler{}
	s.Filler = f
	r.text("fill.schedule", &f.Schedule, validSchedule)
	number(r, "fill.rate", &f.Rate)
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
	number(r, "fill.workers", &f.Workers)
	r.decode("fill.referrers", &f.Referrers)
	r.patterns("fill.repositories", &f.Repositories)
	r.patterns("fill.tags", &f.Tags)
	r.patterns("fill.excludeTags", &f.ExcludeTags)
	r.patterns("fill.platforms", &f.Platforms)
	r.decode("fill.allowEmpty", &f.AllowEmpty)
	if !r.decode("fill.secret", &f.Secret) {
		return
	}
	// The functions run in the primary's region, and cannot use a KMS key of
	// another account.
	if part := secretForm.FindStringSubmatch(f.Secret); part == nil || part[1] != s.Primary || part[2] != s.Account {
		r.wrong("fill.secret", "want %s, for example arn:aws:secretsmanager:%s:%s:secret:NAME-AbCdEf", find("fill.secret").want, s.Primary, s.Account)
	}
}

// patterns reads a list of names or patterns, at least one if the key is there.
func (r *reader) patterns(name string, into *[]string) {
	if !r.decode(name, into) {
		return
	}
	if len(*into) == 0 || slices.ContainsFunc(*into, func(v string) bool { return !config.ValidPattern(v) }) {
		r.invalid(name)
	}
}

// Fill returns the configuration of the functions that fill the mirrors, for a
// stage that has a Filler.
func (s *Stage) Fill() (*config.Fill, error) {
	env := s.fillEnvironment()
	return config.LoadFill(func(name string) string { return env[name] })
}
