//go:build !race

package stacks

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// alarmNames matches the name of an alarm in the runbooks, or with three dots the
// beginning or the end of several names.
var alarmNames = regexp.MustCompile("`(…?)([A-Z][a-z][A-Za-z0-9]+)(…?)`")

// runbookAlarms returns the alarms that have a runbook: those in the lines that begin
// with "Alarm:" or "Alarms:", and in the text before the first section.
func runbookAlarms(text string) *regexp.Regexp {
	var patterns []string
	section := false
	for line := range strings.Lines(text) {
		section = section || strings.HasPrefix(line, "## ")
		if section && !strings.HasPrefix(line, "Alarm: ") && !strings.HasPrefix(line, "Alarms: ") {
			continue
		}
		for _, m := range alarmNames.FindAllStringSubmatch(line, -1) {
			pattern := m[2]
			if m[1] != "" {
				pattern = ".+" + pattern
			}
			if m[3] != "" {
				pattern += ".+"
			}
			patterns = append(patterns, pattern)
		}
	}
	return regexp.MustCompile("^(" + strings.Join(patterns, "|") + ")$")
}

func TestAlarmsHaveRunbooks(t *testing.T) {
	text, err := os.ReadFile("../../.github/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	named := runbookAlarms(string(text))
	missing := map[string]bool{}
	for _, st := range synthesized(t).stacks {
		for _, id := range st.alarms() {
			if !named.MatchString(id) && !missing[id] {
				missing[id] = true
				t.Errorf("alarm %s is in no line of .github/runbooks.md that begins with \"Alarms:\"", id)
			}
		}
	}
}

func TestRunbookAlarms(t *testing.T) {
	named := runbookAlarms("For `NeedsCopy`, and `…Throttles`.\n## A\nAlarms: `Checks…`, `Stale`.\n`Prose`\n## B\nAlarm: `Downloads`.\n")
	for id, want := range map[string]bool{
		"NeedsCopy": true, "WorkerThrottles": true, "ChecksDefault": true, "Stale": true, "Downloads": true,
		"NeedsCopyNow": false, "Prose": false, "Checks": false, "OtherStale": false,
	} {
		if named.MatchString(id) != want {
			t.Errorf("%s has a runbook: %v, want %v", id, !want, want)
		}
	}
}
