package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"archeio/lambda/build"
	"archeio/lambda/spelling"
)

// Load returns all stages of a JSON object of stages by name, as in the context
// of cdk.json, sorted by name. Its error has a line for each problem: the stage,
// the key and its value, what is wrong, what is wanted.
func Load(text []byte) ([]*Stage, error) {
	all, names, err := byName(text)
	if err != nil {
		return nil, err
	}
	var stages []*Stage
	var errs []error
	for _, name := range names {
		s, problems := read(name, names, all[name])
		stages = append(stages, s)
		errs = append(errs, problems...)
	}
	if len(errs) == 0 {
		errs = sharedBuckets(stages)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return stages, nil
}

// byName returns the stages of a JSON object by name, and their names, sorted.
func byName(text []byte) (all map[string]json.RawMessage, names []string, err error) {
	if err := decodeObject(text, &all); err != nil {
		return nil, nil, fmt.Errorf("stages: %w", err)
	}
	if len(all) == 0 {
		return nil, nil, errors.New("stages: none defined: want an object of stages by name")
	}
	return all, slices.Sorted(maps.Keys(all)), nil
}

// read returns one of the stages with names, which is valid only without problems.
func read(name string, names []string, text json.RawMessage) (s *Stage, problems []error) {
	r := &reader{stage: name, stages: names, values: map[string]json.RawMessage{}}
	s = r.read(text)
	return s, r.errs
}

// Find returns the stage with a name. Its error suggests the nearest name, or
// lists all.
func Find(stages []*Stage, name string) (*Stage, error) {
	var names []string
	for _, s := range stages {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return nil, unknown(name, names)
}

func unknown(name string, names []string) error {
	return fmt.Errorf("unknown stage %q%s", shortened(name), suggestion(name, names))
}

// suggestion returns the end of an error message about an unknown name: the
// nearest known name, or else all of them.
func suggestion(name string, known []string) string {
	if s := spelling.DidYouMean(name, slices.Values(known)); s != "" {
		return s
	}
	return ": want " + enumeration(known, "or")
}

var (
	nameForm    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`)
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	prefixForm  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
)

// retentions are the numbers of days that CloudWatch Logs supports.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
var retentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// read reads the stage. What it returns is valid only if it recorded nothing.
func (r *reader) read(text json.RawMessage) *Stage {
	s := &Stage{Name: r.stage, MirrorPrefix: "archeio-" + r.stage, variables: map[string]string{}}
	if !nameForm.MatchString(r.stage) {
		r.errs = append(r.errs, fmt.Errorf("stage %q: invalid name: want up to 20 lower-case letters, digits and hyphens, starting with a letter", shortened(r.stage)))
		return s
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil {
		r.errs = append(r.errs, fmt.Errorf("stage %q: not an object: want an object of keys", r.stage))
		return s
	}
	r.enter("", object)
	r.text("account", &s.Account, accountForm.MatchString)
	r.text("mirrorPrefix", &s.MirrorPrefix, prefixForm.MatchString)
	r.text("architecture", &s.Architecture, oneOf(build.Architectures()...))
	r.front(s)
	number(r, "memory", &s.Memory)
	if r.decode("logRetention", &s.LogRetention) && !slices.Contains(retentions, s.LogRetention) {
		r.invalid("logRetention")
	}
	r.decode("terminationProtection", &s.Protected)
	// The rest depends on these.
	if !r.regions(s) {
		return s
	}
	r.domain(s)
	r.networks(s)
	r.upstream(s)
	r.passed(s)
	r.fill(s)
	r.publishes(s)
	r.rates(s)
	r.monitoring(s)
	r.canary(s)
	r.accessLogs(s)
	r.firewall(s)
	r.release(s)
	r.buckets(s)
	r.bucketNames(s)
	if len(r.errs) == 0 {
		r.environments(s)
	}
	return s
}
