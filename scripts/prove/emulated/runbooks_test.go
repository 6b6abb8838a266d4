package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadRunbooks(t *testing.T) {
	names, all, err := readRunbooks(filepath.Join("../..", runbooksFile))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(names, "output() {") || strings.Contains(names, "make") {
		t.Errorf("what goes before the commands is %s", names)
	}
	var titles []string
	for _, r := range all {
		titles = append(titles, r.title)
		if r.commands == "" {
			t.Errorf("%s has no command", r.title)
		}
		if strings.Contains(r.commands, "```") || strings.Contains(r.commands, "git switch") {
			t.Errorf("%s runs %s", r.title, r.commands)
		}
	}
	const want = "A mirror is dead, The upstream is dead, A bad release, A bad blob, The ranges are old, The bill jumps, A region closes"
	if got := strings.Join(titles, ", "); got != want {
		t.Errorf("the runbooks are %s, want %s", got, want)
	}
	if got := strings.Join(all[0].alarms, " "); got != "Checks ChecksDefault MirrorsUnavailable Replication" {
		t.Errorf("the alarms of a dead mirror are %s", got)
	}
}

func TestReadRunbooksWithoutAny(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.md")
	if err := os.WriteFile(file, []byte("# Runbooks\n\n```sh\nmake\n```\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readRunbooks(file); err == nil {
		t.Error("a file without runbooks is read")
	}
}
