package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// runbook is a section of the document: the alarms that lead to it, and the commands
// to run.
type runbook struct {
	title    string
	alarms   []string
	commands string
}

const (
	runbooksFile = ".github/runbooks.md"
	// runFence begins a block of commands to run, namesFence the functions that
	// they use.
	runFence   = "```sh emulated"
	namesFence = runFence + " names"

	retirement = "A region closes" // title of the runbook whose stage is changed first
)

// alarmName matches the name of an alarm, or the beginning of several names.
var alarmName = regexp.MustCompile("`([A-Z][a-z][A-Za-z]+)…?`")

// readRunbooks reads the document. names are the functions that all commands use.
func readRunbooks(path string) (names string, all []runbook, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	fence := ""
	for line := range strings.Lines(string(text)) {
		trimmed := strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```") && fence == "":
			fence = trimmed
		case strings.HasPrefix(line, "```"):
			fence = ""
		case strings.HasPrefix(line, "## ") && fence == "":
			all = append(all, runbook{title: trimmed[3:]})
		case fence == namesFence:
			names += line
		case len(all) == 0:
		case fence == runFence:
			all[len(all)-1].commands += line
		case fence == "" && (strings.HasPrefix(line, "Alarm: ") || strings.HasPrefix(line, "Alarms: ")):
			for _, m := range alarmName.FindAllStringSubmatch(line, -1) {
				all[len(all)-1].alarms = append(all[len(all)-1].alarms, m[1])
			}
		}
	}
	if names == "" || len(all) == 0 {
		return "", nil, fmt.Errorf("reading %s: no sections, or no block that begins with %s", path, namesFence)
	}
	return names, all, nil
}
