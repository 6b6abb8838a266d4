package pull

import (
	"errors"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

var (
	held    = v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}
	missing = v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("b", 64)}
	image   = &Image{Blobs: []v1.Hash{held, missing}, Missing: missing}
	want    = Want{Present: "mirror", PresentReason: "aws-region", Missing: "upstream", MissingReason: "mirror-absent"}
)

func who(url string) string { host, _, _ := strings.Cut(url, "/"); return host }

func taken(from, why, missingFrom, missingWhy string) *Pull {
	return &Pull{
		Sources: map[string]string{held.String(): from, missing.String(): missingFrom},
		Reasons: map[string]string{held.String(): why, missing.String(): missingWhy},
	}
}

// A pull that went another way than it must is never ok.
func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		name string
		pull *Pull
		err  error
		want string
	}{
		{"right", taken("mirror/x", "aws-region", "upstream/x", "mirror-absent"), nil, "ok"},
		{"other-server", taken("upstream/x", "aws-region", "upstream/x", "mirror-absent"), nil, "WRONG: blob aaaaaaaaaaaa came from upstream (aws-region)"},
		{"other-reason", taken("mirror/x", "default-mirror", "upstream/x", "mirror-absent"), nil, "WRONG: blob aaaaaaaaaaaa came from mirror (default-mirror)"},
		{"missing-from-mirror", taken("mirror/x", "aws-region", "mirror/x", "mirror-absent"), nil, "WRONG: blob bbbbbbbbbbbb came from mirror"},
		{"missing-other-reason", taken("mirror/x", "aws-region", "upstream/x", "mirror-unavailable"), nil, "WRONG: blob bbbbbbbbbbbb came from upstream (mirror-unavailable)"},
		{"not-pulled", taken("", "", "upstream/x", "mirror-absent"), nil, "WRONG: blob aaaaaaaaaaaa came from  ()"},
		{"failed", taken("mirror/x", "aws-region", "upstream/x", "mirror-absent"), errors.New("no\nmore"), "FAILED: no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Verdict(tt.pull, tt.err, want, image, who)
			if !strings.HasPrefix(got, tt.want) || (got == "ok") != (tt.want == "ok") || strings.Contains(got, "\n") {
				t.Errorf("verdict %q, want %q", got, tt.want)
			}
			report := Report{Rows: []Row{{Verdict: "ok"}, {Verdict: got}}}
			if bad := report.Bad(); (bad == 0) != (tt.want == "ok") {
				t.Errorf("%d bad pulls with the verdict %q", bad, got)
			}
		})
	}
}

func TestReport(t *testing.T) {
	var out strings.Builder
	p := taken("mirror/x", "aws-region", "upstream/x", "mirror-absent")
	p.Output = Hello
	p.Hops = []Hop{{URL: "https://front/v2/hello/blobs/" + held.String(), To: "mirror/x", Status: 307, Reason: "aws-region"}}
	r := Report{Out: &out, ServerName: who, Rows: []Row{{EntryPoint: "alb", Client: "somebody", Pull: p, Verdict: "ok"}}}
	r.Hops("alb")
	r.Blobs(image)
	for _, want := range []string{"somebody through the alb", "/v2/hello/blobs/sha256:aaaaaaaaaaaa ", "307", "aws-region", "bbbbbbbbbbbb (in no mirror)", "1 pulls; the pulled image ran 1 times"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}
