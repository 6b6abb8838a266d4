package stage

import (
	"strings"

	"archeio/lambda/config"
)

// Refreshes reports whether the stage has a function that keeps the range tables of its
// mirrors up to date.
func (s *Stage) Refreshes() bool { return s.variables["RANGES_REFRESH"] != "none" }

// HasState reports whether the stage has a state bucket.
func (s *Stage) HasState() bool { return s.Filler != nil || s.Refreshes() }

// RefreshFunction returns the name of the function that keeps the range tables up to
// date. It is in EdgeRegion, where AWS publishes notices about its addresses.
func (s *Stage) RefreshFunction() string { return "archeio-" + s.Name + "-refresh" }

// Refresh returns the configuration of that function.
func (s *Stage) Refresh() (*config.Refresh, error) {
	env := s.refreshEnvironment()
	return config.LoadRefresh(func(name string) string { return env[name] })
}

// refreshEnvironment returns the environment of the function that keeps the range tables
// up to date, for config.LoadRefresh.
func (s *Stage) refreshEnvironment() map[string]string {
	env := s.environment(s.Redirectors[0])
	// The URLs of the mirrors do not matter for the choice of one.
	env["MIRROR_URL_TEMPLATE"], env["MIRROR_URL_OVERRIDES"] = "https://{region}", ""
	if env["DEFAULT_MIRROR_CHECK_URL"] != "" {
		env["DEFAULT_MIRROR_CHECK_URL"] = "https://default"
	}
	var buckets []string
	for _, region := range s.Filled() {
		buckets = append(buckets, s.Bucket(region)+"@"+region)
	}
	env["REFRESH_STAGE"] = s.Name
	env["REFRESH_BUCKETS"] = strings.Join(buckets, ",")
	env["REFRESH_STATE"] = s.StateBucket() + "@" + s.Home
	env["REFRESH_REDIRECTORS"] = strings.Join(s.Redirectors, ",")
	if !s.HasDistribution() {
		env["REFRESH_BALANCER"] = "true"
	}
	env["REFRESH_TOPIC"] = s.AlarmTopicARN(EdgeRegion)
	return env
}
