package constructs

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/oci"
	"archeio/lambda/redirect"
	"archeio/ranges/regions"
)

const (
	// maxFunction and maxOrigins are CloudFront quotas, in bytes and per
	// distribution. The second can be raised.
	// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
	maxFunction = 10 << 10
	maxOrigins  = 100

	// positions encode a position in a list of origins as one character.
	positions = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
)

//go:embed viewer_request.js
var viewerRequest string

// ViewerRequest returns the code of the CloudFront function that runs for each viewer
// request: it rejects methods other than GET and HEAD and paths with more than one
// spelling, tells the redirector the host that the client asked and whether the
// request has an Authorization header, and selects the nearest origin and one to fail over to. If
// anything in it fails, the request goes to the origin of its cache behavior.
//
// Its table of countries is derived from the coordinates that the redirector uses
// too. It returns an error if the stage exceeds CloudFront's quotas.
func ViewerRequest(s *stage.Stage) (string, error) {
	mirrors := s.Routed()
	if n := len(mirrors) + len(s.Redirectors); n > maxOrigins || len(mirrors) > len(positions) || len(s.Redirectors) > len(positions) {
		return "", fmt.Errorf("stage %q: too many origins: %d mirrors and %d redirectors: want at most %d together, and %d of each",
			s.Name, len(mirrors), len(s.Redirectors), maxOrigins, len(positions))
	}
	code := viewerRequest
	for name, value := range map[string]string{
		"/*IMPORT*/":      importOf(s),
		"/*MIRRORS*/":     literal(originIDs("mirror", mirrors)),
		"/*REDIRECTORS*/": literal(originIDs("redirector", s.Redirectors)),
		"/*PLACES*/":      places(s),
		"/*POINTS*/":      literal(points(s.Redirectors)),
		"/*CODE*/":        positions,
		"/*BLOBS*/":       literal("/" + config.BlobPrefix),
		"/*BLOB*/":        "/^" + strings.ReplaceAll("/"+config.BlobPrefix, "/", `\/`) + "sha256:[0-9a-f]{64}$/",
		"/*REFUSAL*/":     literal(refusal()),
		"/*UNKNOWN*/":     literal(unknownPath()),
		"/*QUERY*/\n":     query(s),
		"/*CODES*/":       literal(failoverCodes(s)),
	} {
		code = strings.ReplaceAll(code, name, value)
	}
	if code = strings.TrimLeft(code, "\n"); len(code) > maxFunction {
		return "", fmt.Errorf("stage %q: the CloudFront function has %d bytes, CloudFront allows %d: configure fewer mirrors and redirectors", s.Name, len(code), maxFunction)
	}
	return code, nil
}

// failoverCodes are the status codes of a redirector after which another one gets the
// request. A relaying redirector passes on what an upstream that is shared by all of
// them responds with as 429 or 502.
func failoverCodes(s *stage.Stage) []int {
	if s.Relays() {
		return []int{500, 503, 504}
	}
	return []int{429, 500, 502, 503, 504}
}

// query returns the code that removes the query of a request other than for a list, in
// a relaying stage. It would be part of the cache key, so that clients could bypass the
// cache and use up the limits of the upstream. The parameters of lists depend on the
// upstream: the token of a page has any name.
func query(s *stage.Stage) string {
	if !s.Relays() {
		return ""
	}
	return `  if (/^\/v2\//.test(request.uri) && !/\/(tags\/list|referrers\/[^\/]+)$/.test(request.uri)) {
    request.querystring = {};
  }
`
}

// choice reports whether there are several mirrors or redirectors.
func choice(s *stage.Stage) bool { return len(s.Routed()) > 1 || len(s.Redirectors) > 1 }

func importOf(s *stage.Stage) string {
	if choice(s) {
		return "import cf from 'cloudfront';"
	}
	return ""
}

func originIDs(kind string, names []string) []string {
	ids := make([]string, len(names))
	for i, name := range names {
		ids[i] = kind + "-" + name
	}
	return ids
}

// places returns the positions of the origins of each country.
func places(s *stage.Stage) string {
	if !choice(s) {
		return "{}"
	}
	var b strings.Builder
	for country := range regions.Countries() {
		at, _ := regions.Country(country)
		mirror, mirrorNext := MirrorsFor(s, at)
		redirector := stage.Nearest(s.Redirectors, at, -1)
		redirectorNext := stage.Nearest(s.Redirectors, at, redirector)
		fmt.Fprintf(&b, ",%s:'", country)
		for _, i := range []int{mirror, mirrorNext, redirector, max(redirectorNext, 0)} {
			b.WriteByte(positions[i])
		}
		b.WriteByte('\'')
	}
	return "{" + b.String()[1:] + "}"
}

// MirrorsFor returns the positions of the mirror nearest to a point and of the one to
// fail over to: the primary, which has every blob, or the second nearest if the
// primary is the nearest.
func MirrorsFor(s *stage.Stage, at regions.Point) (first, second int) {
	mirrors := s.Routed()
	first = stage.Nearest(mirrors, at, -1)
	for i, name := range mirrors {
		if name == s.Primary && i != first {
			return first, i
		}
	}
	return first, max(stage.Nearest(mirrors, at, first), 0)
}

func points(names []string) [][3]float64 {
	short := func(f float64) float64 { return math.Round(f*1e4) / 1e4 }
	out := make([][3]float64, len(names))
	for i, name := range names {
		at, _ := regions.Find("AWS", name)
		sinLat, cosLat := math.Sincos(at.Point.Latitude * math.Pi / 180)
		sinLon, cosLon := math.Sincos(at.Point.Longitude * math.Pi / 180)
		out[i] = [3]float64{short(cosLat * cosLon), short(cosLat * sinLon), short(sinLat)}
	}
	return out
}

// response is what a CloudFront function returns instead of a request.
type response struct {
	StatusCode        int                          `json:"statusCode"`
	StatusDescription string                       `json:"statusDescription"`
	Headers           map[string]map[string]string `json:"headers"`
	Body              string                       `json:"body"`
}

// responseOf returns a response of the redirector as one of the edge.
func responseOf(resp redirect.Response) response {
	r := response{resp.Status, http.StatusText(resp.Status), map[string]map[string]string{}, resp.Body}
	for _, field := range resp.Fields() {
		if field.Value != "" {
			r.Headers[strings.ToLower(field.Name)] = map[string]string{"value": field.Value}
		}
	}
	return r
}

// refusal returns the redirector's response to methods other than GET and HEAD, with
// METHOD in place of the method.
func refusal() response {
	resp := redirect.Refuse(oci.MethodNotAllowed("METHOD"))
	resp.Allow = "GET, HEAD"
	return responseOf(resp)
}

// unknownPath returns the response to a path that has no valid spelling. It is never
// cached: the path may be anything.
func unknownPath() response {
	resp := redirect.Refuse(oci.NotFound(""))
	resp.CacheControl = "no-store"
	return responseOf(resp)
}

// literal returns a value as JavaScript, of which JSON is a subset.
func literal(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("constructs: " + strconv.Quote(err.Error())) // it has only texts and numbers
	}
	return string(text)
}
