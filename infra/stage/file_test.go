package stage

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	valid := `{"app": "x", "context": {"stages": ` + string(stages(t, `{}`)) + `}}`
	for _, tt := range []struct{ name, text, stage, want string }{
		{"valid", valid, "test", ""},
		{"misspelled", valid, "tset", `cdk.json: unknown stage "tset" (did you mean "test"?)`},
		{"unknown", valid, "other", `cdk.json: unknown stage "other": want test`},
		{"empty", "", "test", "cdk.json: missing: want a JSON object"},
		{"syntax", "{\n  \"app\": \"x\",\n}", "test", `cdk.json: line 3, column 1: invalid character '}' looking for beginning of object key string`},
		{"syntax-in-stages", "{\"context\": {\"stages\": {\n\t\"test\": {true}}}}", "test", `cdk.json: line 2, column 11: invalid character 't' looking for beginning of object key string`},
		{"no-context", `{"app": "x"}`, "test", "cdk.json: context: missing: want a JSON object"},
		{"no-stages", `{"context": {}}`, "test", "cdk.json: stages: missing: want a JSON object"},
		{"file-is-a-list", `[]`, "test", "cdk.json: want a JSON object"},
		{"other-stage-is-invalid", `{"context": {"stages": {"other": 1, "test": ` + minimal + `}}}`, "test", ""},
		{"invalid-stage", `{"context": {"stages": {"test": 1}}}`, "test", `cdk.json: stage "test": not an object: want an object of keys`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "cdk.json")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Read(path, tt.stage)
			switch {
			case tt.want == "":
				if err != nil || s.Name != tt.stage {
					t.Errorf("Read = %v, %v", s, err)
				}
			case err == nil || err.Error() != dir+"/"+tt.want:
				t.Errorf("Read: error %v, want %s", err, tt.want)
			}
		})
	}
	if _, err := Read(filepath.Join(t.TempDir(), "cdk.json"), "test"); err == nil {
		t.Error("Read of a missing file: no error")
	}
}

// Each line of an error has the file.
func TestReadSeveralProblems(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cdk.json")
	text := `{"context": {"stages": {"test": {"account": "1", "memory": 1, "mirrors": ["eu-central-1"], "redirectors": ["eu-central-1"], "upstream": {}}}}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Read(path, "test")
	var invalid *InvalidError
	if !errors.As(err, &invalid) || len(invalid.Problems) != 3 {
		t.Fatalf("error %v, want three problems", err)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !strings.HasPrefix(line, path+`: stage "test": `) {
			t.Errorf("line %q does not begin with the file and the stage", line)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(path, []byte(`{"context": {"stages": {"two": 2, "one": 1}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if names, err := Names(path); err != nil || !slices.Equal(names, []string{"one", "two"}) {
		t.Errorf("Names = %v, %v", names, err)
	}
}
