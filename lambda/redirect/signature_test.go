package redirect

import (
	"slices"
	"strings"
	"testing"
)

const (
	signed = "https://signatures.example/v2/project/images/"

	signatureTag = "sha256-" + hex64
)

// Whether the upstream has it is asked only where the script lets it answer.
var signatureTests = []struct {
	name               string
	place, path, query string
	says               says
	asked              string
	want               Response
}{
	{"tag", "", "/v2/pause/manifests/" + signatureTag, "", nil, "", found307(signed+"pause/manifests/"+signatureTag, minutes, "signature")},
	{"tag-sig", "", "/v2/pause/manifests/" + signatureTag + ".sig", "", nil, "", found307(signed+"pause/manifests/"+signatureTag+".sig", minutes, "signature")},
	{"tag-att", "", "/v2/pause/manifests/" + signatureTag + ".att", "", nil, "", found307(signed+"pause/manifests/"+signatureTag+".att", minutes, "signature")},
	{"tag-sbom", "", "/v2/pause/manifests/" + signatureTag + ".sbom", "x=y", nil, "", found307(signed+"pause/manifests/"+signatureTag+".sbom", minutes, "signature")},
	{"tag-upstream-cloud", "GCP europe-west9", "/v2/pause/manifests/" + signatureTag, "", nil, "", found307(signed+"pause/manifests/"+signatureTag, minutes, "signature")},
	{"tag-other", "", "/v2/pause/manifests/3.9", "", nil, "", found307(images+"pause/manifests/3.9", minutes, "manifest")},
	{"tag-other-ending", "", "/v2/pause/manifests/" + signatureTag + ".sigs", "", nil, "", found307(images+"pause/manifests/"+signatureTag+".sigs", minutes, "manifest")},
	{"tags", "", "/v2/pause/tags/list", "n=1", nil, "", found307(images+"pause/tags/list?n=1", minutes, "tags")},
	{"referrers", "", "/v2/pause/referrers/" + digest, "artifactType=a/b", nil, "", found307(signed+"pause/referrers/"+digest+"?artifactType=a/b", minutes, "referrers")},
	{"referrers-page-link", "", "/v2/project/images/pause/referrers/" + digest, "", nil, "", found307(signed+"pause/referrers/"+digest, minutes, "referrers")},

	{"manifest-present", "", "/v2/pause/manifests/" + digest, "", says{"upstream": present}, "upstream", found307(images+"pause/manifests/"+digest, minutes, "manifest")},
	{"manifest-absent", "", "/v2/pause/manifests/" + digest, "", says{"upstream": absent}, "upstream", found307(signed+"pause/manifests/"+digest, minutes, "signature")},
	{"manifest-unknown", "", "/v2/pause/manifests/" + digest, "", says{"upstream": unknown}, "upstream", found307(images+"pause/manifests/"+digest, "no-store", "manifest")},
	{"manifest-blake3-absent", "", "/v2/pause/manifests/" + blake3, "", says{"upstream": absent}, "upstream", found307(signed+"pause/manifests/"+blake3, minutes, "signature")},

	{"blob-in-mirror", "", blobOf + digest, "", says{"default": present}, "default", fromDefault},
	{"blob-present", "", blobOf + digest, "", says{"default": absent, "upstream": present}, "default upstream", found307(images+"pause/blobs/"+digest, "private, no-store", "mirror-absent")},
	{"blob-absent", "", blobOf + digest, "", says{"default": absent, "upstream": absent}, "default upstream", found307(signed+"pause/blobs/"+digest, "private, no-store", "signature")},
	{"blob-unknown", "", blobOf + digest, "", says{"default": unknown, "upstream": unknown}, "default upstream", found307(images+"pause/blobs/"+digest, "private, no-store", "mirror-unavailable")},
	{"blob-region", "AWS eu-west-3", blobOf + digest, "", says{"eu-west-3": absent, "default": unknown, "upstream": absent}, "eu-west-3 default upstream", found307(signed+"pause/blobs/"+digest, "private, no-store", "signature")},
	{"blob-cloud-present", "GCP europe-west9", blobOf + digest, "", says{"upstream": present}, "upstream", found307(images+"pause/blobs/"+digest, "private, no-store", "upstream-cloud")},
	{"blob-cloud-absent", "GCP europe-west9", blobOf + digest, "", says{"upstream": absent}, "upstream", found307(signed+"pause/blobs/"+digest, "private, no-store", "signature")},
	{"blob-cloud-unknown", "GCP europe-west9", blobOf + digest, "", says{"upstream": unknown}, "upstream", found307(images+"pause/blobs/"+digest, "private, no-store", "upstream-cloud")},
	{"blob-digest-absent", "", blobOf + blake3, "", says{"upstream": absent}, "upstream", found307(signed+"pause/blobs/"+blake3, "private, no-store", "signature")},
	{"blob-digest-present", "", blobOf + blake3, "", says{"upstream": present}, "upstream", found307(images+"pause/blobs/"+blake3, "private, no-store", "upstream-digest")},
}

func TestSignatures(t *testing.T) {
	for _, tt := range signatureTests {
		t.Run(tt.name, func(t *testing.T) {
			h, s := newHandler(t, env{"SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example"}, tt.says)
			got := h.Handle(t.Context(), Request{Method: "GET", Path: tt.path, Query: tt.query, Client: client(t, tt.place)})
			if got != tt.want {
				t.Errorf("answer %+v, want %+v", got, tt.want)
			}
			checkAsked(t, s, names(tt.asked))
			// What is asked for is what the client would be sent to.
			if i := slices.Index(s.asked, "upstream"); i >= 0 && s.paths[i] != "project/images"+strings.TrimPrefix(tt.path, "/v2") {
				t.Errorf("the upstream was asked for %q", s.paths[i])
			}
		})
	}
}

// The script lets no upstream be asked here.
func TestNoSignatures(t *testing.T) {
	for _, tt := range signatureTests {
		t.Run(tt.name, func(t *testing.T) {
			answers := says{"eu-west-3": absent, "default": absent}
			h, s := newHandler(t, nil, answers)
			got := h.Handle(t.Context(), Request{Method: "GET", Path: tt.path, Query: tt.query, Client: client(t, tt.place)})
			if !strings.HasPrefix(got.Location, images) || got.Reason == "signature" || got.CacheControl == "no-store" {
				t.Errorf("answer %+v, want one upstream", got)
			}
			if slices.Contains(s.asked, "upstream") {
				t.Errorf("asked %q", s.asked)
			}
		})
	}
}
