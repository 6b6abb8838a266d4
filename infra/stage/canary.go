package stage

import (
	"regexp"
	"strings"

	"archeio/lambda/config"
)

// Canary is what pulls through the entry points of the stage as a client does.
type Canary struct {
	// Image is NAME:TAG or NAME@DIGEST; empty for the smallest that the workers have
	// seen.
	Image string
}

// What the canary pulls through, as in the dimension EntryPoint of its metrics.
const (
	DistributionEntry = "distribution"
	BalancerEntry     = "load-balancer"
)

// The memory of the canary in MB, and how often it runs, in minutes.
const CanaryMemory, CanaryMinutes = 256, 5

// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
var imageForm = regexp.MustCompile(`^[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})$`)

func (r *reader) canary(s *Stage) {
	raw, set := r.values["canary"]
	switch {
	case string(raw) == "false":
		return
	case set:
		if !r.object("canary") {
			return
		}
	case s.Email == "" || s.Filler == nil:
		return
	}
	s.Canary = &Canary{}
	r.text("canary.image", &s.Canary.Image, imageForm.MatchString)
	if r.values["canary.image"] == nil && s.Filler == nil {
		r.missing("canary.image", `required with "fill": false`)
	}
}

// EntryPoints returns what clients connect to, by the names that the canary uses.
func (s *Stage) EntryPoints() []string {
	var names []string
	if s.HasDistribution() {
		names = append(names, DistributionEntry)
	}
	if s.HasLoadBalancers() {
		names = append(names, BalancerEntry)
	}
	return names
}

// CanaryEnvironment returns the environment of the canary in each redirector region.
// distribution is the distribution's own host name.
func (s *Stage) CanaryEnvironment(distribution string) map[string]string {
	var points []string
	for _, name := range s.EntryPoints() {
		host := s.Domain
		switch {
		case name == DistributionEntry && (s.Domain == "" || s.DomainPending):
			host = distribution
		case name == BalancerEntry && s.HasDistribution():
			host = s.BalancerDomain()
		}
		points = append(points, name+"=https://"+host)
	}
	env := s.PullEnvironment()
	env["CANARY_ENTRY_POINTS"] = strings.Join(points, ",")
	return env
}

// PullEnvironment returns the variables for the image that the canary and the rollout
// hook pull, none without a canary.
func (s *Stage) PullEnvironment() map[string]string {
	switch {
	case s.Canary == nil:
		return map[string]string{}
	case s.Canary.Image != "":
		return map[string]string{"CANARY_IMAGE": s.Canary.Image}
	}
	return map[string]string{"CANARY_STATE": s.StateBucket() + "@" + s.Home}
}

// CanaryImageARN returns the ARN of the object that names the image for a canary without
// one.
func (s *Stage) CanaryImageARN() string {
	return "arn:aws:s3:::" + s.StateBucket() + "/" + config.CanaryImageName
}
