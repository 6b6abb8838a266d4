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

// Regions returns the regions of mirrors and redirectors, sorted.
func (s *Stage) Regions() []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.Mirrors, s.Redirectors))))
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
