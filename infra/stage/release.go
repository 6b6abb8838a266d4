package stage

import (
	"fmt"
	"slices"
	"strings"

	"archeio/lambda/spelling"
)

// Release is how CodeDeploy rolls out a new version of a redirector: after a smoke
// test, and to a part of the traffic first.
type Release struct {
	// Shift is how traffic is shifted to the new version: a predefined CodeDeploy
	// configuration without its prefix "CodeDeployDefault.Lambda".
	Shift string
	// After is the name of a stage that must run the same code already, empty
	// for none.
	After string
	// Skipped is whether this deployment moves all traffic at once, without CodeDeploy.
	// What a release consists of stays deployed, with the log of the rollout hook.
	Skipped bool
}

// shifts are the predefined deployment configurations for functions. The first
// one is the shortest that exposes a tenth of the traffic first.
// https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
var shifts = []string{
	"Canary10Percent5Minutes", "Canary10Percent10Minutes", "Canary10Percent15Minutes", "Canary10Percent30Minutes",
	"Linear10PercentEvery1Minute", "Linear10PercentEvery2Minutes", "Linear10PercentEvery3Minutes", "Linear10PercentEvery10Minutes",
	"AllAtOnce",
}

// noRelease is the override that deploys without CodeDeploy.
const noRelease = "none"

func (r *reader) release(s *Stage) {
	if !r.object("release") {
		return
	}
	s.Release = &Release{}
	if r.decode("release.shift", &s.Release.Shift) && !slices.Contains(shifts, s.Release.Shift) {
		r.wrong("release.shift", "%s: want %s", unknownShift(s.Release.Shift), find("release.shift").want)
	}
	if !r.decode("release.after", &s.Release.After) || s.Release.After == "" {
		return
	}
	others := func(yield func(string) bool) {
		for _, name := range r.stages {
			if name != r.stage && !yield(name) {
				return
			}
		}
	}
	switch after := s.Release.After; {
	case after == r.stage:
		r.wrong("release.after", "is this stage: want %s", find("release.after").want)
	case !slices.Contains(r.stages, after):
		r.wrong("release.after", "unknown stage%s: want %s", spelling.DidYouMean(after, others), find("release.after").want)
	}
}

func unknownShift(shift string) string {
	return "unknown traffic shift" + spelling.DidYouMean(shift, slices.Values(shifts))
}

// OverrideRelease replaces the traffic shift of the stage. "none" skips the release: no
// smoke test, no gradual shift, no rollback, no other stage before. It does nothing to a
// stage without a Release. An unknown shift is an error.
func (s *Stage) OverrideRelease(shift string) error {
	switch {
	case shift != noRelease && !slices.Contains(shifts, shift):
		return fmt.Errorf("release=%q: %s: want %s or one of %s", shortened(shift), unknownShift(shift), noRelease, strings.Join(shifts, ", "))
	case s.Release == nil:
	case shift == noRelease:
		s.Release = &Release{Shift: s.Release.Shift, Skipped: true}
	default:
		s.Release = &Release{Shift: shift, After: s.Release.After}
	}
	return nil
}

// ReleaseName returns the name of the CodeDeploy application and of its deployment
// group in each redirector region.
func (s *Stage) ReleaseName() string { return "archeio-" + s.Name + "-redirector" }

// CodeHash is the output of a redirector stack that holds the SHA-256 of the
// function's binary, in hexadecimal.
const CodeHash = "CodeHash"
