//go:build !race

package stacks

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
)

var update = flag.Bool("update", false, "update the golden templates")

// assetHash and versionHash match what changes with the code of functions and of the CDK.
var (
	assetHash   = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	versionHash = regexp.MustCompile(`(FunctionCurrentVersion)[0-9A-F]{8}[0-9a-f]{32}`)
)

// masked returns a template without hashes and code.
func masked(t *testing.T, st *synthStack) []byte {
	t.Helper()
	text, err := json.Marshal(st.template)
	if err != nil {
		t.Fatal(err)
	}
	text = assetHash.ReplaceAll(text, []byte("HASH"))
	text = versionHash.ReplaceAll(text, []byte("${1}HASH"))
	var template map[string]any
	if err := json.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	// The CloudFront function has its own tests.
	if props, ok := at(template, "Resources", "ViewerRequest", "Properties").(map[string]any); ok {
		props["FunctionCode"] = "CODE"
		name, _ := props["Name"].(string)
		props["Name"] = name[:strings.LastIndexByte(name, '-')+1] + "HASH"
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(template); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestGoldenTemplates(t *testing.T) {
	var written []string
	for _, st := range synthesized(t).stacks {
		if st.stage.Name != "smallest" {
			continue
		}
		path := filepath.Join("testdata", st.name+".json")
		written = append(written, path)
		got := masked(t, st)
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from the synthesized template, first in line %s; if that is expected: go test ./infra/stacks -update", path, difference(got, want))
		}
	}
	if len(written) != 8 {
		t.Errorf("the stage smallest has %d stacks, want 8", len(written))
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if !slices.Contains(written, path) {
			t.Errorf("%s is not a template of the stage smallest", path)
		}
	}
}

// difference returns the first line that differs.
func difference(got, want []byte) string {
	a, b := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return strings.TrimSpace(a[i]) + ", want " + strings.TrimSpace(b[i])
		}
	}
	return "END"
}

// A stage has the same templates in every app.
func TestSynthesisIsDeterministic(t *testing.T) {
	first := synthesized(t)
	f, err := readFile()
	if err != nil {
		t.Fatal(err)
	}
	sandbox := slices.DeleteFunc(f.stages, func(s *stage.Stage) bool { return s.Name != "sandbox" })
	second, err := synthesize(f, "again", sandbox)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, st := range second.stacks {
		files[st.name] = filepath.Join(second.dir, st.name+".template.json")
	}
	if len(files) != 14 {
		t.Fatalf("stacks of the stage sandbox %v, want 14", slices.Sorted(maps.Keys(files)))
	}
	for name, path := range files {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(first.dir, name+".template.json"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from one synthesis to the next, first in line %s", name, difference(got, want))
		}
	}
}
