package explain

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/ranges"
	"archeio/ranges/compile"
	"archeio/scripts/archeio/cli"
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
	var out, errs bytes.Buffer
	if code := cli.Run(t.Context(), command(getenv), args, strings.NewReader(stdin), &out, &errs); code != cli.ExitDone {
		t.Fatalf("exit code %d: %s", code, errs.String())
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
			for _, added := range []string{"location", "range", "distance_km"} {
				if _, ok := got[added]; !ok {
					t.Errorf("the key %q is missing", added)
				}
				delete(got, added)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestKeysInOrder(t *testing.T) {
	text := explainLines(t, "", "-json", "-ip", "192.0.2.1", "/v2/")
	want := []string{"ip", "path", "method", "status", "kind", "name", "reference", "cloud", "region", "candidates", "reason", "location", "range", "distance_km"}
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

func TestLinesInOrder(t *testing.T) {
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

// Both upstreams have the same name in the JSON, which lists it once.
func TestSignatureUpstream(t *testing.T) {
	env := func(name string) string {
		if name == "SIGNATURE_UPSTREAM_ENDPOINT" {
			return "https://signatures.example"
		}
		return getenv(name)
	}
	for _, tt := range []struct{ name, path, json, text string }{
		{"blob", "/v2/pause/blobs/" + digest, `"candidates":["eu-central-1","default","upstream"]`, "eu-central-1 (478 km), default mirror, upstream, signature upstream"},
		{"referrers", "/v2/pause/referrers/" + digest, `"candidates":["upstream"]`, "candidates  signature upstream"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for want, args := range map[string][]string{tt.json: {"-json"}, tt.text: nil} {
				var out bytes.Buffer
				if code := cli.Run(t.Context(), command(env), append(args, "-ip", "35.180.1.1", tt.path), nil, &out, io.Discard); code != cli.ExitDone {
					t.Fatalf("exit code %d", code)
				}
				if !strings.Contains(out.String(), want) {
					t.Errorf("%s is missing in\n%s", want, out.String())
				}
			}
		})
	}
}

// Odd lines get an answer like any other.
func TestOddLines(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"tab", "35.180.1.1\t/v2/", `"kind":"ping"`},
		{"no-path", "35.180.1.1\n", `"status":404`},
		{"no-image", "35.180.1.1 :3.9\n", `"status":404`},
		{"bad-address", "nonsense pause:3.9\n", `"path":"/v2/pause/manifests/3.9"`},
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
		t.Errorf("no answer for an empty address: %s", out)
	}
}

// A caller may wait for an answer before it writes the next line.
func TestAnswerBeforeNextLine(t *testing.T) {
	lines, in := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- cli.Run(t.Context(), command(getenv), []string{"-json", "-stdin"}, lines, out, io.Discard)
	}()
	reader := bufio.NewReader(answers)
	for range 3 {
		io.WriteString(in, "35.180.1.1 /v2/\n")
		if _, err := reader.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	in.Close()
	if code := <-done; code != cli.ExitDone {
		t.Errorf("exit code %d", code)
	}
}

func TestText(t *testing.T) {
	out := explainLines(t, "", "-ip", "15.193.0.7", "/v2/pause/blobs/"+digest)
	for _, want := range []string{"ap-south-1", "15.193.0.0 - 15.193.0.255", "default mirror, upstream", "nearest-region", digest, "307 to https://mirror-eu-central-1."} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "missing -ip ADDR"},
		{"no-path", []string{"-ip", "1.1.1.1"}, "missing WHAT"},
		{"two-paths", []string{"-ip", "1.1.1.1", "/v2/", "/v3/"}, `unexpected argument "/v3/"`},
		{"bad-address", []string{"-ip", "nonsense", "/v2/"}, `-ip "nonsense": invalid IP address`},
		{"bad-image", []string{"-ip", "1.1.1.1", ":3.9"}, `":3.9": want a path`},
		{"stdin-and-address", []string{"-stdin", "-ip", "1.1.1.1"}, "-ip has no effect with -stdin"},
		{"stdin-and-path", []string{"-stdin", "/v2/"}, `unexpected argument "/v2/"`},
		{"bad-front", []string{"-front", "cdn", "-ip", "1.1.1.1", "/v2/"}, `-front "cdn": want "alb" or "cloudfront"`},
		{"bad-position", []string{"-position", "91,0", "-ip", "1.1.1.1", "/v2/"}, `-position "91,0": want latitude`},
		{"unknown-flag", []string{"-ipp", "1.1.1.1"}, "unknown flag -ipp (did you mean -ip?)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var errs bytes.Buffer
			code := cli.Run(t.Context(), command(getenv), tt.args, strings.NewReader(""), io.Discard, &errs)
			if code != cli.ExitUsage || !strings.Contains(errs.String(), tt.want) || strings.Count(errs.String(), "\n") != 1 {
				t.Errorf("exit code %d, %q; want one line with %q", code, errs.String(), tt.want)
			}
		})
	}
	var errs bytes.Buffer
	code := cli.Run(t.Context(), command(func(string) string { return "" }), []string{"-ip", "1.1.1.1", "/"}, nil, io.Discard, &errs)
	if code != cli.ExitUsage || !strings.Contains(errs.String(), "missing -stage NAME, and the environment has no UPSTREAM_REGISTRY_ENDPOINT;") {
		t.Errorf("exit code %d, %q; want the missing flag and variable", code, errs.String())
	}
}

// Text of standard input does not reach a terminal as it is.
func TestControlBytes(t *testing.T) {
	t.Parallel()
	out := explainLines(t, "35.180.1.1 pause:\x1b[31m\xff\n\x1b]0;x\x07 /v2/\xff?\x1b\n", "-stdin")
	for _, r := range out {
		if r < ' ' && r != '\n' || r == 0xfffd {
			t.Fatalf("%q has the raw byte or character %q", out, r)
		}
	}
	for _, want := range []string{`GET /v2/pause/manifests/\x1b[31m\xff`, `\x1b]0;x\a  (invalid address)`, `GET /v2/\xff?\x1b`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing in\n%s", want, out)
		}
	}
}

func TestLineWithoutWhat(t *testing.T) {
	t.Parallel()
	const want = "client  35.180.1.1\nerror   missing WHAT: a path or an image reference\n"
	if out := explainLines(t, "35.180.1.1\n", "-stdin"); out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestBlankLinesAndComments(t *testing.T) {
	t.Parallel()
	out := explainLines(t, "# clients\n\n35.180.1.1 pause:3.9\n   \n#\n34.1.208.1 /v2/\n", "-json", "-stdin")
	if n := strings.Count(out, "\n"); n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, out)
	}
}

func TestPathOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, what, path, host string }{
		{"path", "/v2/pause/tags/list?n=5", "/v2/pause/tags/list?n=5", ""},
		{"tag", "pause:3.9", "/v2/pause/manifests/3.9", ""},
		{"latest", "team/app", "/v2/team/app/manifests/latest", ""},
		{"digest", "pause@" + digest, "/v2/pause/manifests/" + digest, ""},
		{"tag-and-digest", "pause:3.9@" + digest, "/v2/pause/manifests/" + digest, ""},
		{"host", "registry.example.com/a/b:v1", "/v2/a/b/manifests/v1", "registry.example.com"},
		{"host-and-port", "localhost:5000/a", "/v2/a/manifests/latest", "localhost:5000"},
		{"localhost", "localhost/a:v1", "/v2/a/manifests/v1", "localhost"},
		{"url", "https://registry.example.com/v2/a/b/blobs/" + digest, "/v2/a/b/blobs/" + digest, "registry.example.com"},
		{"url-with-port-and-query", "HTTP://localhost:8080/v2/a/tags/list?n=5", "/v2/a/tags/list?n=5", "localhost:8080"},
		{"url-with-fragment", "https://registry.example.com/v2/#top", "/v2/", "registry.example.com"},
		{"url-without-path", "https://registry.example.com", "/", "registry.example.com"},
		{"docker-scheme", "docker://registry.example.com/a:v1", "/v2/a/manifests/v1", "registry.example.com"},
		{"oci-scheme", "oci://registry.example.com/charts/a", "/v2/charts/a/manifests/latest", "registry.example.com"},
		{"path-without-slash", "v2/pause/blobs/" + digest, "/v2/pause/blobs/" + digest, ""},
		{"repository-below-v2", "v20/pause:3.9", "/v2/v20/pause/manifests/3.9", ""},
		{"host-and-digest", "registry.example.com/a/b@" + digest, "/v2/a/b/manifests/" + digest, "registry.example.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if path, host, err := pathOf(tt.what); path != tt.path || host != tt.host || err != nil {
				t.Errorf("got %q, %q, %v; want %q, %q", path, host, err, tt.path, tt.host)
			}
		})
	}
	for _, bad := range []string{"", ":3.9", "@" + digest, "pause:", "registry.example.com/", "s3://bucket/key", "https:///v2/", "docker://", "://x", "ftp://host/v2/"} {
		if path, _, err := pathOf(bad); err == nil {
			t.Errorf("%q: got %q, want an error", bad, path)
		}
	}
}

// The second step depends on what the mirrors answer; text says what it can be.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	budget := func(name string) string {
		if name == "FAILOVER_BUDGET" {
			return "5"
		}
		return getenv(name)
	}
	blob := "/v2/pause/blobs/" + digest
	for _, tt := range []struct {
		name   string
		getenv func(string) string
		args   []string
		want   []string
	}{
		{"regional", getenv, []string{"-ip", "35.180.1.1", blob}, []string{
			"candidates  eu-central-1 (478 km), default mirror, upstream",
			"if that mirror does not have the blob: default-mirror\n  to https://d111111abcdef8.cloudfront.net/containers/images/sha256:",
			"if no mirror has the blob: mirror-absent\n  to https://us-docker.pkg.dev/v2/example-project/images/pause/blobs/sha256:",
			"if no mirror has the blob and one cannot be checked: mirror-unavailable\n  to https://us-docker.pkg.dev/",
		}},
		{"failover", budget, []string{"-ip", "35.180.1.1", blob}, []string{
			"if that mirror is unavailable: failover-region\n  to https://mirror-us-east-1.",
		}},
		{"authorized", getenv, []string{"-ip", "35.180.1.1", "-authorized", blob}, []string{"reason      authorization"}},
		{"manifest", getenv, []string{"-ip", "35.180.1.1", "pause:3.9"}, []string{"answer      307 to https://us-docker.pkg.dev/v2/example-project/images/pause/manifests/3.9"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if code := cli.Run(t.Context(), command(tt.getenv), tt.args, nil, &out, io.Discard); code != cli.ExitDone {
				t.Fatalf("exit code %d", code)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is missing in\n%s", want, out.String())
				}
			}
		})
	}
}

// TestRanges explains with another table than the embedded one.
func TestRanges(t *testing.T) {
	t.Parallel()
	table, err := ranges.Compile(
		[]ranges.Prefix{{Prefix: netip.MustParsePrefix("192.0.2.0/25"), Place: ranges.Place{Cloud: ranges.AWS, Region: "us-east-1"}}},
		[]ranges.Source{{Cloud: ranges.AWS, Version: "1", Date: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Prefixes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ranges.v1")
	if err := compile.WriteFile(file, table); err != nil {
		t.Fatal(err)
	}
	blob := "/v2/pause/blobs/" + digest
	out := explainLines(t, "", "-ranges", file, "-ip", "192.0.2.7", blob)
	for _, want := range []string{
		"cloud       AWS\nregion      us-east-1\nrange       192.0.2.0 - 192.0.2.127\nrange data  2026-01-02, ",
		"reason      aws-region\nanswer      307 to https://mirror-us-east-1.",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	// An address of the embedded table is unknown in this one.
	if out := explainLines(t, "", "-ranges", file, "-ip", "35.180.1.1", blob); !strings.Contains(out, "cloud       unknown\n") {
		t.Errorf("the embedded table is used:\n%s", out)
	}
	if out := explainLines(t, "35.180.1.1 "+blob+"\n192.0.2.7 "+blob+"\n", "-ranges", file, "-json", "-stdin"); strings.Count(out, `"reason":"aws-region"`) != 1 || strings.Count(out, `"reason":"default-mirror"`) != 1 {
		t.Errorf("standard input: got %s", out)
	}
	if out := explainLines(t, "", "-file", "../../../cdk.json", "-stage", "sandbox", "-ranges", file, "-ip", "192.0.2.7", blob); !strings.Contains(out, "function    us-east-1\n") || !strings.Contains(out, "reason      aws-region\n") {
		t.Errorf("in a stage: got\n%s", out)
	}
	for _, tt := range []struct {
		table string
		code  int
		want  string
	}{
		{file + ".missing", cli.ExitUsage, "no such file or directory"},
		{filepath.Dir(file), cli.ExitUsage, "is a directory"},
		{"explain.go", cli.ExitProblem, "damaged range table: "},
		{"http://example.com/ranges.v1", cli.ExitProblem, "want a file or an https URL"},
	} {
		var errs bytes.Buffer
		code := cli.Run(t.Context(), command(getenv), []string{"-ranges", tt.table, "-ip", "192.0.2.7", blob}, nil, io.Discard, &errs)
		if code != tt.code || !strings.Contains(errs.String(), `reading the table "`+tt.table+`": `) || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%s: exit code %d, %q; want %q", tt.table, code, errs.String(), tt.want)
		}
	}
}

// TestUpstreamCloud: a client in Oracle's cloud goes upstream if the configuration
// says so.
func TestUpstreamCloud(t *testing.T) {
	t.Parallel()
	for clouds, want := range map[string]string{"OCI": "upstream-cloud", "GCP": "default-mirror"} {
		lookup := func(name string) string {
			if name == "UPSTREAM_CLOUDS" {
				return clouds
			}
			return getenv(name)
		}
		var out bytes.Buffer
		code := cli.Run(t.Context(), command(lookup), []string{"-ip", "129.146.1.1", "/v2/pause/blobs/" + digest}, nil, &out, io.Discard)
		if code != cli.ExitDone || !strings.Contains(out.String(), "cloud       OCI\nregion      us-phoenix-1\n") || !strings.Contains(out.String(), "reason      "+want+"\n") {
			t.Errorf("UPSTREAM_CLOUDS=%s: exit code %d, want reason %s:\n%s", clouds, code, want, out.String())
		}
	}
}

func TestStage(t *testing.T) {
	t.Parallel()
	blob := "/v2/pause/blobs/" + digest
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"nearest-function", []string{"-stage", "sandbox", "-ip", "35.180.1.1", blob}, []string{"function    eu-central-1", "europe-docker.pkg.dev"}},
		{"load-balancer", []string{"-stage", "smallest", "-ip", "192.0.2.1", blob}, []string{"reason      default-mirror"}},
		{"distribution-without-domain", []string{"-stage", "smallest", "-ip", "192.0.2.1", blob}, []string{
			"307 to https://d111111abcdef8.cloudfront.net/containers/images/" + digest + " (the name that CloudFront assigns)\n"}},
		{"position", []string{"-stage", "sandbox", "-position", "40,-75", "-ip", "192.0.2.1", blob}, []string{"function    us-east-1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := explainLines(t, "", append(tt.args, "-file", "../../../cdk.json")...)
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is missing in\n%s", want, out)
				}
			}
		})
	}
	var errs bytes.Buffer
	code := cli.Run(t.Context(), command(getenv), []string{"-file", "../../../cdk.json", "-stage", "smallest", "-front", "alb", "-ip", "192.0.2.1", blob}, nil, io.Discard, &errs)
	if want := `-front alb: the front of stage "smallest" is "cloudfront"`; code != cli.ExitUsage || !strings.Contains(errs.String(), want) {
		t.Errorf("exit code %d, %q; want %q", code, errs.String(), want)
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
				if code := cli.Run(b.Context(), command(getenv), args, strings.NewReader(in.String()), io.Discard, io.Discard); code != cli.ExitDone {
					b.Fatalf("exit code %d", code)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "µs/line")
		})
	}
}

// TestViewerHost checks that the default mirror "/" has the name of the distribution,
// that of an example if there is none in VIEWER_HOSTS, but not through a load balancer.
func TestViewerHost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, hosts string
		args        []string
		want        string
	}{
		{"configured", "registry.example.com,other.example.com", nil, `"location":"https://registry.example.com/containers/images/` + digest},
		{"none", "", nil, `"location":"https://d111111abcdef8.cloudfront.net/containers/images/` + digest},
		{"load-balancer", "registry.example.com", []string{"-front", "alb"}, `"location":"https://us-docker.pkg.dev/`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{"DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "https://bucket.example", "VIEWER_HOSTS": tt.hosts, "MIRROR_REGIONS": ""}
			lookup := func(name string) string {
				if value, ok := env[name]; ok {
					return value
				}
				return getenv(name)
			}
			var out, errs bytes.Buffer
			args := append([]string{"-json", "-ip", "192.0.2.1"}, append(tt.args, "/v2/pause/blobs/"+digest)...)
			if code := cli.Run(t.Context(), command(lookup), args, strings.NewReader(""), &out, &errs); code != cli.ExitDone {
				t.Fatalf("exit code %d: %s", code, errs.String())
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("got %s, want %s in it", out.String(), tt.want)
			}
		})
	}
}
