package stage

import (
	"fmt"
	"regexp"
	"strings"

	"archeio/lambda/config"
)

// Filler is how functions fill the mirrors from the upstream.
type Filler struct {
	// Schedule is when the upstream is looked through, as EventBridge writes
	// it.
	Schedule string `json:"schedule"`
	// Rate is how many requests a second all workers together send to the
	// upstream at most, Workers how many of them work at once.
	Rate    float64 `json:"rate"`
	Workers int     `json:"workers"`
	// Referrers tells whether the upstream is asked what refers to each
	// manifest.
	Referrers bool `json:"referrers"`
	// Secret is the ARN of a secret with logins to the upstream, empty for
	// none.
	Secret string `json:"secret"`
}

const (
	scheduleTakes = `takes when the upstream is looked through, as EventBridge writes it: "rate(1 hour)" or "cron(0 6 * * ? *)"`
	fillTakes     = `takes how the mirrors are filled, as {"schedule": "rate(1 hour)", "rate": 20, "workers": 4, "referrers": true, "secret": "arn:aws:secretsmanager:..."}, or false`
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
	// It counts days in the month or in the week, and the other one is "?".
	fields := strings.Fields(v)
	return (fields[2] == "?") != (fields[4] == "?")
}

// secretForm has the six characters at its end that Secrets Manager adds to a
// name: permission is given by the whole ARN.
var secretForm = regexp.MustCompile(`^arn:aws:secretsmanager:([a-z0-9-]+):([0-9]{12}):secret:[A-Za-z0-9/_+=.@-]{1,512}-[A-Za-z0-9]{6}$`)

// fill reads how functions fill the mirrors; they do unless it is false.
func (r *reader) fill(s *Stage) {
	if string(r.values["fill"]) == "false" {
		return
	}
	f := &Filler{Schedule: "rate(1 hour)", Rate: 20, Workers: 4, Referrers: true}
	s.Filler = f
	if !r.decode("fill", f, fillTakes) {
		return
	}
	if !validSchedule(f.Schedule) {
		r.refuse("fill.schedule", scheduleTakes)
	}
	if f.Rate < 0.1 || f.Rate > 1e6 {
		r.refuse("fill.rate", "takes the requests per second that all workers together send to the upstream, from 0.1 to 1000000")
	}
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
	if f.Workers < 2 || f.Workers > 1000 {
		r.refuse("fill.workers", "takes how many functions work at once, from 2 to 1000")
	}
	// The functions run beside the primary, and may use no key of another
	// account.
	if part := secretForm.FindStringSubmatch(f.Secret); f.Secret != "" && (part == nil || part[1] != s.Primary || part[2] != s.Account) {
		r.refuse("fill.secret", fmt.Sprintf("takes the whole ARN of a secret of the account in the primary's region, as arn:aws:secretsmanager:%s:%s:secret:NAME-AbCdEf", s.Primary, s.Account))
	}
}

// Fill is the configuration of the functions that fill the mirrors, of a stage
// with a Filler.
func (s *Stage) Fill() (*config.Fill, error) {
	env := s.fillEnvironment()
	return config.LoadFill(func(name string) string { return env[name] })
}
