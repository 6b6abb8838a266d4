package main

import (
	"bufio"
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"archeio/lambda/redirect"
	"archeio/scripts/lab/entrypoint"
)

var oracleEnv = map[string]string{
	"AWS_REGION":                 "us-east-1",
	"UPSTREAM_REGISTRY_ENDPOINT": "https://upstream.example",
	"UPSTREAM_REGISTRY_PATH":     "project",
	"DEFAULT_AWS_BASE_URL":       "https://default.example",
	"MIRROR_REGIONS":             "us-east-1,eu-central-1",
	"MIRROR_URL_TEMPLATE":        "https://{region}.example",
	"INFO_URL":                   "https://archeio.example/",
	"PRIVACY_URL":                "https://archeio.example/privacy",
}

func oracleOf(t *testing.T, sets *blobSets, nearFails bool) *redirect.Handler {
	t.Helper()
	o, err := newOracle(oracleEnv, sets, nearFails)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestOracle compares the responses of the oracle with the reference, request by
// request.
func TestOracle(t *testing.T) {
	t.Parallel()
	s := newBlobSets()
	mix := s.mix(t.Context(), oracleOf(t, s, false), oracleOf(t, s, true))
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
		failing            string // the reason while the mirror in us-east-1 fails, if it differs
	}{
		{"ping", "GET /v2/", "home", 200, "", "ping", ""},
		{"manifest", "GET /v2/load/image/manifests/v1", east, 307, "https://upstream.example/v2/project/load/image/manifests/v1", "manifest", ""},
		{"own-region", blob + shortDigest(s.everywhere[3]), east, 307, at("us-east-1", s.everywhere[3]), "aws-region", "default-mirror"},
		{"nearest-region", blob + shortDigest(s.everywhere[3]), paris, 307, at("eu-central-1", s.everywhere[3]), "nearest-region", ""},
		{"ipv6", blob + shortDigest(s.everywhere[3]), paris + ", IPv6", 307, at("eu-central-1", s.everywhere[3]), "nearest-region", ""},
		{"in-the-index", blob + shortDigest(s.indexed[3]), "home", 307, at("default", s.indexed[3]), "default-mirror", ""},
		{"near-only", blob + shortDigest(s.near[3]), east, 307, at("us-east-1", s.near[3]), "aws-region", "mirror-unavailable"},
		{"near-only-from-far", blob + shortDigest(s.near[3]), paris, 307, upstream + s.near[3], "mirror-absent", ""},
		{"default-only", blob + shortDigest(s.byDefault[3]), paris, 307, at("default", s.byDefault[3]), "default-mirror", ""},
		{"absent", blob + shortDigest(s.absent[3]), "home", 307, upstream + s.absent[3], "mirror-absent", ""},
		{"google", blob + shortDigest(s.everywhere[3]), "Google europe-west9", 307, upstream + s.everywhere[3], "upstream-cloud", ""},
		{"invalid-name", "GET /v2/BAD/tags/list", east, 400, "", "refused", ""},
		{"not-found", "GET /v2/_catalog", east, 404, "", "refused", ""},
		{"method-not-allowed", "PUT /v2/load/image/manifests/v1", east, 405, "", "refused", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, kind := range kinds {
				name := tt.form + " from " + tt.client + " through the " + kind
				i := slices.IndexFunc(mix, func(r loadRequest) bool { return r.name == name })
				if i < 0 {
					t.Fatalf("the mix has no request %q", name)
				}
				got, failing := mix[i].accepted[0], mix[i].accepted[1]
				if got.status != tt.status || got.location != tt.location || got.reason != tt.reason {
					t.Errorf("%s: %+v", name, got)
				}
				switch {
				case tt.failing == "" && failing != got, tt.failing != "" && failing.reason != tt.failing:
					t.Errorf("%s, while the mirror fails: %+v", name, failing)
				case !mix[i].accepts(got) || !mix[i].accepts(failing):
					t.Errorf("%s: a response of an oracle is not accepted", name)
				}
			}
		})
	}
}

// TestMix checks that every request of the mix is a valid one that names its
// client, that it accepts its own response only, and that no status or reason is
// left out.
func TestMix(t *testing.T) {
	t.Parallel()
	s := newBlobSets()
	statuses, reasons, blobs := map[int]int{}, map[string]int{}, 0
	mix := s.mix(t.Context(), oracleOf(t, s, false))
	for _, r := range mix {
		checkRequest(t, r)
		for _, change := range []func(*response){
			func(a *response) { a.status++ }, func(a *response) { a.location += "x" }, func(a *response) { a.reason = "x" }, func(a *response) { a.body += "x" },
		} {
			wrong := r.accepted[0]
			change(&wrong)
			if r.accepts(wrong) || !r.accepts(r.accepted[0]) {
				t.Fatalf("%s: accepts %+v, want %+v only", r.name, wrong, r.accepted[0])
			}
		}
		statuses[r.accepted[0].status]++
		reasons[r.accepted[0].reason]++
		if strings.Contains(r.name, "/blobs/sha256") {
			blobs++
		}
	}
	for _, status := range []int{200, 302, 307, 400, 404, 405} {
		if statuses[status] < 16 {
			t.Errorf("%d requests with status %d, want at least 16", statuses[status], status)
		}
	}
	for _, reason := range []string{"aws-region", "nearest-region", "default-mirror", "authorization", "upstream-cloud", "upstream-digest", "mirror-absent", "manifest", "tags", "referrers", "ping", "info", "privacy", "refused"} {
		if reasons[reason] == 0 {
			t.Errorf("no request with reason %s", reason)
		}
	}
	if blobs < len(mix)/2 {
		t.Errorf("%d of %d requests are for blobs, want at least half", blobs, len(mix))
	}
}

func checkRequest(t *testing.T, want loadRequest) {
	t.Helper()
	in := bufio.NewReader(bytes.NewReader(want.text))
	r, err := http.ReadRequest(in)
	if err != nil {
		t.Fatalf("%s: %v in %q", want.name, err, want.text)
	}
	if in.Buffered() > 0 || r.Method != want.method || r.Header.Get(entrypoint.ClientAddressHeader) == "" {
		t.Errorf("%s: %q", want.name, want.text)
	}
}
