package stage

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// minimal is a stage with nothing in it but what it must have.
const minimal = `{
	"account": "123456789012",
	"mirrors": ["eu-central-1"],
	"redirectors": ["eu-central-1"],
	"upstream": {"endpoint": "https://us-docker.pkg.dev"}
}`

// withZone makes room for a domain.
const withZone = `"hostedZone": {"id": "Z0123456789ABCDEFGHIJ", "name": "example.com"}`

// stages is the text of one stage, called test: minimal with other keys in
// place of its own or beside them.
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

// load reads one stage that must be right.
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

// refused tells what is not as it should be in the error of a stage: every
// line names the stage, and each text of want is in it.
func refused(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !strings.HasPrefix(line, `stage "test"`) {
			t.Errorf("error %q does not begin with the stage", line)
		}
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not contain %q", err, text)
		}
	}
}

func TestLoadRefusesOtherThanStages(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"nothing", ""},
		{"null", "null"},
		{"empty", "{}"},
		{"list", `[{"account": "123456789012"}]`},
		{"stage-number", `{"test": 1}`},
		{"stage-list", `{"test": []}`},
		{"not-json", `{"test": {}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all, err := Load([]byte(tt.text))
			if err == nil || len(all) > 0 {
				t.Fatalf("Load: %v, %v, want an error only", all, err)
			}
			if want := `cdk.json: "stages" takes an object with at least one stage`; !strings.Contains(err.Error(), want) {
				t.Errorf("error %q does not contain %q", err, want)
			}
		})
	}
}

func TestLoadRefusesNames(t *testing.T) {
	for _, name := range []string{"", "Test", "1test", "-test", "test_1", "test.1", "a-name-of-21-letters1", "é"} {
		text := strings.Replace(string(stages(t, `{}`)), `"test"`, `"`+name+`"`, 1)
		_, err := Load([]byte(text))
		if want := `stage "` + name + `": its name takes up to 20 lower-case letters, digits and hyphens`; err == nil || !strings.Contains(err.Error(), want) {
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

func TestLoadNeedsKeys(t *testing.T) {
	for key, takes := range map[string]string{
		"account":     "account takes an AWS account, twelve digits; it is missing",
		"mirrors":     "mirrors takes AWS regions, at least one and each once; it is missing",
		"redirectors": "redirectors takes AWS regions, at least one and each once; it is missing",
		"upstream":    "upstream takes the registry that is the source of truth, as {",
	} {
		var all map[string]map[string]json.RawMessage
		if err := json.Unmarshal(stages(t, `{}`), &all); err != nil {
			t.Fatal(err)
		}
		delete(all["test"], key)
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Load(text)
		refused(t, err, `stage "test": `+takes, "it is missing")
	}
	// An empty stage lacks all of those that can be told apart at once.
	_, err := Load([]byte(`{"test": null}`))
	refused(t, err, "account", "mirrors", "redirectors")
}

func TestLoadRefusesUnknownKeys(t *testing.T) {
	_, err := Load(stages(t, `{"acount": "123456789012", "Mirrors": ["eu-central-1"]}`))
	refused(t, err, `stage "test": there is no key "acount"; the keys are account, mirrors,`, `there is no key "Mirrors"`, "logLevel")
	// A comment is none.
	load(t, `{"//": "One region."}`)
}

func TestLoadRefusesTypes(t *testing.T) {
	all := append(append([]string(nil), keys...), "signatureUpstream", "mirrorFor", "upstreamClouds", "failoverBudget", "logLevel")
	for _, key := range all {
		_, err := Load(stages(t, `{"`+key+`": null}`))
		refused(t, err, `stage "test": `+key+" takes ", "; it is null")
	}
	for _, tt := range []struct{ name, key, value string }{
		{"account-number", "account", `123456789012`},
		{"mirrors-text", "mirrors", `"eu-central-1"`},
		{"mirrors-numbers", "mirrors", `[1]`},
		{"redirectors-object", "redirectors", `{"eu-central-1": true}`},
		{"primary-list", "primary", `["eu-central-1"]`},
		{"front-list", "front", `["alb"]`},
		{"domain-number", "domain", `1`},
		{"zone-text", "hostedZone", `"Z0123456789ABCDEFGHIJ"`},
		{"zone-other-key", "hostedZone", `{"id": "Z0123456789ABCDEFGHIJ", "zone": "example.com"}`},
		{"memory-text", "memory", `"256"`},
		{"memory-fraction", "memory", `256.5`},
		{"retention-text", "logRetention", `"30"`},
		{"protection-text", "terminationProtection", `"yes"`},
		{"protection-number", "terminationProtection", `0`},
		{"networks-list", "networks", `[]`},
		{"upstream-text", "upstream", `"https://us-docker.pkg.dev"`},
		{"upstream-other-key", "upstream", `{"endpoint": "https://us-docker.pkg.dev", "prefix": "images"}`},
		{"regional-list", "upstream", `{"endpoint": "https://us-docker.pkg.dev", "regional": []}`},
		{"urls-text", "mirrorURLs", `"https://localhost/mirror"`},
		{"fill-number", "fill", `1`},
		{"fill-other-key", "fill", `{"schedules": "rate(1 hour)"}`},
		{"level-bool", "logLevel", `true`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(stages(t, `{"`+tt.key+`": `+tt.value+`}`))
			refused(t, err, tt.key+" takes ", "; it is ")
		})
	}
}

func TestLoadReportsTogether(t *testing.T) {
	_, err := Load([]byte(`{
		"one": {"account": "1", "mirrors": ["nowhere"], "redirectors": [], "memory": 1, "surprise": true},
		"right": ` + minimal + `,
		"two": {"account": "123456789012", "mirrors": ["eu-central-1"], "redirectors": ["eu-central-1"], "domain": "registry.example.com",
			"primary": "us-east-1", "upstream": {}}
	}`))
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	want := []string{
		`stage "one": there is no key "surprise"`,
		`stage "one": account takes`,
		`stage "one": memory takes`,
		`stage "one": mirrors takes`,
		`stage "one": redirectors takes`,
		`stage "two": primary takes`,
		`stage "two": hostedZone takes`,
		`stage "two": upstream.endpoint takes`,
	}
	if len(lines) != len(want) {
		t.Fatalf("%d errors, want %d:\n%s", len(lines), len(want), err)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("error %d: %q, want %q", i, line, want[i])
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"test": ` + minimal + `}`))
	f.Add([]byte(`{"test": {"fill": {"schedule": "rate(2 days)", "rate": 0.1, "workers": 1000}, ` + minimal[1:] + `}`))
	f.Add([]byte(`{"test": {"mirrorFor": {"a": [null]}, "upstreamClouds": [], "networks": {"": {}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := Load(text)
		if err != nil {
			return
		}
		for _, s := range all {
			for _, region := range s.Redirectors {
				if _, err := s.Config(region); err != nil {
					t.Errorf("stage %q loads, but the environment in %s does not: %v", s.Name, region, err)
				}
			}
			if s.Filler == nil {
				continue
			}
			if c, err := s.Fill(); err != nil || c.Rate <= 0 {
				t.Errorf("stage %q loads, but the environment that fills the mirrors does not, or knows no limit: %+v, %v", s.Name, c, err)
			}
		}
	})
}
