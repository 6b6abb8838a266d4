package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"archeio/lambda/build"
	"archeio/lambda/config"
	"archeio/lambda/route"
)

const referencePage = ".github/reference.md"

// documents returns the Markdown files by their path from the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, pattern := range []string{"*.md", ".github/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(file, root+string(filepath.Separator))] = string(text)
		}
	}
	return all
}

// TestReference compares the tables of the reference page with the code. The table
// of stage keys is tested in infra/stage.
func TestReference(t *testing.T) {
	t.Parallel()
	text := documents(t)[referencePage]
	var reasons []string
	for _, reason := range route.Reasons() {
		reasons = append(reasons, fmt.Sprintf("| `%s` | %s | %s |", reason, reason.Leads(), reason.Meaning()))
	}
	for _, tt := range []struct {
		section string
		want    []string
	}{
		{"Reasons", reasons},
		{"Variables of the redirector", variableRows(config.Variables[:])},
		{"Variables of the mirror functions", variableRows(config.FillVariables[:])},
		{"Variables of the refresher", variableRows(config.RefreshVariables[:])},
		{"Metrics", metricRows(t)},
	} {
		got := tableRows(text, tt.section)
		for _, row := range tt.want {
			if !slices.Contains(got, row) {
				t.Errorf("%s, %s: missing the row\n%s", referencePage, tt.section, row)
			}
		}
		for _, row := range got {
			if !slices.Contains(tt.want, row) {
				t.Errorf("%s, %s: the code does not have the row\n%s", referencePage, tt.section, row)
			}
		}
	}
}

// tableRows returns the rows of the tables in a section of a document, without their
// headings.
func tableRows(text, section string) []string {
	_, text, _ = strings.Cut(text, "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	var rows []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, strings.TrimSuffix(line, "\n"))
		}
	}
	return rows
}

// variableRows returns the row of each variable: name, meaning, default.
func variableRows(variables []config.Variable) []string {
	var rows []string
	for _, v := range variables {
		rows = append(rows, variableRow(v))
	}
	return rows
}

// variableRow returns the row of a variable.
func variableRow(v config.Variable) string {
	def := "`" + v.Default + "`"
	switch {
	case strings.HasSuffix(v.Meaning, "; required"):
		def = "required"
	case v.Otherwise != "":
		def = v.Otherwise
	case v.Default == "":
		def = "none"
	}
	return "| `" + v.Name + "` | " + v.Meaning + " | " + def + " |"
}

// metricRows returns the row of each metric: its name, and the comment of its
// constant in package metrics.
func metricRows(t *testing.T) []string {
	t.Helper()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "lambda/metrics/names.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, d := range file.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || !strings.HasPrefix(group.Doc.Text(), "The metrics of ") {
			continue
		}
		for _, spec := range group.Specs {
			v := spec.(*ast.ValueSpec)
			name, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, "| `"+name+"` | "+strings.TrimSpace(v.Comment.Text())+" |")
		}
	}
	if len(rows) < 10 {
		t.Fatalf("names.go of package metrics has %d metrics, want at least 10", len(rows))
	}
	return rows
}

// TestDocumentReferences checks that the make targets, the files in events/ and the
// tests that documents refer to exist.
func TestDocumentReferences(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile("(?m)(?:`|^|&& |\\$ )make ([a-z0-9-]+)\\b")
	event := regexp.MustCompile(`events/[a-z0-9./-]+\.(json|txt)`)
	test := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
	tests := testNames(t, root)
	for page, text := range documents(t) {
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s: there is no target %q in the Makefile", page, m[1])
			}
		}
		for _, name := range event.FindAllString(text, -1) {
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Errorf("%s: there is no file %s", page, name)
			}
		}
		for _, m := range test.FindAllStringSubmatch(text, -1) {
			if !tests[m[1]] {
				t.Errorf("%s: there is no test %s", page, m[1])
			}
		}
	}
}

// testNames returns the names of all tests and fuzz targets of the repository.
func testNames(t *testing.T, root string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "cdk.out"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range function.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 100 {
		t.Fatalf("the repository has %d tests, want at least 100", len(names))
	}
	return names
}
