package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// fillEnvironment is the smallest one that loads, with pairs of name and value
// on top.
func fillEnvironment(pairs ...string) map[string]string {
	env := map[string]string{
		"FILL_SOURCE":  "registry.example",
		"FILL_BUCKETS": "mirror@us-east-1",
		"FILL_STATE":   "state",
		"FILL_QUEUE":   "https://sqs.us-east-1.amazonaws.com/123456789012/fill",
	}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return env
}

// fullFill sets every variable to something else than its default.
var fullFill = fillEnvironment(
	"FILL_SOURCE", "us-docker.pkg.dev/project/images",
	"FILL_BUCKETS", "mirror-b@us-east-1, mirror-a@eu-central-1",
	"FILL_FILLING", "eu-central-1",
	"FILL_STATE", "mirror-state",
	"FILL_RATE", "2.50",
	"FILL_REFERRERS", "false",
	"FILL_SECRET", "arn:aws:secretsmanager:us-east-1:123456789012:secret:registry/upstream-AbCdEf",
)

func loadFill(t *testing.T, env map[string]string) *Fill {
	t.Helper()
	f, err := LoadFill(with(env))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLoadFill(t *testing.T) {
	const queue = "https://sqs.us-east-1.amazonaws.com/123456789012/fill"
	for _, tt := range []struct {
		name string
		env  map[string]string
		want Fill
	}{
		{"defaults", fillEnvironment(), Fill{
			Source: "registry.example", Buckets: []Bucket{{Name: "mirror", Region: "us-east-1"}}, State: "state", Queue: queue, Referrers: true,
		}},
		{"full", fullFill, Fill{
			Source: "us-docker.pkg.dev/project/images", Buckets: []Bucket{{Name: "mirror-b", Region: "us-east-1"}, {Name: "mirror-a", Region: "eu-central-1", Filling: true}},
			State: "mirror-state", Queue: queue, Rate: 2.5,
			Secret: "arn:aws:secretsmanager:us-east-1:123456789012:secret:registry/upstream-AbCdEf",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := loadFill(t, tt.env); !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", *got, tt.want)
			}
			fillRoundTrip(t, tt.env)
		})
	}
}

// fillRoundTrip loads what Env writes, as roundTrip does.
func fillRoundTrip(t *testing.T, env map[string]string) {
	t.Helper()
	f := loadFill(t, env)
	written := f.Env()
	back := loadFill(t, written)
	if !reflect.DeepEqual(f, back) {
		t.Errorf("of %v\ncame %+v\nthen %+v", env, f, back)
	}
	if rewritten := back.Env(); !maps.Equal(written, rewritten) {
		t.Errorf("first %v\nthen  %v", written, rewritten)
	}
}

// TestFillVariables: the list is what LoadFill reads and what Env writes, and
// no name means something to the redirector too.
func TestFillVariables(t *testing.T) {
	defaults := map[string]string{"FILL_RATE": "0", "FILL_REFERRERS": "true"}
	var listed []string
	for _, v := range FillVariables {
		listed = append(listed, v.Name)
		if v.Default != defaults[v.Name] {
			t.Errorf("%s is %q by default, want %q", v.Name, v.Default, defaults[v.Name])
		}
		if slices.ContainsFunc(Variables[:], func(other Variable) bool { return other.Name == v.Name }) {
			t.Errorf("%s is the redirector's", v.Name)
		}
	}
	slices.Sort(listed)
	if want := slices.Sorted(maps.Keys(fullFill)); !slices.Equal(listed, want) {
		t.Errorf("listed are %q, want %q", listed, want)
	}
	read := map[string]bool{}
	f, err := LoadFill(func(name string) string { read[name] = true; return fullFill[name] })
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(read)); !slices.Equal(got, listed) {
		t.Errorf("LoadFill reads %q, listed are %q", got, listed)
	}
	if got := slices.Sorted(maps.Keys(f.Env())); !slices.Equal(got, listed) {
		t.Errorf("Env writes %q, listed are %q", got, listed)
	}
}

// What variables take, as their errors say it.
const (
	takesSource = "takes REGISTRY or REGISTRY/PREFIX without a scheme, as us-docker.pkg.dev/project/images"
	takesBucket = "takes the name of a bucket"
	takesSecret = "takes the name or the ARN of a secret"
	takesBool   = "takes true or false"
	takesList   = "takes name@region, comma-separated, each name once and the primary first"
)

func takesItem(item string) string { return fmt.Sprintf("%s; %q is not", takesList, item) }

// fillTests set one variable; takes is what the error says, empty where the
// value is taken.
var fillTests = []struct{ name, variable, value, takes string }{
	{"filling-none", "FILL_FILLING", "", ""},
	{"filling-primary", "FILL_FILLING", "us-east-1", `takes regions of FILL_BUCKETS, comma-separated, and not the first; "us-east-1" is not`},
	{"filling-elsewhere", "FILL_FILLING", "eu-west-1", `takes regions of FILL_BUCKETS, comma-separated, and not the first; "eu-west-1" is not`},
	{"source-port", "FILL_SOURCE", "registry.example:8443", ""},
	{"source-loopback", "FILL_SOURCE", "127.0.0.1:5000/images", ""},
	{"source-missing", "FILL_SOURCE", "", takesSource},
	{"source-scheme", "FILL_SOURCE", "https://registry.example", takesSource},
	{"source-no-host", "FILL_SOURCE", "/images", takesSource},
	{"source-slash-last", "FILL_SOURCE", "registry.example/", takesSource},
	{"source-two-slashes", "FILL_SOURCE", "registry.example//images", takesSource},
	{"source-upper-case", "FILL_SOURCE", "registry.example/Images", takesSource},
	{"source-dots", "FILL_SOURCE", "registry.example/a/../b", takesSource},
	{"source-user", "FILL_SOURCE", "user@registry.example", takesSource},
	{"source-ipv6", "FILL_SOURCE", "[::1]:5000", takesSource},
	{"source-line", "FILL_SOURCE", "registry.example\nx", takesSource},
	{"source-not-ascii", "FILL_SOURCE", "exämple.example", takesSource},

	{"buckets-short", "FILL_BUCKETS", "mirror@us-east-1,mi@us-east-1", takesItem("mi@us-east-1")},
	{"buckets-one-region", "FILL_BUCKETS", "mirror-a@us-east-1,mirror-b@us-east-1", ""},
	{"buckets-dots", "FILL_BUCKETS", "mirror.example@ap-east-1", ""},
	{"buckets-longest", "FILL_BUCKETS", strings.Repeat("b", 63) + "@us-east-1", ""},
	{"buckets-too-long", "FILL_BUCKETS", strings.Repeat("b", 64) + "@us-east-1", takesItem(strings.Repeat("b", 64) + "@us-east-1")},
	{"buckets-missing", "FILL_BUCKETS", "", takesList},
	{"buckets-no-region", "FILL_BUCKETS", "mirror", takesItem("mirror")},
	{"buckets-empty-region", "FILL_BUCKETS", "mirror@", takesItem("mirror@")},
	{"buckets-unknown-region", "FILL_BUCKETS", "mirror@mars-north-1", takesItem("mirror@mars-north-1")},
	{"buckets-other-cloud", "FILL_BUCKETS", "mirror@westeurope", takesItem("mirror@westeurope")},
	{"buckets-upper-case", "FILL_BUCKETS", "Mirror@us-east-1", takesItem("Mirror@us-east-1")},
	{"buckets-slash", "FILL_BUCKETS", "mirror/a@us-east-1", takesItem("mirror/a@us-east-1")},
	{"buckets-twice", "FILL_BUCKETS", "mirror@us-east-1,mirror@eu-west-1", takesItem("mirror@eu-west-1")},
	{"buckets-empty-item", "FILL_BUCKETS", "mirror@us-east-1,", takesItem("")},

	{"state", "FILL_STATE", "mirror-state-123456789012-us-east-1-an", ""},
	{"state-missing", "FILL_STATE", "", takesBucket},
	{"state-short", "FILL_STATE", "st", takesBucket},
	{"state-region", "FILL_STATE", "state@us-east-1", takesBucket},
	{"state-upper-case", "FILL_STATE", "State", takesBucket},

	{"queue-slash", "FILL_QUEUE", "https://sqs.us-east-1.amazonaws.com/123456789012/fill/", ""},
	{"queue-loopback", "FILL_QUEUE", "http://localhost:4566/000000000000/fill", ""},
	{"queue-missing", "FILL_QUEUE", "", takesURL},
	{"queue-name", "FILL_QUEUE", "fill", takesURL},
	{"queue-arn", "FILL_QUEUE", "arn:aws:sqs:us-east-1:123456789012:fill", takesURL},
	{"queue-http", "FILL_QUEUE", "http://sqs.us-east-1.amazonaws.com/123456789012/fill", takesHTTPS},
	{"queue-query", "FILL_QUEUE", "https://sqs.us-east-1.amazonaws.com/?Action=SendMessage", takesBare},

	{"rate-part", "FILL_RATE", "0.1", ""},
	{"rate-third", "FILL_RATE", "3.3333333333333335", ""},
	{"rate-largest", "FILL_RATE", "1000000", ""},
	{"rate-too-large", "FILL_RATE", "1000001", takesRate},
	{"rate-negative", "FILL_RATE", "-1", takesRate},
	{"rate-nan", "FILL_RATE", "NaN", takesRate},
	{"rate-word", "FILL_RATE", "fast", takesRate},

	{"referrers-true", "FILL_REFERRERS", "true", ""},
	{"referrers-upper-case", "FILL_REFERRERS", "True", takesBool},
	{"referrers-number", "FILL_REFERRERS", "1", takesBool},
	{"referrers-word", "FILL_REFERRERS", "yes", takesBool},

	{"secret-name", "FILL_SECRET", "registry/upstream_1+=.@-", ""},
	{"secret-longest", "FILL_SECRET", strings.Repeat("s", 2048), ""},
	{"secret-too-long", "FILL_SECRET", strings.Repeat("s", 2049), takesSecret},
	{"secret-space", "FILL_SECRET", "my secret", takesSecret},
	{"secret-itself", "FILL_SECRET", `{"auths":{}}`, takesSecret},
}

func TestFillValues(t *testing.T) {
	tried := map[string]bool{}
	for _, tt := range fillTests {
		tried[tt.variable] = tried[tt.variable] || tt.takes != ""
		t.Run(tt.name, func(t *testing.T) {
			env := fillEnvironment(tt.variable, tt.value)
			if tt.takes == "" {
				fillRoundTrip(t, env)
				return
			}
			f, err := LoadFill(with(env))
			if f != nil || err == nil {
				t.Fatalf("%s=%q is taken", tt.variable, tt.value)
			}
			if want := fmt.Sprintf("configuration: %s=%q: %s", tt.variable, tt.value, tt.takes); err.Error() != want {
				t.Errorf("error %s\nwant  %s", err, want)
			}
		})
	}
	for _, v := range FillVariables {
		if !tried[v.Name] {
			t.Errorf("no bad value of %s is tested", v.Name)
		}
	}
}

func TestFillMistakesAreReportedTogether(t *testing.T) {
	_, err := LoadFill(with(map[string]string{"FILL_RATE": "fast", "FILL_REFERRERS": "yes"}))
	if err == nil {
		t.Fatal("no error")
	}
	text := err.Error()
	at := 0
	for _, name := range []string{"FILL_SOURCE", "FILL_BUCKETS", "FILL_STATE", "FILL_QUEUE", "FILL_RATE", "FILL_REFERRERS"} {
		i := strings.Index(text, name+`="`)
		if i < at {
			t.Errorf("%s is not named, or not in its place: %s", name, text)
		}
		at = max(at, i)
	}
	if strings.Contains(text, "\n") || strings.Contains(text, "FILL_SECRET") {
		t.Errorf("error %q", text)
	}
}
