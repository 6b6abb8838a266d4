package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestReadmeExplain tests that what the README shows of explain is printed.
func TestReadmeExplain(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "go run ./scripts/archeio explain ")
	arguments, rest, _ := strings.Cut(rest, "\n")
	_, rest, _ = strings.Cut(rest, "```\n\n```\n")
	shown, _, ok := strings.Cut(rest, "```")
	out, err := exec.Command("archeio", append([]string{"explain", "-file", "../../cdk.json"}, strings.Fields(arguments)...)...).Output()
	if err != nil || !ok {
		t.Fatal(err, ok)
	}
	for line := range strings.Lines(shown) {
		if line = strings.TrimSuffix(strings.TrimSpace(line), "…"); !strings.Contains(string(out), line) {
			t.Errorf("README.md shows %q, but explain prints\n%s", line, out)
		}
	}
}

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
