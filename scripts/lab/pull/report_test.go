package pull

import (
	"errors"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

var (
	present = v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}
	missing = v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("b", 64)}
	image   = &Image{Blobs: []v1.Hash{present, missing}, Missing: missing}
	want    = Want{Present: "mirror", PresentReason: "aws-region", Missing: "upstream", MissingReason: "mirror-absent"}
)

func serverName(url string) string { host, _, _ := strings.Cut(url, "/"); return host }

func pulled(source, reason, missingSource, missingReason string) *Pull {
	return &Pull{
		Sources: map[string]string{present.String(): source, missing.String(): missingSource},
		Reasons: map[string]string{present.String(): reason, missing.String(): missingReason},
	}
}

// A pull is ok only if every blob came from the wanted server for the wanted reason.
func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		pull *Pull
		err  error
		want string
	}{
		{"ok", pulled("mirror/x", "aws-region", "upstream/x", "mirror-absent"), nil, "ok"},
		{"other-server", pulled("upstream/x", "aws-region", "upstream/x", "mirror-absent"), nil, "WRONG: blob aaaaaaaaaaaa came from upstream (aws-region)"},
		{"other-reason", pulled("mirror/x", "default-mirror", "upstream/x", "mirror-absent"), nil, "WRONG: blob aaaaaaaaaaaa came from mirror (default-mirror)"},
		{"missing-from-mirror", pulled("mirror/x", "aws-region", "mirror/x", "mirror-absent"), nil, "WRONG: blob bbbbbbbbbbbb came from mirror"},
		{"missing-other-reason", pulled("mirror/x", "aws-region", "upstream/x", "mirror-unavailable"), nil, "WRONG: blob bbbbbbbbbbbb came from upstream (mirror-unavailable)"},
		{"not-pulled", pulled("", "", "upstream/x", "mirror-absent"), nil, "WRONG: blob aaaaaaaaaaaa came from nowhere (no reason)"},
		{"failed", pulled("mirror/x", "aws-region", "upstream/x", "mirror-absent"), errors.New("no\nmore"), "FAILED: no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Verdict(tt.pull, tt.err, want, image, serverName)
			if !strings.HasPrefix(got, tt.want) || (got == ok) != (tt.want == ok) || strings.Contains(got, "\n") {
				t.Errorf("verdict %q, want %q", got, tt.want)
			}
			report := Report{Rows: []Row{{Verdict: ok}, {Verdict: got}}}
			if failed := report.Failed(); (failed == 0) != (tt.want == ok) {
				t.Errorf("%d failed pulls with the verdict %q", failed, got)
			}
		})
	}
}

// rows are a pull that is ok, one through another entry point, and one that failed
// before its manifest came.
func rows() []Row {
	first := pulled("mirror/x", "aws-region", "upstream/x", "mirror-absent")
	first.Manifest, first.Output, first.Duration = "upstream/x", Hello, 12345*time.Microsecond
	first.Hops = []Hop{{URL: "https://entrypoint/v2/hello/blobs/" + present.String(), Location: "mirror/x", Status: 307, Reason: "aws-region"}}
	second := pulled("upstream/x", "upstream-cloud", "upstream/y", "upstream-cloud")
	second.Manifest, second.Output = "upstream/x", Hello
	return []Row{
		{EntryPoint: "distribution", Client: "home", Pull: first, Verdict: ok},
		{EntryPoint: "load balancer", Client: "GCP", Pull: second, Verdict: ok},
		{EntryPoint: "load balancer", Client: "home", Pull: &Pull{}, Verdict: "FAILED: no route to host"},
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	const table = `CLIENT  ENTRY POINT    MANIFEST FROM  BLOBS FROM    REASON          TIME
home    distribution   upstream       mirror (1)    aws-region      12ms
                                      upstream (1)  mirror-absent
GCP     load balancer  upstream       upstream (2)  upstream-cloud  0s
home    load balancer  -              -             -               0s

`
	for _, tt := range []struct {
		name  string
		color bool
		want  string
	}{
		{"plain", false, table + "home through the load balancer: FAILED: no route to host\n3 pulls, 1 failed; the pulled image ran 2 times\n"},
		{"color", true, table + "\x1b[31mhome through the load balancer: FAILED: no route to host\x1b[0m\n3 pulls, 1 failed; the pulled image ran 2 times\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			r := Report{Out: &out, ServerName: serverName, Color: tt.color, Rows: rows()}
			r.Summary(image)
			if out.String() != tt.want {
				t.Errorf("printed\n%s\nwant\n%s", out.String(), tt.want)
			}
		})
	}
}

func TestHops(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		entryPoints []string
		want        []string
	}{
		{"one", []string{"distribution"}, []string{"home through the distribution", "home through the load balancer"}},
		{"both", []string{"distribution", "load balancer"}, []string{"home through the distribution", "GCP through the load balancer", "home through the load balancer"}},
		{"none", nil, []string{"home through the load balancer"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			r := Report{Out: &out, ServerName: serverName, Rows: rows()}
			r.Hops(tt.entryPoints...)
			var got []string
			for line := range strings.Lines(out.String()) {
				if strings.Contains(line, " through the ") {
					got = append(got, strings.TrimSpace(line))
				}
			}
			if strings.Join(got, ", ") != strings.Join(tt.want, ", ") {
				t.Errorf("hops of %q, want %q", got, tt.want)
			}
			const hop = "  https:  /v2/hello/blobs/sha256:aaaaaaaaaaaa  307     mirror         aws-region\n"
			if len(tt.entryPoints) > 0 && !strings.Contains(out.String(), hop) {
				t.Errorf("%q is missing in\n%s", hop, out.String())
			}
		})
	}
}

// TestFunctionHops tests that the requests of the function stand before the response that
// they were sent for.
func TestFunctionHops(t *testing.T) {
	t.Parallel()
	at := func(seconds int64, url string, status int) Hop {
		return Hop{At: time.Unix(seconds, 0), URL: url, Status: status}
	}
	row := Row{EntryPoint: "distribution", Client: "home", Verdict: ok, Pull: &Pull{Hops: []Hop{
		at(1, "http://distribution/v2/", 200), at(4, "http://distribution/v2/hello/manifests/v2", 200),
	}}, Function: []Hop{at(2, "http://upstream/v2/images/hello/manifests/v2", 401), at(3, "http://tokens/token", 200)}}
	var out strings.Builder
	r := Report{Out: &out, ServerName: func(url string) string {
		host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
		return host
	}, Rows: []Row{row}}
	r.Hops("distribution")
	const want = `
home through the distribution
  FROM      HOST          PATH                           STATUS  REDIRECTED TO  REASON
  client    distribution  /v2/                           200     -              -
  function  upstream      /v2/images/hello/manifests/v2  401     -              -
  function  tokens        /token                         200     -              -
  client    distribution  /v2/hello/manifests/v2         200     -              -
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}
