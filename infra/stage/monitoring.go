package stage

import (
	"regexp"
	"slices"
)

// emailForm is a rough check for what both SNS and AWS Budgets send to.
var emailForm = regexp.MustCompile(`^[A-Za-z0-9._%+-]{1,64}@([A-Za-z0-9-]+\.)+[A-Za-z]{2,63}$`)

// monitoring reads alarms and budget.
func (r *reader) monitoring(s *Stage) {
	r.text("email", &s.Email, emailForm.MatchString)
	number(r, "downloadAlarm", &s.DownloadAlarm)
	number(r, "budget", &s.Budget)
	if r.values["budget"] != nil && r.values["email"] == nil {
		r.missing("email", "required with budget")
	}
}

// Regions returns the regions with alarms, sorted: those of mirrors and redirectors, and
// that of the edge and refresh stacks.
func (s *Stage) Regions() []string {
	all := slices.Concat(s.Mirrors, s.Redirectors)
	if s.HasDistribution() || s.Refreshes() {
		all = append(all, EdgeRegion)
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

// AlarmMetrics returns the number of metrics that the alarms of all stacks evaluate, which
// is what CloudWatch bills.
func (s *Stage) AlarmMetrics() int {
	// Of each mirror: downloads. Of each replica: failed replication.
	n := len(s.Mirrors) + len(s.Replicas())
	if s.Filler != nil {
		n += 10 // two of the queues, blobs that need a copy or were not deleted, three of each function
	}
	if s.Refreshes() {
		n += 6 // three of the function, its last check, refused changes, no runs
	}
	if s.HasDistribution() {
		n += 3 // server errors, two of the function
		if !s.PlainAlarms {
			n += 2 // of the share of 403 responses
			if s.Relays() {
				n++ // 502 responses
			}
			if s.SingleHost {
				n++ // 503 responses
			}
		}
	}
	relayErrors := 0 // that do not count as errors of an entry point, by reason
	if s.Relays() && !s.PlainAlarms {
		relayErrors = 2
	}
	for _, region := range s.Redirectors {
		n += 3 // of the function
		if s.Canary != nil {
			n += 3 + len(s.EntryPoints()) // of the function, failed pulls
		}
		if HasFunctionURL(region) {
			n += 1 + relayErrors
		}
		if s.HasLoadBalancers() {
			n += 2 + relayErrors
		}
		if s.Relays() {
			n += 2 // upstream limited, relay failed
		}
		checked := len(s.Routed())
		if s.HasDistribution() {
			checked++
		}
		n += checked
		if s.Filler != nil && s.variables["MIRROR_INDEX_REFRESH"] != "none" {
			n += checked + 1 // index disabled, index stale
			if !s.PlainAlarms {
				n += 4 // loads that find no usable index, by outcome
			}
		}
		if !s.PlainAlarms {
			n += 2 + 5 // of the shares of blobs by reason
		}
		if s.Release != nil {
			n += 2
			if !s.PlainAlarms {
				n += 2
			}
		}
	}
	return n
}

// Tag is the key of the tag on all resources of a stage. Its value is the name of
// the stage.
const Tag = "archeio:stage"

// Dashboard returns the name of the dashboard.
func (s *Stage) Dashboard() string { return "archeio-" + s.Name }

// AlarmTopic returns the name of the SNS topic for alarms in each region.
func (s *Stage) AlarmTopic() string { return "archeio-" + s.Name + "-alarms" }

// AlarmTopicARN returns the ARN of the topic in a region. An alarm can only notify
// a topic in its own region.
func (s *Stage) AlarmTopicARN(region string) string {
	return "arn:aws:sns:" + region + ":" + s.Account + ":" + s.AlarmTopic()
}
