package stage

import (
	"regexp"
	"slices"
	"time"

	"archeio/lambda/config"
)

// FillerMemory is the memory of each of these functions, in MB of 2^20 bytes.
const FillerMemory = 1024

// GoMemoryShare is how many percent of a function's memory its Go runtime may use
// (GOMEMLIMIT). The rest is for the binary, the system and what the limit does not
// count.
const GoMemoryShare = 85

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

// FillerConcurrency returns how many concurrent executions the planner and the workers
// need in a region.
func (s *Stage) FillerConcurrency(region string) int {
	if s.Filler == nil || region != s.Primary {
		return 0
	}
	return s.Filler.Workers + 1
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
	if age, err := time.ParseDuration(s.variables["MIRROR_INDEX_MAX_AGE"]); err == nil && age < config.IndexMaxAge {
		r.wrong("mirrorIndexMaxAge", "want at least %dh, in which the planner lists all mirrors", int(config.IndexMaxAge.Hours()))
	}
	r.schedule(s, f)
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

// publishes checks that a stage that fills public mirrors with a login says so: whoever
// knows a digest can then pull what only the login could read.
func (r *reader) publishes(s *Stage) {
	publishes := false
	if !r.decode("publishes", &publishes) || publishes || s.Filler == nil {
		return
	}
	login := ""
	if _, _, isECR := config.ECR(s.Source()); isECR {
		login = "the upstream is a private registry"
	}
	if s.Filler.Secret != "" {
		login = "fill.secret is a login"
	}
	if login != "" {
		r.problem("publishes", "%s, and mirrors are public, so anyone could pull what it can read: want true if that is intended", login)
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
