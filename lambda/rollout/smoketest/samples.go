package smoketest

import (
	"net/http"
	"slices"
	"strings"

	"archeio/lambda/config"
	"archeio/lambda/route"
)

// sample is a request with the expected response.
type sample struct {
	name, method, path, query string
	client                    string            // address, or "" if it is unknown
	headers                   map[string]string // additional ones, in lower case
	status                    int
	reasons                   []route.Reason // one of them
}

const (
	// In the range table these are in AWS eu-west-3, in Google Cloud, and in no cloud.
	clientOfAWS, clientOfGCP, anyClient = "35.180.1.1", "34.1.208.1", "203.0.113.7"

	// No image has this blob, so mirrors do not have it either.
	digest = "sha256:a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3"
	blob   = "/v2/archeio-smoketest/blobs/" + digest
)

// blobReasons returns the reasons that a blob may have. Which one it gets
// depends on what the mirrors hold and on their health, not on the release. No
// sample sends Authorization.
func blobReasons() []route.Reason {
	return slices.DeleteFunc(route.Reasons(), func(r route.Reason) bool { return !r.ForBlob() || r == route.Authorization })
}

// samples returns requests of every kind. Some expected responses depend on the
// configuration.
func samples(c *config.Config) []sample {
	get := func(name, path string, status int, reasons ...route.Reason) sample {
		return sample{name: name, method: http.MethodGet, path: path, client: anyClient, status: status, reasons: reasons}
	}
	with := func(s sample, change func(*sample)) sample { change(&s); return s }
	info := http.StatusFound
	if c.InfoURL == "" {
		info = http.StatusOK
	}
	signature := route.Manifest
	if c.SignatureUpstream != "" {
		signature = route.Signature
	}
	const forged = "attacker.example"
	manifest := get("manifest", "/v2/archeio-smoketest/manifests/latest", http.StatusTemporaryRedirect, route.Manifest)
	anyBlob := get("blob", blob, http.StatusTemporaryRedirect, blobReasons()...)
	return []sample{
		get("ping", "/v2/", http.StatusOK, route.Ping),
		get("info", "/", info, route.Info),
		get("privacy", "/privacy", http.StatusFound, route.Privacy),
		get("where", "/where", http.StatusOK, route.Info),
		get("hosts", "/hosts.json", http.StatusOK, route.Info),
		manifest,
		with(manifest, func(s *sample) { s.name, s.method = "manifest-head", http.MethodHead }),
		with(manifest, func(s *sample) {
			s.name = "manifest-forged-host"
			s.headers = map[string]string{"host": forged, "x-forwarded-host": forged, "forwarded": "host=" + forged}
		}),
		get("manifest-digest", "/v2/archeio-smoketest/manifests/"+digest, http.StatusTemporaryRedirect, route.Manifest, route.Signature),
		get("signature", "/v2/archeio-smoketest/manifests/"+strings.Replace(digest, ":", "-", 1)+".sig", http.StatusTemporaryRedirect, signature),
		with(get("tags", "/v2/archeio-smoketest/tags/list", http.StatusTemporaryRedirect, route.Tags), func(s *sample) { s.query = "n=100" }),
		get("referrers", "/v2/archeio-smoketest/referrers/"+digest, http.StatusTemporaryRedirect, route.Referrers),
		anyBlob,
		with(anyBlob, func(s *sample) { s.name, s.client = "blob-aws", clientOfAWS }),
		with(anyBlob, func(s *sample) { s.name, s.client = "blob-google", clientOfGCP }),
		with(anyBlob, func(s *sample) { s.name, s.client = "blob-unknown-client", "" }),
		with(anyBlob, func(s *sample) { s.name, s.method = "blob-head", http.MethodHead }),
		with(anyBlob, func(s *sample) {
			s.name = "blob-forged-host"
			s.headers = map[string]string{"host": forged, "x-forwarded-host": forged}
		}),
		// The edge function overwrites this header, so this is not a request of a
		// client, but no other name may get into a Location.
		with(anyBlob, func(s *sample) {
			s.name, s.headers = "blob-forged-viewer-host", map[string]string{"x-viewer-host": forged}
		}),
		get("catalog", "/v2/_catalog", http.StatusNotFound, route.Refused),
		get("other-path", "/archeio-smoketest", http.StatusNotFound, route.Refused),
		get("bad-name", "/v2/ARCHEIO/manifests/latest", http.StatusBadRequest, route.Refused),
		get("bad-digest", "/v2/archeio-smoketest/blobs/sha256:0", http.StatusBadRequest, route.Refused),
		with(get("post", "/v2/archeio-smoketest/blobs/uploads/", http.StatusMethodNotAllowed, route.Refused), func(s *sample) { s.method = http.MethodPost }),
	}
}
