package stage

import (
	"fmt"
	"slices"
	"strings"
)

// Release tells how a new version of a redirector takes over from the one
// before: after trials, and for a part of the clients first.
type Release struct {
	// Shift is how clients move to the new version: one of CodeDeploy's own
	// configurations, without the "CodeDeployDefault.Lambda" of its name.
	Shift string `json:"shift"`
	// After is a stage that runs the same code first, empty for none.
	After string `json:"after"`
}

// shifts are CodeDeploy's configurations for functions.
// https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
var shifts = []string{
	"Canary10Percent5Minutes", "Canary10Percent10Minutes", "Canary10Percent15Minutes", "Canary10Percent30Minutes",
	"Linear10PercentEvery1Minute", "Linear10PercentEvery2Minutes", "Linear10PercentEvery3Minutes", "Linear10PercentEvery10Minutes",
	"AllAtOnce",
}

// releaseEnvironment is what the hook's environment has more than the
// redirector's, in bytes: a version's ARN, at most, and the fronts.
const releaseEnvironment = 256

// release reads it; there is none unless the key is there.
func (r *reader) release(s *Stage) {
	const takes = `takes how a new version takes over, as {"shift": "Canary10Percent5Minutes", "after": "sandbox"}`
	// The shortest of them: what goes wrong goes wrong for a tenth.
	v := &Release{Shift: shifts[0]}
	if !r.decode("release", v, takes) {
		return
	}
	s.Release = v
	if !slices.Contains(shifts, v.Shift) {
		r.refuse("release.shift", "takes one of CodeDeploy's: "+strings.Join(shifts, ", "))
	}
	if v.After != "" && (v.After == r.stage || !slices.Contains(r.stages, v.After)) {
		r.refuse("release.after", fmt.Sprintf("takes another stage of cdk.json; %q is none", v.After))
	}
}

// Hasten has the new version take over in another way than the stage says, this
// once: "none" leaves out CodeDeploy with its trials and alarms. It does nothing
// to a stage without a Release.
func (s *Stage) Hasten(shift string) error {
	switch {
	case shift != "none" && !slices.Contains(shifts, shift):
		return fmt.Errorf("release=%q: takes none, or one of %s", shift, strings.Join(shifts, ", "))
	case s.Release == nil:
	case shift == "none":
		s.Release = nil
	default:
		s.Release = &Release{Shift: shift, After: s.Release.After}
	}
	return nil
}

// ReleaseName is the name of CodeDeploy's application, and of its deployment
// group, in each redirector region.
func (s *Stage) ReleaseName() string { return "archeio-" + s.Name + "-redirector" }

// CodeHash is the output of a redirector's stack that names its code.
const CodeHash = "CodeHash"
