//go:build !race

package stacks

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// alarmNames matches the name of an alarm in the runbooks, or with three dots the
// beginning or the end of several names.
var alarmNames = regexp.MustCompile("`(…?)([A-Z][a-z][A-Za-z0-9]+)(…?)`")

// runbookAlarms returns patterns for the names of the alarms of each section of the
// runbooks, by the anchor of its heading: those in the lines that begin with "Alarm:" or
// "Alarms:".
func runbookAlarms(text string) map[string][]*regexp.Regexp {
	sections := map[string][]*regexp.Regexp{}
	anchor := ""
	for line := range strings.Lines(text) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			anchor = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(title)), " ", "-")
			sections[anchor] = nil
		}
		if !strings.HasPrefix(line, "Alarm: ") && !strings.HasPrefix(line, "Alarms: ") {
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
			sections[anchor] = append(sections[anchor], regexp.MustCompile("^"+pattern+"$"))
		}
	}
	return sections
}

// runbookLink matches the end of a description.
var runbookLink = regexp.MustCompile(`^ Runbook: \.github/runbooks\.md#([a-z-]+)$`)

// An alarm's description leads to the section of the runbooks that lists it, and the
// sections list no other alarms.
func TestAlarmsHaveRunbooks(t *testing.T) {
	text, err := os.ReadFile("../../.github/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := runbookAlarms(string(text))
	wrong, used := map[string]bool{}, map[*regexp.Regexp]bool{}
	for _, st := range synthesized(t).stacks {
		for _, id := range st.alarms() {
			_, link := describe(t, st, id)
			listed := false
			for anchor, patterns := range sections {
				for _, p := range patterns {
					if p.MatchString(id) {
						used[p] = true
						listed = listed || anchor == link
					}
				}
			}
			if !listed && !wrong[id] {
				wrong[id] = true
				t.Errorf("alarm %s leads to .github/runbooks.md#%s, which has no line that begins with \"Alarms:\" and lists it", id, link)
			}
		}
	}
	for anchor, patterns := range sections {
		for _, p := range patterns {
			if !used[p] {
				t.Errorf(".github/runbooks.md#%s lists the alarm %s, which no stage has", anchor, p)
			}
		}
	}
}

// describe returns the description of an alarm and the anchor of its runbook.
func describe(t *testing.T, st *synthStack, id string) (description, anchor string) {
	t.Helper()
	description, _ = at(st.resource(t, id), "Properties", "AlarmDescription").(string)
	i := strings.LastIndex(description, ". ") + 1
	m := runbookLink.FindStringSubmatch(description[i:])
	if m == nil {
		t.Errorf("%s: no runbook at the end of the description %q", id, description)
		return description, ""
	}
	return description[:i], m[1]
}

func TestRunbookAlarms(t *testing.T) {
	sections := runbookAlarms("Alarms of `Nothing`.\n## A mirror\nAlarms: `Checks…`, `Stale`, `…Throttles`.\n`Prose`\n## B\nAlarm: `Downloads`.\n## C\nNo alarm.\n")
	if len(sections) != 3 {
		t.Errorf("sections %v, want 3", sections)
	}
	for id, want := range map[string]string{
		"WorkerThrottles": "a-mirror", "ChecksDefault": "a-mirror", "Stale": "a-mirror", "Downloads": "b",
		"Prose": "", "Checks": "", "OtherStale": "", "Nothing": "",
	} {
		got := ""
		for anchor, patterns := range sections {
			if slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(id) }) {
				got = anchor
			}
		}
		if got != want {
			t.Errorf("%s is in section %q, want %q", id, got, want)
		}
	}
}

// quotedCommand matches a command in the description of an alarm.
var quotedCommand = regexp.MustCompile(`"(?:archeio|make|aws) [^"]*"`)

// A command in the description of an alarm is complete but for an ID.
func TestAlarmCommands(t *testing.T) {
	each(t, "", func(t *testing.T, st *synthStack) {
		for _, id := range st.alarms() {
			description, _ := describe(t, st, id)
			for _, command := range quotedCommand.FindAllString(description, -1) {
				if !strings.Contains(command, " -stage "+st.stage.Name) || !strings.HasPrefix(command, `"archeio `) {
					t.Errorf("%s: the command %s does not name the stage", id, command)
				}
			}
		}
	})
}

// generatedSuffix matches what the CDK adds to a logical ID.
var generatedSuffix = regexp.MustCompile(`[0-9A-F]{8}$`)

// The table of log groups in the operations is that of the templates. Three dots are what
// CloudFormation adds to a name, or the hash of the viewer-request function.
func TestLogGroupsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../.github/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| function | log group | in |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| [^|]+ \\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		got = append(got, m[1])
	}
	groups := map[string]bool{}
	for _, st := range synthesized(t).stacks {
		for id, group := range st.resources("AWS::Logs::LogGroup") {
			name, named := at(group, "Properties", "LogGroupName").(string)
			if !named {
				name = st.stage.Stack(st.what, "REGION") + "-" + generatedSuffix.ReplaceAllString(id, "") + "…"
			}
			groups[strings.Replace(name, st.stage.Name, "STAGE", 1)] = true
		}
		if len(st.resources("AWS::CloudFront::Function")) > 0 {
			groups["/aws/cloudfront/function/"+strings.Replace(st.stage.ViewerRequest(), st.stage.Name, "STAGE", 1)+"…"] = true
		}
	}
	slices.Sort(got)
	if want := slices.Sorted(maps.Keys(groups)); !slices.Equal(got, want) {
		t.Errorf("operations.md has the log groups\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
