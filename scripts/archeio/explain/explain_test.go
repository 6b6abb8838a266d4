package explain

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

var environment = map[string]string{
	"UPSTREAM_REGISTRY_ENDPOINT": "https://us-docker.pkg.dev",
	"UPSTREAM_REGISTRY_PATH":     "example-project/images",
	"DEFAULT_AWS_BASE_URL":       "https://d111111abcdef8.cloudfront.net",
	"MIRROR_REGIONS":             "us-east-1,eu-central-1",
	"MIRROR_URL_TEMPLATE":        "https://mirror-{region}.s3.dualstack.{region}.amazonaws.com",
}

func getenv(name string) string { return environment[name] }

func explainLines(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), args, getenv, strings.NewReader(stdin), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestJSON(t *testing.T) {
	for _, tt := range []struct{ name, ip, path, want string }{
		{"blob-nearest", "35.180.1.1", "/v2/pause/blobs/" + digest,
			`{"status":307,"kind":"blob","name":"pause","reference":"` + digest + `","cloud":"AWS","region":"eu-west-3","candidates":["eu-central-1","default","upstream"],"reason":"nearest-region"}`},
		{"encoded-digest", "34.1.208.1", "/v2/pause/blobs/" + strings.Replace(digest, ":", "%3A", 1),
			`{"status":307,"kind":"blob","name":"pause","reference":"` + digest + `","cloud":"GCP","region":"africa-south1","candidates":["upstream"],"reason":"upstream-cloud"}`},
		{"mapped", "::ffff:4.199.128.1", "/v2/a/b/manifests/v1",
			`{"status":307,"kind":"manifest","name":"a/b","reference":"v1","cloud":"Azure","region":"australiacentral","candidates":["upstream"],"reason":"manifest"}`},
		{"tags-with-query", "192.0.2.1", "/v2/pause/tags/list?n=5",
			`{"status":307,"kind":"tags","name":"pause","reference":"","cloud":"","region":"","candidates":["upstream"],"reason":"tags"}`},
		{"ping", "192.0.2.1", "/v2/",
			`{"status":200,"kind":"ping","name":"","reference":"","cloud":"","region":"","candidates":[],"reason":"ping"}`},
		{"bad-address", "nonsense", "/v2/pause/blobs/" + digest,
			`{"status":307,"kind":"blob","name":"pause","reference":"` + digest + `","cloud":"","region":"","candidates":["default","upstream"],"reason":"default-mirror"}`},
		{"bad-name", "192.0.2.1", "/v2/PAUSE/blobs/" + digest,
			`{"status":400,"kind":"blob","name":"","reference":"","cloud":"","region":"","candidates":[],"reason":"refused"}`},
		{"bad-escape", "192.0.2.1", "/v2/%zz", `{"status":400,"kind":"","name":"","reference":"","cloud":"","region":"","candidates":[],"reason":"refused"}`},
		{"no-path", "192.0.2.1", "", `{"status":404,"kind":"","name":"","reference":"","cloud":"","region":"","candidates":[],"reason":"refused"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// One line on standard input and the same as arguments agree.
			text := explainLines(t, tt.ip+" "+tt.path+"\n", "-json", "-stdin")
			if tt.path != "" {
				if same := explainLines(t, "", "-json", "-ip", tt.ip, tt.path); same != text {
					t.Errorf("as arguments %s, as a line %s", same, text)
				}
			}
			var got, want map[string]any
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			want["ip"], want["path"], want["method"] = tt.ip, tt.path, "GET"
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestKeysInOrder(t *testing.T) {
	text := explainLines(t, "", "-json", "-ip", "192.0.2.1", "/v2/")
	want := []string{"ip", "path", "method", "status", "kind", "name", "reference", "cloud", "region", "candidates", "reason"}
	var got []string
	d := json.NewDecoder(strings.NewReader(text))
	for depth := 0; ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if s, ok := token.(string); ok && depth == 1 && slices.Contains(want, s) && !slices.Contains(got, s) {
			got = append(got, s)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
}

func TestLinesAreAnsweredInOrder(t *testing.T) {
	var in strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&in, "10.0.%d.%d /v2/n%d/tags/list\n", i/256, i%256, i)
	}
	out := strings.Split(strings.TrimSpace(explainLines(t, in.String(), "-json", "-stdin")), "\n")
	if len(out) != 1000 {
		t.Fatalf("%d answers to 1000 lines", len(out))
	}
	for i, line := range out {
		if !strings.Contains(line, fmt.Sprintf(`"name":"n%d"`, i)) {
			t.Fatalf("answer %d is %s", i, line)
		}
	}
}

// Both upstreams have the same name in the JSON, and it stands there once.
func TestSignatureUpstream(t *testing.T) {
	env := func(name string) string {
		if name == "SIGNATURE_UPSTREAM_ENDPOINT" {
			return "https://signatures.example"
		}
		return getenv(name)
	}
	for _, tt := range []struct{ name, path, json, text string }{
		{"blob", "/v2/pause/blobs/" + digest, `"candidates":["eu-central-1","default","upstream"]`, "eu-central-1, default, upstream, signature upstream"},
		{"referrers", "/v2/pause/referrers/" + digest, `"candidates":["upstream"]`, "candidates  signature upstream"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for want, args := range map[string][]string{tt.json: {"-json"}, tt.text: nil} {
				var out bytes.Buffer
				if err := run(t.Context(), append(args, "-ip", "35.180.1.1", tt.path), env, nil, &out, io.Discard); err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(out.String(), want) {
					t.Errorf("%s is missing in\n%s", want, out.String())
				}
			}
		})
	}
}

// Odd lines are answered like any other.
func TestOddLines(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"tab", "35.180.1.1\t/v2/", `"kind":"ping"`},
		{"empty", "\n", `"status":404`},
		{"no-newline", "35.180.1.1 /v2/", `"kind":"ping"`},
		{"very-long", "35.180.1.1 /v2/" + strings.Repeat("a", 5<<20), `"status":404`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if out := explainLines(t, tt.line, "-json", "-stdin"); !strings.Contains(out, tt.want) || strings.Count(out, "\n") != 1 {
				t.Errorf("%d bytes without %s", len(out), tt.want)
			}
		})
	}
	if out := explainLines(t, "", "-json", "-ip", "", "/v2/"); !strings.Contains(out, `"kind":"ping"`) {
		t.Errorf("an empty address is no answer: %s", out)
	}
}

// Who waits for an answer before the next line gets it.
func TestAnswersAtOnce(t *testing.T) {
	lines, in := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(t.Context(), []string{"-json", "-stdin"}, getenv, lines, out, io.Discard) }()
	reader := bufio.NewReader(answers)
	for range 3 {
		io.WriteString(in, "35.180.1.1 /v2/\n")
		if _, err := reader.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	in.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestText(t *testing.T) {
	out := explainLines(t, "", "-ip", "15.193.0.7", "/v2/pause/blobs/"+digest)
	for _, want := range []string{"ap-south-1", "15.193.0.0 - 15.193.0.255", "eu-central-1, default, upstream", "nearest-region", digest, "307 to https://mirror-eu-central-1."} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestWrongUse(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "name an address and a path"},
		{"no-path", []string{"-ip", "1.1.1.1"}, "name an address and a path"},
		{"both", []string{"-stdin", "-ip", "1.1.1.1"}, "leave out -ip"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), tt.args, getenv, strings.NewReader(""), io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	err := run(t.Context(), []string{"-ip", "1.1.1.1", "/"}, func(string) string { return "" }, nil, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "UPSTREAM_REGISTRY_ENDPOINT") {
		t.Errorf("error %v does not name the variable that is missing", err)
	}
}

func BenchmarkLines(b *testing.B) {
	var in strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&in, "35.180.%d.%d /v2/pause/blobs/%s\n", i/256, i%256, digest)
	}
	for name, args := range map[string][]string{"json": {"-json", "-stdin"}, "text": {"-stdin"}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := run(b.Context(), args, getenv, strings.NewReader(in.String()), io.Discard, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "µs/line")
		})
	}
}
