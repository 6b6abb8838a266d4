package redirect

import (
	"slices"
	"strings"
	"testing"
)

const (
	signed = "https://signatures.example/v2/project/images/"

	signatureTag    = "sha256-" + hex64
	signatureTag512 = "sha512-" + hex64 // truncated
)

// signatureTests are requests with a signature upstream.
var signatureTests = []struct {
	name               string
	place, path, query string
	results            results
	checked            string
	want               Response
}{
	{"tag", "", "/v2/pause/manifests/" + signatureTag, "", nil, "", found307(signed+"pause/manifests/"+signatureTag, minutes, "signature")},
	{"tag-sig", "", "/v2/pause/manifests/" + signatureTag + ".sig", "", nil, "", found307(signed+"pause/manifests/"+signatureTag+".sig", minutes, "signature")},
	{"tag-att", "", "/v2/pause/manifests/" + signatureTag + ".att", "", nil, "", found307(signed+"pause/manifests/"+signatureTag+".att", minutes, "signature")},
	{"tag-sbom", "", "/v2/pause/manifests/" + signatureTag + ".sbom", "x=y", nil, "", found307(signed+"pause/manifests/"+signatureTag+".sbom", minutes, "signature")},
	{"tag-sha512", "", "/v2/pause/manifests/" + signatureTag512, "", nil, "", found307(signed+"pause/manifests/"+signatureTag512, minutes, "signature")},
	{"tag-sha512-sig", "", "/v2/pause/manifests/" + signatureTag512 + ".sig", "", nil, "", found307(signed+"pause/manifests/"+signatureTag512+".sig", minutes, "signature")},
	{"tag-upstream-cloud", "GCP europe-west9", "/v2/pause/manifests/" + signatureTag, "", nil, "", found307(signed+"pause/manifests/"+signatureTag, minutes, "signature")},
	{"tag-other", "", "/v2/pause/manifests/3.9", "", nil, "", found307(images+"pause/manifests/3.9", minutes, "manifest")},
	{"tag-other-ending", "", "/v2/pause/manifests/" + signatureTag + ".sigs", "", nil, "", found307(images+"pause/manifests/"+signatureTag+".sigs", minutes, "manifest")},
	{"tags", "", "/v2/pause/tags/list", "n=1", nil, "", found307(images+"pause/tags/list?n=1", minutes, "tags")},
	{"referrers", "", "/v2/pause/referrers/" + digest, "artifactType=a/b", nil, "", found307(signed+"pause/referrers/"+digest+"?artifactType=a/b", minutes, "referrers")},
	{"referrers-page-link", "", "/v2/project/images/pause/referrers/" + digest, "", nil, "", found307(signed+"pause/referrers/"+digest, minutes, "referrers")},

	{"manifest-present", "", "/v2/pause/manifests/" + digest, "", results{"upstream": present}, "upstream", found307(images+"pause/manifests/"+digest, minutes, "manifest")},
	{"manifest-absent", "", "/v2/pause/manifests/" + digest, "", results{"upstream": absent}, "upstream", found307(signed+"pause/manifests/"+digest, "no-store", "signature")},
	{"manifest-unknown", "", "/v2/pause/manifests/" + digest, "", results{"upstream": unknown}, "upstream", found307(images+"pause/manifests/"+digest, "no-store", "manifest")},
	{"manifest-sha512-absent", "", "/v2/pause/manifests/" + sha512, "", results{"upstream": absent}, "upstream", found307(signed+"pause/manifests/"+sha512, "no-store", "signature")},
	{"manifest-blake3", "", "/v2/pause/manifests/" + blake3, "", nil, "", found307(images+"pause/manifests/"+blake3, minutes, "manifest")},
	{"manifest-md5", "", "/v2/pause/manifests/md5:abc", "", nil, "", found307(images+"pause/manifests/md5:abc", minutes, "manifest")},

	{"blob-in-mirror", "", blobOf + digest, "", results{"default": present}, "default", fromDefault},
	{"blob-present", "", blobOf + digest, "", results{"default": absent, "upstream": present}, "default upstream", found307(images+"pause/blobs/"+digest, "private, no-store", "mirror-absent")},
	{"blob-absent", "", blobOf + digest, "", results{"default": absent, "upstream": absent}, "default upstream", found307(signed+"pause/blobs/"+digest, "private, no-store", "signature")},
	{"blob-unknown", "", blobOf + digest, "", results{"default": unknown, "upstream": unknown}, "default upstream", found307(images+"pause/blobs/"+digest, "private, no-store", "mirror-unavailable")},
	{"blob-region", "AWS eu-west-3", blobOf + digest, "", results{"eu-west-3": absent, "default": unknown, "upstream": absent}, "eu-west-3 default upstream", found307(signed+"pause/blobs/"+digest, "private, no-store", "signature")},
	{"blob-cloud-present", "GCP europe-west9", blobOf + digest, "", results{"upstream": present}, "upstream", found307(images+"pause/blobs/"+digest, "private, no-store", "upstream-cloud")},
	{"blob-cloud-absent", "GCP europe-west9", blobOf + digest, "", results{"upstream": absent}, "upstream", found307(signed+"pause/blobs/"+digest, "private, no-store", "signature")},
	{"blob-cloud-unknown", "GCP europe-west9", blobOf + digest, "", results{"upstream": unknown}, "upstream", found307(images+"pause/blobs/"+digest, "private, no-store", "upstream-cloud")},
	{"blob-sha512-absent", "", blobOf + sha512, "", results{"upstream": absent}, "upstream", found307(signed+"pause/blobs/"+sha512, "private, no-store", "signature")},
	{"blob-sha512-present", "", blobOf + sha512, "", results{"upstream": present}, "upstream", found307(images+"pause/blobs/"+sha512, "private, no-store", "upstream-digest")},
	{"blob-blake3", "", blobOf + blake3, "", nil, "", found307(images+"pause/blobs/"+blake3, "private, no-store", "upstream-digest")},
	{"blob-md5-cloud", "GCP europe-west9", blobOf + "md5:abc", "", nil, "", found307(images+"pause/blobs/md5:abc", "private, no-store", "upstream-cloud")},
	{"manifest-with-prefix-absent", "", "/v2/project/images/pause/manifests/" + digest, "ns=a", results{"upstream": absent}, "upstream", found307(signed+"pause/manifests/"+digest, "no-store", "signature")},
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	for _, tt := range signatureTests {
		t.Run(tt.name, func(t *testing.T) {
			h, s := newHandler(t, env{"SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example"}, tt.results)
			got := h.Handle(t.Context(), Request{Method: "GET", Path: tt.path, Query: tt.query, Client: client(t, tt.place)})
			if got != tt.want {
				t.Errorf("response %+v, want %+v", got, tt.want)
			}
			checkOrder(t, s, names(tt.checked))
			// The check is for the same path as the redirect.
			if i := slices.Index(s.checked, "upstream"); i >= 0 && !strings.HasSuffix(got.Location, "/v2/"+s.paths[i]) {
				t.Errorf("the upstream is checked for %q", s.paths[i])
			}
		})
	}
}

// TestNoSignatures checks that the upstream is never checked without a signature
// upstream.
func TestNoSignatures(t *testing.T) {
	t.Parallel()
	for _, tt := range signatureTests {
		t.Run(tt.name, func(t *testing.T) {
			h, s := newHandler(t, nil, results{"eu-west-3": absent, "default": absent})
			got := h.Handle(t.Context(), Request{Method: "GET", Path: tt.path, Query: tt.query, Client: client(t, tt.place)})
			if !strings.HasPrefix(got.Location, images) || got.Reason == "signature" || got.CacheControl == "no-store" {
				t.Errorf("response %+v, want a redirect to the upstream", got)
			}
			if slices.Contains(s.checked, "upstream") {
				t.Errorf("checked %q, want no check of the upstream", s.checked)
			}
		})
	}
}
