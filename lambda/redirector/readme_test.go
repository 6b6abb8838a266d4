package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"archeio/lambda/build"
	"archeio/lambda/config"
	"archeio/lambda/route"
)

// TestReadme holds the README to what the code says: every variable with its
// meaning and default, every reason, every make target and every file.
func TestReadme(t *testing.T) {
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	readme, makefile := read("README.md"), read("Makefile")
	for _, v := range append(config.Variables[:], config.FillVariables[:]...) {
		def := "`" + v.Default + "`"
		switch {
		case strings.HasSuffix(v.Meaning, "; required"):
			def = "required"
		case v.Default == "":
			def = "none"
		}
		if row := "| `" + v.Name + "` | " + v.Meaning + " | " + def + " |"; !strings.Contains(readme, row) {
			t.Errorf("the README lacks the row\n%s", row)
		}
	}
	for _, reason := range route.Reasons() {
		if !strings.Contains(readme, "`"+reason.String()+"`") {
			t.Errorf("the README does not explain the reason %q", reason)
		}
	}
	for _, m := range regexp.MustCompile(`\bmake ([a-z0-9-]+)\b`).FindAllStringSubmatch(readme, -1) {
		if !strings.Contains(makefile, "\n"+m[1]+":") && m[1] != "alone" {
			t.Errorf("the README names the target %q, which the Makefile lacks", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`events/[a-z0-9./-]+\.(json|txt)`).FindAllString(readme, -1) {
		if _, err := os.Stat(filepath.Join(root, m)); err != nil {
			t.Errorf("the README names %s, which is not there", m)
		}
	}
}
