package rude

import (
	"fmt"
	"net/http"
)

// tokenUses is how often a token is valid: more often than a client has requests at
// once, so that none is refused twice.
const tokenUses = 60

var httpHabits = []Habit{
	// HEAD.
	{Name: "head-no-digest", Groups: []string{"head"}, Source: "registry.access.redhat.com, ECR: regclient/regclient#363, distribution/distribution#3792", Apply: set(func(k *Knobs) { k.HeadNoDigest = true })},
	{Name: "head-junk-digest", Groups: []string{"head"}, Source: "proxies", Apply: set(func(k *Knobs) { k.JunkDigest = true })},
	{Name: "head-no-length", Groups: []string{"length"}, Source: "google/go-containerregistry#971", Apply: set(func(k *Knobs) { k.HeadNoLength = true })},
	{Name: "head-404", Groups: []string{"head"}, Source: "old Artifactory: nicholas-fedor/watchtower#667", Apply: set(func(k *Knobs) { k.HeadStatus = http.StatusNotFound })},
	{Name: "head-405", Groups: []string{"head"}, Source: "Nexus", Apply: set(func(k *Knobs) { k.HeadStatus = http.StatusMethodNotAllowed })},
	{Name: "head-401", Groups: []string{"head"}, Source: "proxies", Apply: set(func(k *Knobs) { k.HeadStatus = http.StatusUnauthorized })},
	{Name: "head-501", Groups: []string{"head"}, Source: "registries of static files", Apply: set(func(k *Knobs) { k.HeadStatus = http.StatusNotImplemented })},
	{Name: "head-403", Groups: []string{"head"}, Source: "signed URLs for GET only", Apply: set(func(k *Knobs) { k.HeadStatus = http.StatusForbidden })},
	{Name: "head-stale", Groups: []string{"head"}, Source: "CDNs that cache HEAD", Apply: func(s *setup) {
		s.maker("head-stale").image(s.content.Repository(appName), 300, 1, "head-stale")
		s.StaleTag = "head-stale"
	}},
	{Name: "blob-head-405", Groups: []string{"blob-head"}, Source: "Nexus", Apply: set(func(k *Knobs) { k.BlobHeadStatus = http.StatusMethodNotAllowed })},
	{Name: "blob-head-404", Groups: []string{"blob-head"}, Source: "caching proxies", Apply: set(func(k *Knobs) { k.BlobHeadStatus = http.StatusNotFound })},

	// Media types and bodies.
	{Name: "type-charset", Groups: []string{"type"}, Source: "Satellite: camallo/dkregistry-rs#113, #176", Apply: set(func(k *Knobs) { k.ContentType = "charset" })},
	{Name: "type-none", Groups: []string{"type"}, Source: "project-angos/angos#77", Apply: set(func(k *Knobs) { k.ContentType = "none" })},
	{Name: "type-octets", Groups: []string{"type"}, Source: "registries of static files: distribution/distribution#2384", Apply: set(func(k *Knobs) { k.ContentType = "application/octet-stream" })},
	{Name: "type-text", Groups: []string{"type"}, Source: "registries of static files", Apply: set(func(k *Knobs) { k.ContentType = "text/plain" })},
	{Name: "type-json", Groups: []string{"type"}, Source: "gardener/cc-utils#1238", Apply: set(func(k *Knobs) { k.ContentType = "application/json" })},
	{Name: "accept-strict", Source: "opensciencegrid/cvmfs-singularity-sync#424", Apply: set(func(k *Knobs) { k.AcceptStrict = true })},
	{Name: "404-text", Groups: []string{"404"}, Source: "registry.redhat.io: openshift/oc#1104", Apply: set(func(k *Knobs) { k.NotFound = "text" })},
	{Name: "404-html", Groups: []string{"404"}, Source: "nginx", Apply: set(func(k *Knobs) { k.NotFound = "html" })},
	{Name: "404-empty", Groups: []string{"404"}, Source: "HEAD, and proxies", Apply: set(func(k *Knobs) { k.NotFound = "empty" })},
	{Name: "ping-404", Groups: []string{"ping"}, Source: "registries of static files: distribution/distribution#2384", Apply: set(func(k *Knobs) { k.PingStatus = http.StatusNotFound })},

	// Encodings, connections, ranges.
	{Name: "gzip-stored", Groups: []string{"encoding"}, Source: "GCS, S3, R2: moby/moby#17595", Apply: set(func(k *Knobs) { k.Encoding = "stored" })},
	{Name: "gzip-always", Groups: []string{"encoding"}, Source: "GCS, S3: moby/moby#17595", Apply: set(func(k *Knobs) { k.Encoding = "always" })},
	{Name: "gzip-json", Groups: []string{"encoding"}, Source: "nginx gzip_types", Apply: set(func(k *Knobs) { k.Encoding = "json" })},
	{Name: "gzip-json-always", Groups: []string{"encoding"}, Source: "objects stored compressed: moby/moby#17595", Apply: set(func(k *Knobs) { k.Encoding = "json-always" })},
	{Name: "chunked", Groups: []string{"length"}, Source: "proxies", Apply: set(func(k *Knobs) { k.Chunked = true })},
	{Name: "early-hints", Source: "CDNs: RFC 8297", Apply: set(func(k *Knobs) { k.EarlyHints = true })},
	{Name: "close", Source: "HTTP/1.0 proxies", Apply: set(func(k *Knobs) { k.CloseConnections = true })},
	{Name: "cut-ranges", Groups: []string{"cut"}, Source: "anchore/stereoscope#695, xelalexv/dregsy#122", Apply: set(func(k *Knobs) { k.Cut = cutRanges })},
	{Name: "cut-length", Groups: []string{"cut", "length"}, Source: "HTTP/1.0 proxies", Apply: set(func(k *Knobs) { k.Cut = cutLength })},
	{Name: "cut-twice", Groups: []string{"cut"}, Source: "proxies without ranges", Apply: set(func(k *Knobs) { k.Cut = cutTwice })},
	{Name: "cut-416", Groups: []string{"cut"}, Source: "proxies without ranges", Apply: set(func(k *Knobs) { k.Cut = cutOnce416 })},
	{Name: "cut-wrong-range", Groups: []string{"cut"}, Source: "caches", Apply: set(func(k *Knobs) { k.Cut = cutOnceLie })},
	{Name: "stall", Groups: []string{"cut"}, Slow: true, Source: "smol-machines/smolvm#1026", Apply: set(func(k *Knobs) { k.Cut = stallOnce })},
	{Name: "cut-always", Groups: []string{"cut"}, Source: "proxies with a limit on size", Apply: func(s *setup) {
		s.Cut = cutAlways
		s.loss.all(Incomplete, Refused)
		s.loss.requests += 3000
	}},
	{Name: "cut-manifests", Source: "proxies", Apply: set(func(k *Knobs) { k.CutManifests = true })},
	{Name: "drip", Source: "slow links", Apply: set(func(k *Knobs) { k.Drip = 0.2 })},
	{Name: "silent-first", Source: "cold starts", Apply: func(s *setup) { s.SilentFirst = true }},

	// Quotas and passing errors.
	{Name: "429-minute", Groups: []string{"429"}, Source: "Artifact Registry: kubernetes-sigs/promo-tools#637, #1271", Apply: throttled(throttle{After: 20, Seconds: 60})},
	{Name: "429-retry-after", Groups: []string{"429"}, Source: "Docker Hub", Apply: throttled(throttle{After: 20, Seconds: 300, RetryAfter: "seconds"})},
	{Name: "429-date", Groups: []string{"429"}, Source: "RFC 9110, section 10.2.3", Apply: throttled(throttle{After: 20, Seconds: 90, RetryAfter: "date"})},
	{Name: "429-each", Groups: []string{"429"}, Source: "ECR Public: a request a second", Apply: throttled(throttle{Each: 6})},
	{Name: "429-first", Groups: []string{"429"}, Source: "Docker Hub", Apply: throttled(throttle{After: 0, Seconds: 30})},
	{Name: "429-zero", Groups: []string{"429"}, Source: "proxies", Apply: throttled(throttle{After: 20, Seconds: 30, RetryAfter: "0"})},
	{Name: "429-junk", Groups: []string{"429"}, Source: "proxies", Apply: throttled(throttle{After: 20, Seconds: 30, RetryAfter: "-1, soon"})},
	{Name: "503-maintenance", Groups: []string{"429"}, Source: "distribution read-only mode, Nexus", Apply: throttled(throttle{After: 20, Seconds: 240, RetryAfter: "seconds", Status: http.StatusServiceUnavailable})},
	{Name: "429-centuries", Groups: []string{"429"}, Source: "hostile", Apply: func(s *setup) {
		throttled(throttle{After: 30, RetryAfter: "9999999999999999999"})(s)
		s.loss.all(Incomplete, Refused)
	}},
	{Name: "429-always", Groups: []string{"429"}, Source: "Docker Hub: 100 manifests in 6 h", Apply: func(s *setup) {
		throttled(throttle{After: 30})(s)
		s.loss.all(Incomplete, Refused)
	}},
	{Name: "cdn-520", Groups: []string{"passing"}, Source: "Cloudflare: google/go-containerregistry#1707", Apply: passing(7, 520, 521, 522, 523, 524)},
	{Name: "gateway-50x", Groups: []string{"passing"}, Source: "proxies", Apply: passing(7, 500, 502, 503, 504, 408)},
	{Name: "reset", Groups: []string{"passing"}, Source: "xelalexv/dregsy#122", Apply: passing(9, 0)},

	// Redirects.
	{Name: "redirect", Groups: []string{"redirect"}, Source: "S3, GCS backends", Apply: redirected(redirects{})},
	{Name: "redirect-302", Groups: []string{"redirect"}, Source: "Quay", Apply: redirected(redirects{Status: http.StatusFound})},
	{Name: "redirect-303", Groups: []string{"redirect"}, Source: "RFC 9110", Apply: redirected(redirects{Status: http.StatusSeeOther})},
	{Name: "redirect-308", Groups: []string{"redirect"}, Source: "RFC 9110", Apply: redirected(redirects{Status: http.StatusPermanentRedirect})},
	{Name: "redirect-relative", Groups: []string{"redirect"}, Source: "oras-project/oras-dotnet#423", Apply: redirected(redirects{Relative: true})},
	{Name: "redirect-hops", Groups: []string{"redirect"}, Source: "Artifactory in front of a CDN", Apply: redirected(redirects{Hops: 4})},
	{Name: "redirect-raw-url", Groups: []string{"redirect"}, Source: "Azure, R2: characters that are not escaped", Apply: redirected(redirects{RawURL: true})},
	{Name: "redirect-expired", Groups: []string{"redirect"}, Source: "S3, GCS: cached redirects", Apply: redirected(redirects{FirstExpired: true})},
	{Name: "redirect-expired-400", Groups: []string{"redirect"}, Source: "S3: ExpiredToken", Apply: redirected(redirects{FirstExpired: true, ExpiredStatus: http.StatusBadRequest})},
	{Name: "redirect-get-only", Groups: []string{"redirect"}, Source: "S3: signatures for GET", Apply: redirected(redirects{GetOnly: true})},
	{Name: "redirect-busy", Groups: []string{"redirect"}, Source: "S3: SlowDown", Apply: redirected(redirects{Busy: true})},
	{Name: "redirect-once", Groups: []string{"redirect"}, Source: "signed URLs for one request", Apply: redirected(redirects{Once: true})},
	{Name: "redirect-no-credentials", Groups: []string{"redirect"}, Source: "S3: open-policy-agent/opa#6580", Apply: redirected(redirects{RefuseAuth: true})},
	{Name: "redirect-manifests", Groups: []string{"redirect-manifests"}, Source: "GHCR, registries of static files", Apply: set(func(k *Knobs) { k.ManifestRedirect = true })},
	{Name: "redirect-clear", Groups: []string{"redirect"}, Source: "TLS ended by a proxy", Apply: func(s *setup) {
		s.TLS = true
		redirected(redirects{Clear: true})(s)
		s.loss.all(Incomplete)
	}},
	{Name: "redirect-loop", Source: "misconfigured proxies", Apply: func(s *setup) {
		s.badBlob("loop", func([]byte) special {
			return func(r *http.Request) response {
				return response{status: http.StatusFound, header: http.Header{"Location": {r.URL.Path + "?again"}}}
			}
		})
		s.loss.requests += 300
	}},
	{Name: "redirect-nowhere", Source: "proxies", Apply: func(s *setup) {
		s.badBlob("nowhere", func([]byte) special { return always(response{status: http.StatusTemporaryRedirect}) })
	}},
	{Name: "redirect-file", Source: "hostile", Apply: func(s *setup) {
		s.badBlob("file", func([]byte) special {
			return always(response{status: http.StatusTemporaryRedirect, header: http.Header{"Location": {"file:///etc/passwd"}}})
		})
	}},
	{Name: "tls", Source: "all", Apply: set(func(k *Knobs) { k.TLS = true })},

	// Logins.
	{Name: "token", Groups: []string{"auth"}, Source: "GHCR, Docker Hub", Apply: authenticated(authentication{})},
	{Name: "token-repository-only", Groups: []string{"auth"}, Source: "Artifactory, Nexus, Harbor: no challenge at /v2/", Apply: authenticated(authentication{NoPing: true})},
	{Name: "token-expires", Groups: []string{"auth"}, Source: "openai/tart#55", Apply: authenticated(authentication{Uses: tokenUses})},
	{Name: "token-expires-400", Groups: []string{"auth"}, Source: "ECR Public: aws/containers-roadmap#2835", Apply: authenticated(authentication{Uses: tokenUses, ExpiredStatus: http.StatusBadRequest})},
	{Name: "token-expires-silently", Groups: []string{"auth"}, Source: "Docker Hardened Images: docker/hub-feedback#2530", Apply: authenticated(authentication{Uses: tokenUses, NoChallenge: true})},
	{Name: "token-catalog-scope", Groups: []string{"auth"}, Source: "distribution, GitLab", Apply: authenticated(authentication{CatalogScope: true})},
	{Name: "token-access-token", Groups: []string{"auth"}, Source: "containerd/containerd#2157", Apply: authenticated(authentication{Response: "access_token"})},
	{Name: "token-no-expiry", Groups: []string{"auth"}, Source: "GHCR", Apply: authenticated(authentication{Response: "no-expiry"})},
	{Name: "token-odd-challenge", Groups: []string{"auth"}, Source: "RFC 9110, section 11.2", Apply: authenticated(authentication{Form: "odd"})},
	{Name: "token-many-challenges", Groups: []string{"auth"}, Source: "RFC 9110, section 11.6.1", Apply: authenticated(authentication{Form: "many"})},
	{Name: "token-throttled", Groups: []string{"auth"}, Source: "Docker Hub", Apply: authenticated(authentication{Response: "throttled"})},
	{Name: "token-login", Groups: []string{"auth"}, Source: "Harbor", Apply: authenticated(authentication{Login: true})},
	{Name: "token-rotated", Groups: []string{"auth"}, Source: "secrets that rotate during a run", Apply: authenticated(authentication{Login: true, RotateAfter: 60, Uses: tokenUses})},
	{Name: "token-blobs-only", Groups: []string{"auth"}, Source: "caching proxies", Apply: authenticated(authentication{Kind: "blob"})},
	{Name: "token-catalog-only", Groups: []string{"auth"}, Source: "Harbor: public projects", Apply: authenticated(authentication{Kind: "catalog", CatalogScope: true})},
	{Name: "token-other-scope", Groups: []string{"auth"}, Source: "Artifactory: virtual repositories", Apply: authenticated(authentication{ScopePrefix: "virtual/"})},
	{Name: "token-no-scope", Groups: []string{"auth"}, Source: "Nexus: Bearer token realm", Apply: authenticated(authentication{NoScope: true})},
	{Name: "token-no-service", Groups: []string{"auth"}, Source: "distribution-spec: service is optional", Apply: authenticated(authentication{NoService: true})},
	{Name: "token-realm-query", Groups: []string{"auth"}, Source: "RFC 6750, section 3", Apply: authenticated(authentication{RealmQuery: true})},
	{Name: "token-odd-times", Groups: []string{"auth"}, Source: "Katello/katello#10768", Apply: authenticated(authentication{Response: "odd"})},
	{Name: "token-refused", Groups: []string{"auth"}, Source: "wrong credentials", Apply: func(s *setup) {
		authenticated(authentication{Login: true, Refused: true})(s)
		s.loss.all(Refused, Incomplete)
	}},
	{Name: "basic-expires-403", Groups: []string{"auth"}, Source: "ECR: DENIED, your authorization token has expired", Apply: authenticated(authentication{Scheme: "basic", RotateAfter: 60, ExpiredStatus: http.StatusForbidden})},
	{Name: "token-denied", Groups: []string{"auth"}, Source: "GHCR", Apply: func(s *setup) {
		authenticated(authentication{Denied: Prefix + "/lib"})(s)
		s.loss.repositories[Prefix+"/lib"] = true
	}},
	{Name: "token-html", Groups: []string{"auth"}, Source: "sign-in pages", Apply: func(s *setup) {
		authenticated(authentication{Response: "html"})(s)
		s.loss.all(Refused, Incomplete)
	}},
	{Name: "token-endless", Groups: []string{"auth"}, Heavy: true, Source: "hostile", Apply: func(s *setup) {
		authenticated(authentication{Response: "endless"})(s)
		s.loss.all(Refused, Incomplete)
	}},
	{Name: "token-clear", Groups: []string{"auth"}, Source: "TLS ended by a proxy", Apply: func(s *setup) {
		s.TLS = true
		authenticated(authentication{Login: true, ClearRealm: true})(s)
		s.loss.all(Refused, Incomplete)
	}},
	{Name: "basic", Groups: []string{"auth"}, Source: "Nexus, ECR", Apply: authenticated(authentication{Scheme: "basic"})},
	{Name: "basic-rotated", Groups: []string{"auth"}, Source: "secrets that rotate during a run; ECR's tokens of 12 h", Apply: authenticated(authentication{Scheme: "basic", RotateAfter: 60})},
	{Name: "sign-in", Groups: []string{"ping", "catalog"}, Source: "oras-project/oras-go#633", Apply: func(s *setup) { s.never(always(page(http.StatusOK, signIn))) }},

	// Referrers.
	{Name: "referrers-404", Groups: []string{"referrers"}, Source: "distribution: oras-project/oras-go#633", Apply: noReferrers(http.StatusNotFound)},
	{Name: "referrers-405", Groups: []string{"referrers"}, Source: "old registries", Apply: noReferrers(http.StatusMethodNotAllowed)},
	{Name: "referrers-406", Groups: []string{"referrers"}, Source: "Artifactory: google/go-containerregistry#1968", Apply: noReferrers(http.StatusNotAcceptable)},
	{Name: "referrers-400", Groups: []string{"referrers"}, Source: "old registries", Apply: noReferrers(http.StatusBadRequest)},
	{Name: "referrers-501", Groups: []string{"referrers"}, Source: "old registries", Apply: noReferrers(http.StatusNotImplemented)},
	{Name: "referrers-401", Groups: []string{"referrers"}, Source: "ECR: oras-project/oras-go#633", Apply: noReferrers(http.StatusUnauthorized, Full, Incomplete)},
	{Name: "referrers-403", Groups: []string{"referrers"}, Source: "Harbor robots", Apply: noReferrers(http.StatusForbidden, Full, Incomplete)},
	{Name: "referrers-500", Groups: []string{"referrers"}, Source: "google/go-containerregistry#1968", Apply: func(s *setup) {
		noReferrers(http.StatusInternalServerError, Full, Incomplete)(s)
		s.loss.requests += 3000
	}},
	{Name: "referrers-html", Groups: []string{"referrers"}, Source: "sign-in pages: oras-project/oras-go#633", Apply: set(func(k *Knobs) { k.ReferrersHTML = true })},
	{Name: "referrers-page", Groups: []string{"referrers"}, Source: "distribution-spec, listing referrers", Apply: set(func(k *Knobs) { k.ReferrersPage = 1 })},
	{Name: "referrers-one-404", Source: "Harbor", Apply: func(s *setup) {
		r := s.content.Repository(appName)
		d := s.maker("unreferred").image(r, 200, 1, "unreferred")
		s.special("referrers", appName, d.Digest, always(failure(http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")))
	}},
	{Name: "referrers-dead", Source: "clean-ups", Apply: func(s *setup) {
		r := s.content.Repository(appName)
		d := s.maker("dead-referrer").image(r, 200, 1, "dead-referrer")
		gone := digestOf([]byte("dead referrer"))
		r.named[d.Digest] = append(r.named[d.Digest], Descriptor{MediaType: ociManifest, Digest: gone, Size: 100})
	}},
	{Name: "referrers-endless", Source: "hostile", Apply: func(s *setup) {
		r := s.content.Repository(appName)
		d := s.maker("endless-referrers").image(r, 200, 1, "endless-referrers")
		page := 0
		s.special("referrers", appName, d.Digest, func(r *http.Request) response {
			page++ // one client asks for one page at a time
			return response{status: http.StatusOK, header: http.Header{"Content-Type": {ociIndex}, "Link": {fmt.Sprintf(`<%s?page=%d>; rel="next"`, r.URL.Path, page)}},
				body: []byte(`{"schemaVersion":2,"mediaType":"` + ociIndex + `","manifests":[]}`)}
		})
		s.loss.requests += 2000
		s.loss.referrers[d.Digest] = true
	}},
	{Name: "referrers-many-dead", Heavy: true, Source: "clean-ups", Apply: func(s *setup) {
		r := s.content.Repository(appName)
		d := s.maker("many-dead-referrers").image(r, 200, 1, "many-dead-referrers")
		for i := range 2000 {
			r.named[d.Digest] = append(r.named[d.Digest], Descriptor{MediaType: ociManifest, Digest: digestOf([]byte("referrer" + digits(i))), Size: 100})
		}
		s.loss.outcome(Full, Incomplete)
	}},
	{Name: "referrers-cycle", Source: "hostile", Apply: func(s *setup) {
		r := s.content.Repository(appName)
		d := s.maker("cycle").image(r, 200, 1, "cycle")
		r.named[d.Digest] = append(r.named[d.Digest], d)
	}},
}
