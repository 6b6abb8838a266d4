package redirect

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// oddRequest returns a request for what no registry can have: digests of other
// algorithms or of a wrong length, and names that are too long.
func oddRequest(r *rand.Rand) Request {
	endpoint := []string{"manifests", "blobs", "referrers"}[r.IntN(3)]
	name := "pause"
	reference := [...]string{
		"md5:abc", "sha1:" + hex64[:40], "sha384:" + hex64 + hex64[:32], blake3, "sha256+b64:" + hex64, "sha2567:" + hex64,
		"sha256:" + hex64[1:], "sha256:" + hex64 + "0", "sha512:" + hex64, "sha256:", ":", fmt.Sprintf("x%d:%d", r.Uint32(), r.Uint32()),
	}[r.IntN(12)]
	if r.IntN(2) == 0 {
		name, reference = longName(241+r.IntN(30)), []string{digest, sha512}[r.IntN(2)]
	}
	return Request{
		Method: []string{"GET", "HEAD"}[r.IntN(2)],
		Path:   "/v2/" + name + "/" + endpoint + "/" + reference,
		Query:  []string{"", "ns=docker.io"}[r.IntN(2)],
	}
}

// TestOddRequests checks that no origin is checked for what cannot exist. Such a
// check would count as a failure of an origin that works.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	h, s := newHandler(t, env{"SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example", "FAILOVER_BUDGET": "1000000"}, nil)
	places := []string{"", "AWS eu-west-3", "AWS cn-north-1", "GCP europe-west9", "Azure westeurope"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		r := oddRequest(random)
		r.Client = client(t, places[random.IntN(len(places))])
		got := h.Handle(t.Context(), r)
		if len(s.checked) > 0 {
			t.Fatalf("%s %s: checked %q", r.Method, r.Path, s.checked)
		}
		if got.Status != 400 && (got.Status != 307 || !strings.HasPrefix(got.Location, images) && !strings.HasPrefix(got.Location, signed)) {
			t.Fatalf("%s %s: response %+v", r.Method, r.Path, got)
		}
	}
}
