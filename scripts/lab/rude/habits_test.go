package rude

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	catalogPath = "/v2/_catalog"
	cliTags     = "/v2/" + manyName + "/tags/list"
	appTags     = "/v2/" + appName + "/tags/list"
	latest      = "/v2/" + appName + "/manifests/latest"
)

// largest is the path and the bytes of the largest blob of the app.
func largest() (path string, body []byte) {
	blobs := base().Repositories[appName].Blobs
	digest := slices.MaxFunc(slices.Sorted(maps.Keys(blobs)), func(a, b string) int { return len(blobs[a]) - len(blobs[b]) })
	return "/v2/" + appName + "/blobs/" + digest, blobs[digest]
}

// observation is what a plain client sees of a habit with one request, or with
// several that are the same.
type observation struct {
	habit  string
	method string // "" is GET
	path   string // "blob" is that of the largest blob
	header http.Header
	status int
	// fields are substrings of header fields of the response; "" is for none.
	fields map[string]string
	// body is a substring.
	body string
	// repeat is the number of requests before.
	repeat int
	// fails is a request or response that breaks off.
	fails bool
}

func h(pairs ...string) http.Header {
	out := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		out.Set(pairs[i], pairs[i+1])
	}
	return out
}

type fields = map[string]string

var observations = []observation{
	{habit: "google-tags", path: "/v2/team/tags/list?n=3", status: 200, body: `{"child":["app","google-many","lib"],"manifest":{}`},
	{habit: "google-tags", path: "/v2/team/google-many/tags/list?n=1000", status: 200, fields: fields{"Link": ""}, body: `"timeUploadedMs"`},
	{habit: "google-children", path: "/v2/team/children/tags/list?n=1", status: 200, body: `"child":["c0000"]`},
	{habit: "google-10000", path: "/v2/team/google-too-many/tags/list?n=20000", status: 200, fields: fields{"Link": ""}},
	{habit: "tags-page", path: cliTags + "?n=1000", status: 200, fields: fields{"Link": "last=v1.19>"}},
	{habit: "tags-token", path: cliTags, status: 200, fields: fields{"Link": "next_page="}},
	{habit: "tags-token", path: cliTags + "?last=v3.20", status: 200, body: `"v0.00"`},
	{habit: "tags-last-only", path: cliTags, status: 200, fields: fields{"Link": ""}},
	{habit: "tags-last-only", path: cliTags + "?last=v3.28", status: 200, body: `["v3.29"]`},
	{habit: "tags-whole", path: cliTags + "?n=1&last=v3.20", status: 200, body: `"v0.00"`},
	{habit: "tags-link-back", path: cliTags + "?last=v3.28", status: 200, fields: fields{"Link": "<" + cliTags + ">"}},
	{habit: "tags-link-self", path: cliTags + "?n=5", status: 200, fields: fields{"Link": "<" + cliTags + "?n=5>"}},
	{habit: "tags-repeat", path: cliTags + "?next_page=" + cursor{0, 9}.token(), status: 200, fields: fields{"Link": cursor{0, 10}.token()}, body: `"v0.00"`},
	{habit: "tags-endless", path: cliTags + "?next_page=" + cursor{120, 5}.token(), status: 200, fields: fields{"Link": cursor{120, 6}.token()}, body: `"tags":[]`},
	{habit: "tags-other-host", path: cliTags, status: 200, fields: fields{"Link": "<http://localhost:"}},
	{habit: "tags-unreadable-link", path: cliTags, status: 200, fields: fields{"Link": `; rel="next"`}},
	{habit: "tags-empty-link", path: cliTags, status: 200, fields: fields{"Link": `<>; rel="next"`}},
	{habit: "tags-bare-link", path: cliTags, status: 200, fields: fields{"Link": cliTags + "?"}},
	{habit: "tags-second-404", path: cliTags + "?last=v0.19", status: 404},
	{habit: "tags-second-403", path: cliTags + "?last=v0.19", status: 403},
	{habit: "tags-second-html", path: cliTags + "?last=v0.19", status: 200, body: "Sign in"},
	{habit: "tags-inclusive", path: cliTags + "?last=v0.19", status: 200, body: `["v0.19"`},
	{habit: "catalog-second-404", path: catalogPath + "?last=team/lib", status: 404},
	{habit: "catalog-second-403", path: catalogPath + "?last=team/lib", status: 403},
	{habit: "catalog-bare-link", path: catalogPath, status: 200, fields: fields{"Link": "/v2/_catalog?"}},
	{habit: "catalog-inclusive", path: catalogPath + "?last=team/lib", status: 200, body: `["team/lib"`},
	{habit: "catalog-odd-names", path: "/v2/team/manifests/tags/list/x/tags/list", status: 200, body: `"_x"`},
	{habit: "catalog-escape", path: catalogPath, status: 200, body: `\u001b[2J`},
	{habit: "head-401", method: "HEAD", path: latest, status: 401},
	{habit: "head-501", method: "HEAD", path: latest, status: 501},
	{habit: "gzip-json-always", path: latest, header: h("Accept-Encoding", "identity"), status: 200, fields: fields{"Content-Encoding": "gzip"}},
	{habit: "429-zero", path: latest, repeat: 20, status: 429, fields: fields{"Retry-After": "0"}},
	{habit: "429-junk", path: latest, repeat: 20, status: 429, fields: fields{"Retry-After": "-1, soon"}},
	{habit: "429-centuries", path: latest, repeat: 30, status: 429, fields: fields{"Retry-After": "9999999999999999999"}},
	{habit: "503-maintenance", path: latest, repeat: 20, status: 503, fields: fields{"Retry-After": "240"}},
	{habit: "redirect-expired-400", path: "blob", status: 307},
	{habit: "redirect-get-only", path: "blob", status: 307},
	{habit: "redirect-busy", path: "blob", status: 307},
	{habit: "token-blobs-only", path: latest, status: 200},
	{habit: "token-blobs-only", path: "blob", status: 401},
	{habit: "token-catalog-only", path: latest, status: 200},
	{habit: "token-catalog-only", path: catalogPath, status: 401},
	{habit: "token-other-scope", path: latest, status: 401, fields: fields{"Www-Authenticate": `scope="repository:virtual/team/app:pull"`}},
	{habit: "token-no-scope", path: latest, status: 401, fields: fields{"Www-Authenticate": `service="rude"`}},
	{habit: "token-no-service", path: latest, status: 401, fields: fields{"Www-Authenticate": `/token",scope=`}},
	{habit: "token-realm-query", path: latest, status: 401, fields: fields{"Www-Authenticate": `?account=mirror&x=%2F"`}},
	{habit: "token-odd-times", path: latest, status: 401},
	{habit: "token-refused", path: latest, status: 401},
	{habit: "basic-expires-403", path: latest, header: h("Authorization", "Basic cm9ib3Q6Zmlyc3Qtc2VjcmV0"), repeat: 60, status: 403, body: "expired"},
	{habit: "digest-invalid", path: "manifest", status: 200},
	{habit: "blob-403-elsewhere", path: "/v2/team/aaa/manifests/v1", status: 200},
	{habit: "tags-drip", path: "/v2/team/drip/tags/list", status: 200, body: `"v1","v1"`},
	{habit: "catalog-drip", path: catalogPath, status: 200, body: `"team/app","team/app"`},
	{habit: "early-hints", path: latest, status: 200},
	{habit: "head-stale", method: "HEAD", path: "manifest", status: 200, fields: fields{"Docker-Content-Digest": digestOf([]byte("deleted manifest"))}},
	{habit: "referrers-endless", path: "/v2/team/app/manifests/endless-referrers", status: 200},
	{habit: "referrers-many-dead", path: "/v2/team/app/manifests/many-dead-referrers", status: 200},
	{habit: "manifest-drip", path: "manifest", status: 200, body: "{},{}"},
	{habit: "tags-stall", path: "/v2/team/stall/tags/list", status: 200, fails: true},
	{habit: "tags-garbage", path: "/v2/team/garbage/tags/list", fails: true},
	{habit: "tags-status-999", path: "/v2/team/status/tags/list", status: 999},
	{habit: "tags-endless-header", path: "/v2/team/header/tags/list", fails: true},
	{habit: "stall", path: "blob", status: 200, fails: true},
	{habit: "stall", path: "blob", repeat: 1, status: 200},
	{habit: "manifest-stall", path: "manifest", status: 200, fails: true},
	{habit: "size-overflow", path: "manifest", status: 200, body: `"size":1000000000000000000000000000000`},
	{habit: "size-float", path: "manifest", status: 200, body: `"size":4.27e2`},
	{habit: "size-string", path: "manifest", status: 200, body: `"size":"427"`},
	{habit: "size-null", path: "manifest", status: 200, body: `"size":null`},
	{habit: "prefix-repository", path: "/v2/team/tags/list", status: 200, body: `["latest"]`},
	{habit: "fallback-tags", path: appTags, status: 200, body: `"sha256-`},
	{habit: "n-max-422", path: cliTags + "?n=101", status: 422},
	{habit: "n-max-1", path: cliTags + "?n=2", status: 400},
	{habit: "tags-mixed-types", path: "/v2/team/mixed/tags/list", status: 200, body: `[1,null`},
	{habit: "link-extra", path: cliTags + "?last=v3.28", status: 200, fields: fields{"Link": "next_page="}, body: `["v3.29"]`},
	{habit: "link-extra", path: cliTags + "?next_page=" + cursor{120, 0}.token(), status: 200, fields: fields{"Link": ""}, body: `"tags":[]`},
	{habit: "tags-404", path: catalogPath, status: 200, body: `"team/deleted"`},
	{habit: "tags-404", path: "/v2/team/deleted/tags/list", status: 404, body: "NAME_UNKNOWN"},
	{habit: "tags-null", path: "/v2/team/cleaned/tags/list", status: 200, body: `"tags":null`},
	{habit: "tags-403", path: "/v2/team/denied/tags/list", status: 403},
	{habit: "tags-500", path: "/v2/team/broken/tags/list", status: 500},
	{habit: "tags-html", path: "/v2/team/signin/tags/list", status: 200, fields: fields{"Content-Type": "text/html"}, body: "Sign in"},
	{habit: "tags-errors-200", path: "/v2/team/errors/tags/list", status: 200, body: "errors"},
	{habit: "tags-truncated", path: "/v2/team/truncated/tags/list", status: 200, body: `"v1","v`},
	{habit: "tags-204", path: "/v2/team/nocontent/tags/list", status: 204},
	{habit: "tags-bomb", path: "/v2/team/bomb/tags/list", status: 200, body: "[[[["},
	{habit: "tags-endless-body", path: "/v2/team/endless/tags/list", status: 200, body: `,"v1","v1"`},
	{habit: "tags-silent", path: "/v2/team/silent/tags/list", fails: true},
	{habit: "tags-wrong-type", path: "/v2/team/wrongtype/tags/list", status: 200, body: `{"v1":1}`},
	{habit: "tags-escape", path: "/v2/team/escape/tags/list", status: 200, body: `\u001b[2J`},
	{habit: "errors-escape", path: "/v2/team/escapes/tags/list", status: 403, body: `\u001b]0;owned`},
	{habit: "duplicates", path: appTags, status: 200, body: `["latest","latest"`},
	{habit: "unsorted", path: appTags, status: 200, body: `["v1.0","v0.9","latest"]`},
	{habit: "null-lists", path: appTags + "?last=zzz", status: 200, body: `"tags":null`},
	{habit: "empty-pages", path: appTags, status: 200, fields: fields{"Link": "next_page="}, body: `"tags":[]`},
	{habit: "empty-pages", path: cliTags + "?last=v0.19", status: 200, fields: fields{"Link": "next_page="}, body: `"tags":[]`},
	{habit: "link-two-fields", path: cliTags, status: 200, fields: fields{"Link": `rel="prev"|<`}},
	{habit: "link-one-field", path: cliTags, status: 200, fields: fields{"Link": `rel="prev", <`}},
	{habit: "link-preload", path: appTags, status: 200, fields: fields{"Link": `rel="preload"`}},
	{habit: "link-parameters", path: cliTags, status: 200, fields: fields{"Link": `REL=Next`}},
	{habit: "link-relations", path: cliTags, status: 200, fields: fields{"Link": `rel="last next"`}},
	{habit: "link-absolute", path: cliTags, status: 200, fields: fields{"Link": "<http://127.0.0.1:5000/v2"}},
	{habit: "link-clear", path: cliTags, status: 200, fields: fields{"Link": "<http://registry.example.com/v2"}},
	{habit: "link-upper-host", path: cliTags, status: 200, fields: fields{"Link": "<HTTPS://REGISTRY.EXAMPLE.COM/v2"}},
	{habit: "link-default-port", path: cliTags, status: 200, fields: fields{"Link": "<https://registry.example.com:443/v2"}},
	{habit: "link-query", path: cliTags, status: 200, fields: fields{"Link": "<?last="}},
	{habit: "link-segment", path: cliTags, status: 200, fields: fields{"Link": "<list?last="}},
	{habit: "n-max-400", path: cliTags + "?n=1000", status: 400, body: "PAGINATION_NUMBER_INVALID"},
	{habit: "n-max-400", path: cliTags + "?n=100", status: 200, fields: fields{"Link": "n=100&last="}},
	{habit: "n-max-413", path: catalogPath + "?n=101", status: 413},
	{habit: "n-max-50", path: catalogPath + "?n=51", status: 400},
	{habit: "catalog-page", path: catalogPath, status: 200, fields: fields{"Link": "last=team%2F"}},
	{habit: "catalog-token", path: catalogPath + "?last=team/lib", status: 200, fields: fields{"Link": "next_page="}, body: `"team/app"`},
	{habit: "catalog-token-405", path: catalogPath + "?last=team/lib", status: 405},
	{habit: "catalog-last-only", path: catalogPath, status: 200, fields: fields{"Link": ""}, body: `team/small-16"]`},
	{habit: "catalog-whole", path: catalogPath + "?n=1&last=team/lib", status: 200, body: `"team/app"`},
	{habit: "catalog-401", path: catalogPath, status: 401},
	{habit: "catalog-403", path: catalogPath, status: 403},
	{habit: "catalog-404", path: catalogPath, status: 404},
	{habit: "catalog-405", path: catalogPath, status: 405},
	{habit: "catalog-500", path: catalogPath, status: 500},
	{habit: "catalog-html", path: catalogPath, status: 200, body: "Sign in"},
	{habit: "catalog-204", path: catalogPath, status: 204},
	{habit: "catalog-errors-200", path: catalogPath, status: 200, body: "errors"},
	{habit: "catalog-endless-body", path: catalogPath, status: 200, body: `"team/x","team/x"`},
	{habit: "catalog-link-back", path: catalogPath + "?last=team/tools/cli", status: 200, fields: fields{"Link": "<" + catalogPath + ">"}},
	{habit: "catalog-link-self", path: catalogPath, status: 200, fields: fields{"Link": "<" + catalogPath + ">"}},
	{habit: "catalog-repeat", path: catalogPath, status: 200, fields: fields{"Link": cursor{0, 1}.token()}},
	{habit: "catalog-endless", path: catalogPath + "?next_page=" + cursor{30, 1}.token(), status: 200, body: `"repositories":[]`},
	{habit: "catalog-other-host", path: catalogPath, status: 200, fields: fields{"Link": "<http://localhost:"}},
	{habit: "catalog-unreadable-link", path: catalogPath, status: 200, fields: fields{"Link": `; rel="next"`}},
	{habit: "prefix-401", path: "/v2/team/tags/list", status: 401},
	{habit: "prefix-403", path: "/v2/team/tags/list", status: 403},
	{habit: "prefix-empty", path: "/v2/team/tags/list", status: 200, body: `{"name":"team","tags":[]}`},
	{habit: "empty-google", path: "/v2/team/tags/list", status: 200, body: `{"child":[],"manifest":{},"name":"team","tags":[]}`},
	{habit: "empty-catalog", path: catalogPath, status: 200, body: `"repositories":[]`},
	{habit: "empty-prefix", path: catalogPath, status: 200, body: `["teammate/app"]`},

	{habit: "head-no-digest", method: "HEAD", path: latest, status: 200, fields: fields{"Docker-Content-Digest": ""}},
	{habit: "head-junk-digest", method: "HEAD", path: latest, status: 200, fields: fields{"Docker-Content-Digest": "latest"}},
	{habit: "head-no-length", method: "HEAD", path: latest, status: 200, fields: fields{"Content-Length": ""}},
	{habit: "head-404", method: "HEAD", path: latest, status: 404},
	{habit: "head-405", method: "HEAD", path: latest, status: 405},
	{habit: "head-403", method: "HEAD", path: latest, status: 403},
	{habit: "blob-head-405", method: "HEAD", path: "blob", status: 405},
	{habit: "blob-head-404", method: "HEAD", path: "blob", status: 404},
	{habit: "type-charset", path: latest, status: 200, fields: fields{"Content-Type": "+json; charset=utf-8"}},
	{habit: "type-none", path: latest, status: 200, fields: fields{"Content-Type": ""}},
	{habit: "type-octets", path: latest, status: 200, fields: fields{"Content-Type": "application/octet-stream"}},
	{habit: "type-text", path: latest, status: 200, fields: fields{"Content-Type": "text/plain"}},
	{habit: "type-json", path: latest, status: 200, fields: fields{"Content-Type": "application/json"}},
	{habit: "accept-strict", path: latest, header: h("Accept", ociManifest), status: 404},
	{habit: "accept-strict", path: latest, header: h("Accept", ociManifest+", "+ociIndex), status: 200},
	{habit: "404-text", path: "/v2/team/none/tags/list", status: 404, fields: fields{"Content-Type": "text/plain"}},
	{habit: "404-html", path: "/v2/team/none/tags/list", status: 404, fields: fields{"Content-Type": "text/html"}},
	{habit: "404-empty", path: "/v2/team/none/tags/list", status: 404, fields: fields{"Content-Length": "0"}},
	{habit: "ping-404", path: "/v2/", status: 404},
	{habit: "gzip-stored", path: "blob", header: h("Accept-Encoding", "gzip"), status: 200, fields: fields{"Content-Encoding": "gzip"}},
	{habit: "gzip-stored", path: "blob", header: h("Accept-Encoding", "identity"), status: 200, fields: fields{"Content-Encoding": ""}},
	{habit: "gzip-always", path: "blob", header: h("Accept-Encoding", "identity"), status: 200, fields: fields{"Content-Encoding": "gzip"}},
	{habit: "gzip-json", path: latest, header: h("Accept-Encoding", "gzip"), status: 200, fields: fields{"Content-Encoding": "gzip"}},
	{habit: "chunked", path: "blob", status: 200, fields: fields{"Content-Length": ""}},
	{habit: "close", path: latest, status: 200},
	{habit: "cut-ranges", path: "blob", status: 200, fails: true},
	{habit: "cut-ranges", path: "blob", header: h("Range", "bytes=19000-"), repeat: 1, status: 206, fields: fields{"Content-Range": "bytes 19000-"}},
	{habit: "cut-length", path: "blob", status: 200, fields: fields{"Content-Length": ""}},
	{habit: "cut-twice", path: "blob", repeat: 1, status: 200, fails: true},
	{habit: "cut-twice", path: "blob", repeat: 2, status: 200, header: h("Range", "bytes=5-"), fields: fields{"Content-Range": ""}},
	{habit: "cut-416", path: "blob", header: h("Range", "bytes=5-"), status: 416},
	{habit: "cut-wrong-range", path: "blob", header: h("Range", "bytes=5-"), repeat: 1, status: 206, fields: fields{"Content-Range": "bytes 0-"}},
	{habit: "cut-always", path: "blob", repeat: 5, status: 200, fails: true},
	{habit: "cut-manifests", path: latest, status: 200, fails: true},
	{habit: "cut-manifests", path: latest, repeat: 1, status: 200},
	{habit: "drip", path: "blob", status: 200},
	{habit: "silent-first", path: latest, fails: true},
	{habit: "silent-first", path: latest, repeat: 1, status: 200},
	{habit: "429-minute", path: latest, repeat: 20, status: 429, fields: fields{"Retry-After": ""}},
	{habit: "429-retry-after", path: latest, repeat: 20, status: 429, fields: fields{"Retry-After": "300"}},
	{habit: "429-date", path: latest, repeat: 20, status: 429, fields: fields{"Retry-After": "GMT"}},
	{habit: "429-each", path: latest, repeat: 5, status: 429},
	{habit: "429-first", path: latest, status: 429},
	{habit: "429-always", path: latest, repeat: 50, status: 429},
	{habit: "cdn-520", path: latest, repeat: 6, status: 520},
	{habit: "gateway-50x", path: latest, repeat: 13, status: 502},
	{habit: "reset", path: latest, header: h("Connection", "close"), repeat: 8, fails: true},
	{habit: "redirect", path: "blob", status: 307, fields: fields{"Location": "http://localhost:5001/storage/"}},
	{habit: "redirect-302", path: "blob", status: 302},
	{habit: "redirect-303", path: "blob", status: 303},
	{habit: "redirect-308", path: "blob", status: 308},
	{habit: "redirect-relative", path: "blob", status: 307, fields: fields{"Location": "/storage/"}},
	{habit: "redirect-hops", path: "blob", status: 307, fields: fields{"Location": "hops=4"}},
	{habit: "redirect-raw-url", path: "blob", status: 307, fields: fields{"Location": "a|b"}},
	{habit: "redirect-expired", path: "blob", status: 307, fields: fields{"Location": ".1&hops"}},
	{habit: "redirect-once", path: "blob", status: 307},
	{habit: "redirect-no-credentials", path: "blob", status: 307},
	{habit: "redirect-manifests", path: latest, status: 307, fields: fields{"Location": "/manifests/team/app@sha256:"}},
	{habit: "redirect-clear", path: "blob", status: 307, fields: fields{"Location": "http://clear.example.net/storage/"}},
	{habit: "redirect-loop", path: "image", status: 302, fields: fields{"Location": "?again"}},
	{habit: "redirect-nowhere", path: "image", status: 307, fields: fields{"Location": ""}},
	{habit: "redirect-file", path: "image", status: 307, fields: fields{"Location": "file:"}},
	{habit: "tls", path: latest, status: 200},
	{habit: "token", path: "/v2/", status: 401, fields: fields{"Www-Authenticate": `Bearer realm="http://localhost:5002/token"`}},
	{habit: "token-repository-only", path: "/v2/", status: 200},
	{habit: "token-repository-only", path: latest, status: 401, fields: fields{"Www-Authenticate": `scope="repository:team/app:pull"`}},
	{habit: "token-expires", path: latest, status: 401},
	{habit: "token-expires-400", path: latest, status: 401},
	{habit: "token-expires-silently", path: latest, status: 401},
	{habit: "token-catalog-scope", path: catalogPath, status: 401, fields: fields{"Www-Authenticate": `scope="registry:catalog:*"`}},
	{habit: "token-access-token", path: latest, status: 401},
	{habit: "token-no-expiry", path: latest, status: 401},
	{habit: "token-odd-challenge", path: latest, status: 401, fields: fields{"Www-Authenticate": `BEARER  charset=UTF-8, REALM=`}},
	{habit: "token-many-challenges", path: latest, status: 401, fields: fields{"Www-Authenticate": `Negotiate|Digest`}},
	{habit: "token-throttled", path: latest, status: 401},
	{habit: "token-login", path: latest, status: 401},
	{habit: "token-rotated", path: latest, status: 401},
	{habit: "token-denied", path: latest, status: 401},
	{habit: "token-html", path: latest, status: 401},
	{habit: "token-endless", path: latest, status: 401},
	{habit: "token-clear", path: latest, status: 401, fields: fields{"Www-Authenticate": `realm="http://clear.example.net/token"`}},
	{habit: "basic", path: latest, status: 401, fields: fields{"Www-Authenticate": `Basic realm=`}},
	{habit: "basic", path: latest, header: h("Authorization", "Basic cm9ib3Q6Zmlyc3Qtc2VjcmV0"), status: 200},
	{habit: "basic-rotated", path: latest, header: h("Authorization", "Basic cm9ib3Q6Zmlyc3Qtc2VjcmV0"), repeat: 60, status: 401},
	{habit: "sign-in", path: "/v2/", status: 200, body: "Sign in"},
	{habit: "referrers-404", path: "referrers", status: 404},
	{habit: "referrers-405", path: "referrers", status: 405},
	{habit: "referrers-406", path: "referrers", status: 406},
	{habit: "referrers-400", path: "referrers", status: 400},
	{habit: "referrers-501", path: "referrers", status: 501},
	{habit: "referrers-401", path: "referrers", status: 401},
	{habit: "referrers-403", path: "referrers", status: 403},
	{habit: "referrers-500", path: "referrers", status: 500},
	{habit: "referrers-html", path: "referrers", status: 200, fields: fields{"Content-Type": "text/html"}},
	{habit: "referrers-page", path: "referrers?n=50", status: 200, body: "cosign"},
	{habit: "referrers-one-404", path: "/v2/team/app/manifests/unreferred", status: 200},
	{habit: "referrers-dead", path: "/v2/team/app/manifests/dead-referrer", status: 200},
	{habit: "referrers-cycle", path: "/v2/team/app/manifests/cycle", status: 200},

	{habit: "buildkit-cache", path: "manifest", status: 200, body: cacheConfig},
	{habit: "sparse-index", path: "manifest", status: 200, body: "s390x"},
	{habit: "tag-404", path: "manifest", status: 404},
	{habit: "size-small", path: "manifest", status: 200},
	{habit: "size-large", path: "manifest", status: 200},
	{habit: "size-huge", path: "manifest", status: 200, body: `"size":1000000000000000`},
	{habit: "size-zero", path: "manifest", status: 200, body: `"size":0`},
	{habit: "size-negative", path: "manifest", status: 200, body: `"size":-5`},
	{habit: "sizes-disagree", path: "/v2/team/app/manifests/sizes-disagree-wrong", status: 200},
	{habit: "child-size", path: "manifest", status: 200},
	{habit: "inline-data", path: "manifest", status: 200, body: `"data":"aW5saW5l`},
	{habit: "inline-wrong", path: "manifest", status: 200, body: `"data":"`},
	{habit: "empty-config", path: "/v2/team/artifact/manifests/empty-config", status: 200, body: `"data":"e30="`},
	{habit: "foreign-layer", path: "manifest", status: 200, body: ociForeign},
	{habit: "sha512", path: "manifest", status: 200, body: "sha512:"},
	{habit: "zero-bytes", path: "manifest", status: 200, body: digestOf(nil)},
	{habit: "schema-1", path: "manifest", status: 200, body: "fsLayers"},
	{habit: "artifact-manifest", path: "manifest", status: 200, body: `"blobs"`},
	{habit: "deep-index", path: "manifest", status: 200},
	{habit: "repeated-child", path: "manifest", status: 200},
	{habit: "null-index", path: "manifest", status: 200, body: `"manifests":null`},
	{habit: "attestation", path: "manifest", status: 200, body: `"architecture":"unknown"`},
	{habit: "index-no-type", path: "manifest", status: 200, body: `{"schemaVersion":2,"manifests":[{"mediaType"`},
	{habit: "child-no-type", path: "manifest", status: 200, body: `"manifests":[{"digest"`},
	{habit: "pretty-json", path: "manifest", status: 200, body: "\n\t"},
	{habit: "huge-manifest", path: "manifest", status: 200, body: "xxxx"},
	{habit: "oversized-manifest", path: "manifest", status: 200, body: "xxxx"},
	{habit: "dead-children", path: "/v2/team/crowded/manifests/dead", status: 200},
	{habit: "unparsable-children", path: "/v2/team/unparsable/manifests/dead", status: 200},
	{habit: "manifest-not-json", path: "manifest", status: 200, body: "not JSON"},
	{habit: "manifest-bomb", path: "manifest", status: 200, body: "[[[["},
	{habit: "manifest-html", path: "manifest", status: 200, body: "Sign in"},
	{habit: "manifest-403", path: "manifest", status: 403},
	{habit: "manifest-412", path: "manifest", status: 412},
	{habit: "manifest-500", path: "manifest", status: 500},
	{habit: "manifest-corrupt", path: "manifest", status: 200, body: `"layers":[]`},
	{habit: "manifest-endless", path: "manifest", status: 200, body: `{},{},`},
	{habit: "blob-403", path: "image", status: 403},
	{habit: "blob-500", path: "image", status: 500},
	{habit: "blob-404", path: "image", status: 404},
	{habit: "blob-corrupt", path: "image", status: 200},
	{habit: "blob-short", path: "image", status: 200},
	{habit: "blob-long", path: "image", status: 200},
	{habit: "blob-endless", path: "image", status: 200, body: "xxxx"},
	{habit: "blob-silent", path: "image", fails: true},
	{habit: "blob-html", path: "image", status: 200, body: "Sign in"},
}

// TestHabits observes each habit with a plain client, in virtual time.
func TestHabits(t *testing.T) {
	t.Parallel()
	content := base()
	blob, _ := largest()
	seen := map[string]bool{}
	for i, o := range observations {
		seen[o.habit] = true
		t.Run(o.habit+"-"+strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { o.check(t, content, blob) })
		})
	}
	for _, name := range Names() {
		if !seen[name] {
			t.Errorf("habit %q is not observed", name)
		}
	}
}

func (o observation) check(t *testing.T, content *Content, blob string) {
	s, err := NewInMemory(content, o.habit)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := client(t, s)
	defer c.CloseIdleConnections()
	app := s.content.Repositories[appName]
	path := o.path
	switch {
	case path == "blob":
		path = blob
	case path == "manifest":
		path = "/v2/" + appName + "/manifests/" + o.habit
	case path == "image":
		var d document
		tag := strings.TrimPrefix(o.habit, "redirect-")
		if err := json.Unmarshal(app.Manifests[app.Tags[tag]].Body, &d); err != nil {
			t.Fatal(err)
		}
		path = "/v2/" + appName + "/blobs/" + d.Layers[0].Digest
	case strings.HasPrefix(path, "referrers"):
		path = "/v2/" + appName + "/referrers/" + app.Tags["latest"] + strings.TrimPrefix(path, "referrers")
	}
	method := o.method
	if method == "" {
		method = http.MethodGet
	}
	for range o.repeat {
		_, _, _ = ask(t, c, method, s.URL()+path, o.header)
	}
	resp, body, err := ask(t, c, method, s.URL()+path, o.header)
	if fails := err != nil; fails != o.fails || resp.StatusCode != o.status {
		t.Fatalf("status %d, error %v; want %d, an error: %v", resp.StatusCode, err, o.status, o.fails)
	}
	for name, want := range o.fields {
		got := strings.Join(resp.Header.Values(name), "|")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q in it", name, got, want)
		}
	}
	if !strings.Contains(body, o.body) {
		t.Errorf("body %.300q, want %q in it", body, o.body)
	}
}

// TestToken fetches tokens until they expire.
func TestToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		habit  string
		status int
	}{
		{"token-expires", http.StatusUnauthorized},
		{"token-expires-400", http.StatusBadRequest},
		{"token-expires-silently", http.StatusUnauthorized},
	} {
		t.Run(test.habit, func(t *testing.T) {
			t.Parallel()
			s := serverOf(t, test.habit)
			c := client(t, s)
			_, body, _ := ask(t, c, http.MethodGet, s.url(auth)+"/token?service=rude&scope=repository:"+appName+":pull", nil)
			var issued struct{ Token string }
			if err := json.Unmarshal([]byte(body), &issued); err != nil {
				t.Fatal(err)
			}
			header := h("Authorization", "Bearer "+issued.Token)
			for i := range tokenUses + 1 {
				want := http.StatusOK
				if i == tokenUses {
					want = test.status
				}
				if resp, _, _ := ask(t, c, http.MethodGet, s.URL()+latest, header); resp.StatusCode != want {
					t.Fatalf("request %d: status %d, want %d", i, resp.StatusCode, want)
				}
			}
		})
	}
}

// TestSignatures follows redirects with signatures that are refused.
func TestSignatures(t *testing.T) {
	t.Parallel()
	path, blob := largest()
	for _, test := range []struct {
		habit    string
		statuses []int // of the first and second redirect, and of the second again
	}{
		{"redirect-expired", []int{403, 200, 200}},
		{"redirect-expired-400", []int{400, 200, 200}},
		{"redirect-once", []int{200, 200, 403}},
		{"redirect-raw-url", []int{200, 200, 200}},
		{"redirect-relative", []int{200, 200, 200}},
	} {
		t.Run(test.habit, func(t *testing.T) {
			t.Parallel()
			s := serverOf(t, test.habit)
			c := client(t, s)
			location := ""
			for i, want := range test.statuses {
				if i < 2 {
					resp, _, _ := ask(t, c, http.MethodGet, s.URL()+path, nil)
					u, err := resp.Location()
					if err != nil {
						t.Fatal(err)
					}
					location = u.String()
				}
				resp, body, _ := ask(t, c, http.MethodGet, location, nil)
				if resp.StatusCode != want || want == http.StatusOK && body != string(blob) {
					t.Errorf("request %d for %s: status %d and %d bytes, want %d", i, location, resp.StatusCode, len(body), want)
				}
			}
		})
	}
}

// TestViolations checks what is reported of a careless client.
func TestViolations(t *testing.T) {
	t.Parallel()
	path, _ := largest()
	s := serverOf(t, "redirect-clear")
	c := client(t, s)
	resp, _, _ := ask(t, c, http.MethodGet, s.URL()+path, nil)
	_, _, _ = ask(t, c, http.MethodGet, resp.Header.Get("Location"), h("Authorization", "Basic eDp5"))
	_, _, _ = ask(t, c, http.MethodGet, "http://169.254.169.254/", nil)
	for i, want := range []string{"request in the clear after TLS", "credentials for another host", "connection to another host"} {
		if got := s.Violations(); len(got) != 3 || !strings.HasPrefix(got[i], want) {
			t.Errorf("violations %q, want %q", got, want)
		}
	}
}

// TestClock checks that Retry-After is scaled on loopback addresses.
func TestClock(t *testing.T) {
	t.Parallel()
	s, err := NewWith(base(), func(k *Knobs) { k.Scale = 0.001 }, "429-retry-after")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := client(t, s)
	deadline := time.Now().Add(10 * time.Second)
	limited := false
	for time.Now().Before(deadline) {
		resp, _, err := ask(t, c, http.MethodGet, s.URL()+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case resp.StatusCode == http.StatusTooManyRequests:
			limited = true
		case limited:
			return // the quota is over
		}
	}
	t.Error("the quota is not over after 10 s")
}
