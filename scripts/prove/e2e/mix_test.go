package main

import (
	"bufio"
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"archeio/scripts/lab/entrypoint"
)

var mixEnv = map[string]string{
	"AWS_REGION":                 "us-east-1",
	"UPSTREAM_REGISTRY_ENDPOINT": "https://upstream.example",
	"UPSTREAM_REGISTRY_PATH":     "project",
	"DEFAULT_AWS_BASE_URL":       "https://default.example",
	"MIRROR_REGIONS":             "us-east-1,eu-central-1",
	"MIRROR_URL_TEMPLATE":        "https://{region}.example",
}

// What the oracle says is what the README says, request by request.
func TestOracle(t *testing.T) {
	s := newShelves()
	whole, err := oracle(mixEnv, s, false)
	if err != nil {
		t.Fatal(err)
	}
	failing, err := oracle(mixEnv, s, true)
	if err != nil {
		t.Fatal(err)
	}
	mix := s.mix(t.Context(), whole, failing)
	const (
		blob     = "GET /v2/load/image/blobs/"
		east     = "AWS us-east-1"
		paris    = "AWS eu-west-3"
		upstream = "https://upstream.example/v2/project/load/image/blobs/"
	)
	at := func(host, digest string) string { return "https://" + host + ".example/containers/images/" + digest }
	for _, tt := range []struct {
		name, form, client string
		status             int
		location, reason   string
		broken             string // the reason while the mirror of us-east-1 fails, where it is another one
	}{
		{"ping", "GET /v2/", "home", 200, "", "ping", ""},
		{"manifest", "GET /v2/load/image/manifests/v1", east, 307, "https://upstream.example/v2/project/load/image/manifests/v1", "manifest", ""},
		{"own-region", blob + short(s.everywhere[3]), east, 307, at("us-east-1", s.everywhere[3]), "aws-region", "default-mirror"},
		{"nearest-region", blob + short(s.everywhere[3]), paris, 307, at("eu-central-1", s.everywhere[3]), "nearest-region", ""},
		{"by-IPv6", blob + short(s.everywhere[3]), paris + ", IPv6", 307, at("eu-central-1", s.everywhere[3]), "nearest-region", ""},
		{"in-the-index", blob + short(s.indexed[3]), "home", 307, at("default", s.indexed[3]), "default-mirror", ""},
		{"only-near", blob + short(s.near[3]), east, 307, at("us-east-1", s.near[3]), "aws-region", "mirror-unavailable"},
		{"only-near-asked-from-far", blob + short(s.near[3]), paris, 307, upstream + s.near[3], "mirror-absent", ""},
		{"only-by-default", blob + short(s.byDefault[3]), paris, 307, at("default", s.byDefault[3]), "default-mirror", ""},
		{"absent", blob + short(s.absent[3]), "home", 307, upstream + s.absent[3], "mirror-absent", ""},
		{"from-Google", blob + short(s.everywhere[3]), "Google europe-west9", 307, upstream + s.everywhere[3], "upstream-cloud", ""},
		{"400", "GET /v2/BAD/tags/list", east, 400, "", "refused", ""},
		{"404", "GET /v2/_catalog", east, 404, "", "refused", ""},
		{"405", "PUT /v2/load/image/manifests/v1", east, 405, "", "refused", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, shape := range []string{loadBalancer, distribution} {
				i := slices.IndexFunc(mix, func(a asked) bool {
					return a.name == tt.form+" as "+tt.client+" through the "+shape
				})
				if i < 0 {
					t.Fatalf("it is not in the mix of the %s", shape)
				}
				got, other := mix[i].wants[0], mix[i].wants[1]
				if got.status != tt.status || got.location != tt.location || got.reason != tt.reason {
					t.Errorf("through the %s: %+v", shape, got)
				}
				if tt.broken != "" && (other.reason != tt.broken || mix[i].right(got) != mix[i].right(other)) || tt.broken == "" && other != got {
					t.Errorf("through the %s, while the mirror fails: %+v", shape, other)
				}
			}
		})
	}
}

// Every request of the mix is one, says where its client is, and takes only its
// own answer; all kinds of answers are there.
func TestMix(t *testing.T) {
	s := newShelves()
	o, err := oracle(mixEnv, s, false)
	if err != nil {
		t.Fatal(err)
	}
	statuses, reasons, blobs := map[int]int{}, map[string]int{}, 0
	mix := s.mix(t.Context(), o)
	for _, a := range mix {
		in := bufio.NewReader(bytes.NewReader(a.text))
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("%s: %v in %q", a.name, err, a.text)
		}
		if in.Buffered() > 0 || r.Method != a.method || r.Header.Get(entrypoint.PlayAddress) == "" {
			t.Errorf("%s: %q", a.name, a.text)
		}
		for _, change := range []func(*want){
			func(w *want) { w.status++ }, func(w *want) { w.location += "x" }, func(w *want) { w.reason = "x" }, func(w *want) { w.body += "x" },
		} {
			wrong := a.wants[0]
			change(&wrong)
			if a.right(wrong) || !a.right(a.wants[0]) {
				t.Fatalf("%s: %+v counts as right, %+v is", a.name, wrong, a.wants[0])
			}
		}
		statuses[a.wants[0].status]++
		reasons[a.wants[0].reason]++
		if strings.Contains(a.name, "/blobs/sha256") {
			blobs++
		}
	}
	for _, status := range []int{200, 302, 307, 400, 404, 405} {
		if statuses[status] < 16 {
			t.Errorf("%d requests are answered %d", statuses[status], status)
		}
	}
	for _, reason := range []string{"aws-region", "nearest-region", "default-mirror", "authorization", "upstream-cloud", "upstream-digest", "mirror-absent", "manifest", "tags", "referrers", "ping", "info", "privacy", "refused"} {
		if reasons[reason] == 0 {
			t.Errorf("nothing is answered %s", reason)
		}
	}
	if blobs < len(mix)/2 {
		t.Errorf("%d of %d are for blobs", blobs, len(mix))
	}
}
