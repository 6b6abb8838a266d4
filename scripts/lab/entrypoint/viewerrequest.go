package entrypoint

import (
	"net/http"
	"regexp"
	"strings"

	"archeio/lambda/config"
	"archeio/lambda/oci"
	"archeio/lambda/redirect"
)

var (
	encodedColon = regexp.MustCompile(`%3[Aa]`)
	// misspelled matches paths with empty or dot segments, with other escapes
	// than that of a colon, and with bytes that are not printable ASCII.
	misspelled = regexp.MustCompile(`[^!-~]|[%\\]|//|/\.\.?(/|$)`)
	blobPath   = regexp.MustCompile(`^/` + config.BlobPrefix + `sha256:[0-9a-f]{64}$`)
)

// viewerRequest simulates the CloudFront function for viewer requests, in
// infra/constructs/viewer_request.js, except for the choice of an origin. It
// returns the path of the request to the origin. If it reports false, the client
// receives the response instead.
func viewerRequest(method, path string) (string, redirect.Response, bool) {
	if method != http.MethodGet && method != http.MethodHead {
		resp := redirect.Refuse(oci.MethodNotAllowed(method))
		resp.Allow = "GET, HEAD"
		return "", resp, false
	}
	path = encodedColon.ReplaceAllString(path, ":")
	if misspelled.MatchString(path) || strings.HasPrefix(path, "/"+config.BlobPrefix) && !blobPath.MatchString(path) {
		resp := redirect.Refuse(oci.NotFound(""))
		resp.CacheControl = "no-store"
		return "", resp, false
	}
	return path, redirect.Response{}, true
}
