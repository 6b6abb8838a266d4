package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archeio/lambda/build"
)

func TestReadRunbooks(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	names, all, err := readRunbooks(filepath.Join(root, runbooksFile))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(names, "output() {") || strings.Contains(names, "make") {
		t.Errorf("the functions of the commands are\n%s", names)
	}
	var titles []string
	for _, r := range all {
		titles = append(titles, r.title)
		if r.commands == "" {
			t.Errorf("runbook %q has no commands", r.title)
		}
		if strings.Contains(r.commands, "```") || strings.Contains(r.commands, "git switch") {
			t.Errorf("runbook %q runs\n%s", r.title, r.commands)
		}
	}
	const want = "A mirror is unavailable, Blobs need mirror copy, The upstream is unavailable, Clients get server errors, Invocations are throttled, The upstream is rate-limiting requests, A bad release, A bad blob, The ranges are old, The bill jumps, " + retirement
	if got := strings.Join(titles, ", "); got != want {
		t.Errorf("the runbooks are %s, want %s", got, want)
	}
	if got := strings.Join(all[0].alarms, " "); got != "Checks ChecksDefault MirrorsUnavailable Replication IndexDisabled MirrorsIncomplete" {
		t.Errorf("the alarms of the first runbook are %s", got)
	}
}

func TestReadRunbooksWithoutAny(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.md")
	if err := os.WriteFile(file, []byte("# Runbooks\n\n```sh\nmake\n```\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readRunbooks(file); err == nil {
		t.Error("a document without runbooks is accepted")
	}
}

func TestHasAlarms(t *testing.T) {
	t.Parallel()
	deployed := []string{"archeio-emulated-watch-us-east-1-ChecksDefault123"}
	for _, tt := range []struct {
		name   string
		alarms []string
		want   bool
	}{
		{"none", nil, true},
		{"prefix", []string{"Checks", "ChecksDefault"}, true},
		{"missing", []string{"Checks", "Replication"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := (runbook{alarms: tt.alarms}).hasAlarms(deployed); (err == nil) != tt.want {
				t.Errorf("error %v, want none: %v", err, tt.want)
			}
		})
	}
}
