package stage

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// minimal is a stage with the required keys only.
const minimal = `{
	"account": "123456789012",
	"mirrors": ["eu-central-1"],
	"redirectors": ["eu-central-1"],
	"upstream": {"endpoint": "https://us-docker.pkg.dev", "path": "example-project/images"}
}`

// withZone is what a domain requires.
const withZone = `"hostedZone": {"id": "Z0123456789ABCDEFGHIJ", "name": "example.com"}`

// stages returns a stage called test as the argument of Load: minimal with keys
// replaced or added.
func stages(t *testing.T, changes string) []byte {
	t.Helper()
	var keys, changed map[string]json.RawMessage
	for text, into := range map[string]*map[string]json.RawMessage{minimal: &keys, changes: &changed} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	maps.Copy(keys, changed)
	text, err := json.Marshal(map[string]any{"test": keys})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// load loads one valid stage.
func load(t *testing.T, changes string) *Stage {
	t.Helper()
	all, err := Load(stages(t, changes))
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if len(all) != 1 {
		t.Fatalf("Load: %d stages, want 1", len(all))
	}
	return all[0]
}

// refused checks the error of a stage: every line begins with the stage, and each
// text of want is in it.
func refused(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !strings.HasPrefix(line, `stage "test": `) {
			t.Errorf("error %q does not begin with the stage", line)
		}
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not contain %q", err, text)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", `stages: missing: want a JSON object`},
		{"null", "null", `stages: want a JSON object`},
		{"empty", "{}", `stages: none defined: want an object of stages by name`},
		{"list", `[{"account": "123456789012"}]`, `stages: want a JSON object`},
		{"stage-number", `{"test": 1}`, `stage "test": not an object: want an object of keys`},
		{"stage-list", `{"test": []}`, `stage "test": not an object: want an object of keys`},
		{"ends-early", `{"test": {}`, `stages: line 1, column 11: unexpected end of JSON input`},
		{"second-line", "{\n  \"test\": {,\n}", `stages: line 2, column 12: invalid character ',' looking for beginning of object key string`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all, err := Load([]byte(tt.text))
			if err == nil || err.Error() != tt.want || len(all) > 0 {
				t.Errorf("Load = %v, %v, want the error %s", all, err, tt.want)
			}
		})
	}
}

func TestStageNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "Test", "1test", "-test", "test_1", "test.1", "a-name-of-21-letters1", "é"} {
		text := strings.Replace(string(stages(t, `{}`)), `"test"`, `"`+name+`"`, 1)
		_, err := Load([]byte(text))
		if want := `stage "` + name + `": invalid name: want up to 20 lower-case letters, digits and hyphens, starting with a letter`; err == nil || err.Error() != want {
			t.Errorf("stage %q: error %v, want %q", name, err, want)
		}
	}
	for _, name := range []string{"a", "test-1", "a-name-of-20-letters"} {
		text := strings.Replace(string(stages(t, `{}`)), `"test"`, `"`+name+`"`, 1)
		if _, err := Load([]byte(text)); err != nil {
			t.Errorf("stage %q: %v", name, err)
		}
	}
}

func TestLoadRequiresKeys(t *testing.T) {
	t.Parallel()
	for _, k := range keys {
		if !k.required || strings.Contains(k.name, ".") {
			continue
		}
		var all map[string]map[string]json.RawMessage
		if err := json.Unmarshal(stages(t, `{}`), &all); err != nil {
			t.Fatal(err)
		}
		delete(all["test"], k.name)
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Load(text)
		if want := `stage "test": ` + k.name + ": missing: want " + k.wanted(); err == nil || err.Error() != want {
			t.Errorf("without %s: error %v, want %s", k.name, err, want)
		}
	}
}

func TestLoadReportsTogether(t *testing.T) {
	t.Parallel()
	_, err := Load([]byte(`{
		"one": {"account": "1", "mirrors": ["nowhere"], "redirectors": [], "memory": 1, "surprise": true},
		"three": null,
		"two": {"account": "123456789012", "mirrors": ["eu-central-1"], "redirectors": ["eu-central-1"], "domain": "registry.example.com",
			"primary": "us-east-1", "upstream": {}},
		"valid": ` + minimal + `
	}`))
	if err == nil {
		t.Fatal("no error")
	}
	var got []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		parts := strings.SplitN(line, ": ", 3)
		got = append(got, strings.Join(parts[:2], ": "))
	}
	want := []string{
		`stage "one": surprise`, `stage "one": account="1"`, `stage "one": memory=1`, `stage "one": mirrors`, `stage "one": redirectors`,
		`stage "three": account`, `stage "three": mirrors`, `stage "three": redirectors`,
		`stage "two": primary`, `stage "two": hostedZone`, `stage "two": upstream.endpoint`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("errors\n%v\nwant those of %q", err, want)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	all := []*Stage{{Name: "production"}, {Name: "sandbox"}}
	if s, err := Find(all, "sandbox"); err != nil || s != all[1] {
		t.Errorf("Find(sandbox) = %v, %v", s, err)
	}
	for _, tt := range []struct{ name, want string }{
		{"sanbox", `unknown stage "sanbox" (did you mean "sandbox"?)`},
		{"test", `unknown stage "test": want production or sandbox`},
		{"", `unknown stage "": want production or sandbox`},
	} {
		if _, err := Find(all, tt.name); err == nil || err.Error() != tt.want {
			t.Errorf("Find(%q): error %v, want %s", tt.name, err, tt.want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"test": ` + minimal + `}`))
	f.Add([]byte(`{"test": {"fill": {"schedule": "rate(2 days)", "rate": 0.1, "workers": 1000}, ` + minimal[1:] + `}`))
	f.Add([]byte(`{"test": {"front": "both", "networks": {"eu-central-1": {"vpc": 1}, "a.b": {}}, ` + minimal[1:] + `}`))
	f.Add([]byte(`{"test": {"mirrorFor": {"a": [null]}, "upstreamClouds": [], "networks": {"": {}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := Load(text)
		if err != nil {
			for i := range len(err.Error()) {
				if c := err.Error()[i]; c < ' ' && c != '\n' || c == 0x7f {
					t.Fatalf("the error %q has a control character", err)
				}
			}
			return
		}
		for _, s := range all {
			for _, region := range s.Redirectors {
				if _, err := s.Config(region); err != nil {
					t.Errorf("stage %q is valid, but the environment in %s is not: %v", s.Name, region, err)
				}
			}
			if s.Filler == nil {
				continue
			}
			if c, err := s.Fill(); err != nil || c.Rate <= 0 {
				t.Errorf("stage %q is valid, but the environment of its filler is not or has no limit: %+v, %v", s.Name, c, err)
			}
		}
	})
}
