package capacity

import (
	"slices"

	"archeio/infra/stage"
)

// relayMS is assumed of a stage that relays, in milliseconds: the way to an upstream on
// the same continent and back, twice for a new connection.
const relayMS = 150

// deployAs sets what a stage determines of a load: how it is deployed.
func (l *Load) deployAs(s *stage.Stage) {
	l.Mirrors, l.Redirectors, l.MemoryMB = float64(len(s.Mirrors)), float64(len(s.Redirectors)), float64(s.Memory)
	// The primary is first.
	others := slices.DeleteFunc(slices.Clone(s.Mirrors), func(region string) bool { return region == s.Primary })
	l.Places, l.Downloads = append([]string{s.Primary}, others...), nil
	l.Runs = 0
	if s.Filler != nil {
		l.Runs = s.Filler.RunsPerHour() * hours
	}
	l.Regions, l.AlarmMetrics = float64(len(s.Regions())), float64(s.AlarmMetrics())
	l.Relay = 0
	if s.Relays() {
		l.Relay = relayMS
	}
	l.Canaries = 0
	if s.Canary != nil {
		l.Canaries = l.Redirectors * float64(len(s.EntryPoints()))
	}
	l.Balancers, l.BalancerShare, l.Firewalls = 0, 0, 0
	if s.HasLoadBalancers() {
		l.Balancers, l.BalancerShare = l.Redirectors, 1
	}
	if s.HasLoadBalancers() && s.HasDistribution() {
		l.BalancerShare = 0.5
	}
	if s.Firewall != nil {
		l.Firewalls = l.Balancers
		if s.HasDistribution() {
			l.Firewalls++
		}
	}
}
