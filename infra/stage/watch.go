package stage

import (
	"regexp"
	"slices"
)

// emailForm is what SNS and Budgets both send to, and no more than a look.
var emailForm = regexp.MustCompile(`^[A-Za-z0-9._%+-]{1,64}@([A-Za-z0-9-]+\.)+[A-Za-z]{2,63}$`)

// watch reads who is told what.
func (r *reader) watch(s *Stage) {
	r.text("email", &s.Email, false, `takes the address that alarms go to, as "operators@example.com"`, emailForm.MatchString)
	r.number("downloadAlarm", &s.DownloadAlarm, "takes how many GB a bucket may send in an hour before an alarm rings, from 1 to 1000000",
		func(n int) bool { return n >= 1 && n <= 1000000 })
	const budgetTakes = "takes how many dollars a month may cost before email is told, from 1 to 10000000"
	if !r.decode("budget", &s.Budget, budgetTakes) {
		return
	}
	if s.Budget < 1 || s.Budget > 1e7 {
		r.refuse("budget", budgetTakes)
	}
	if r.values["email"] == nil {
		r.refuse("email", "takes the address that the budget tells; a budget without one tells nobody")
	}
}

// Regions are all regions that something of the stage is in, but for the
// edge's.
func (s *Stage) Regions() []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.Mirrors, s.Redirectors))))
}

// Tag is the key of the tag on all resources of a stage, whose value is its name.
const Tag = "archeio:stage"

// Dashboard is the dashboard's name.
func (s *Stage) Dashboard() string { return "archeio-" + s.Name }

// AlarmTopic is the name of the topic of a region's alarms.
func (s *Stage) AlarmTopic() string { return "archeio-" + s.Name + "-alarms" }

// AlarmTopicARN is that topic's ARN: alarms reach only topics of their region.
func (s *Stage) AlarmTopicARN(region string) string {
	return "arn:aws:sns:" + region + ":" + s.Account + ":" + s.AlarmTopic()
}
