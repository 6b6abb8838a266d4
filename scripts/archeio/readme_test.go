package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestReadme tests that the README is short, and that its list of commands is that
// of the program.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(string(readme))); n > 1000 {
		t.Errorf("README.md has %d words, want at most 1,000", n)
	}
	help, err := exec.Command("archeio").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(string(help), "Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	var want []string
	for line := range strings.Lines(list) {
		if line = strings.TrimPrefix(line, "  "); !strings.HasPrefix(line, " ") { // commands of a group have their own help
			want = append(want, line)
		}
	}
	if block := "```\n" + strings.TrimSuffix(strings.Join(want, ""), "\n") + "\n```"; !ok || !strings.Contains(string(readme), block) {
		t.Errorf("README.md must contain:\n%s", block)
	}
}
