package constructs

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/oci"
	"archeio/lambda/redirect"
	"archeio/ranges/regions"
)

const (
	// longestFunction and mostOrigins are quotas of CloudFront; of the second
	// more can be had.
	// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
	longestFunction = 10 << 10
	mostOrigins     = 100

	// positions spell a position in a list of origins in one character.
	positions = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
)

//go:embed viewer_request.js
var viewerRequest string

// ViewerRequest is the code of the function that CloudFront runs before
// everything else: it refuses methods that are not for reading, tells the
// redirector of an Authorization header, and sends to the nearest origin with
// a second one to fail over to. Where anything goes wrong in it, the request
// goes to the origin of its behaviour.
//
// Its table of countries comes from the same places as the redirector's own
// decisions. The error is for a stage too large for CloudFront's quotas.
func ViewerRequest(s *stage.Stage) (string, error) {
	mirrors := s.Routed()
	if n := len(mirrors) + len(s.Redirectors); n > mostOrigins || len(mirrors) > len(positions) || len(s.Redirectors) > len(positions) {
		return "", fmt.Errorf("stage %q: a distribution takes %d origins, and up to %d of a kind; mirrors and redirectors are %d and %d",
			s.Name, mostOrigins, len(positions), len(mirrors), len(s.Redirectors))
	}
	body, headers := refusal()
	code := viewerRequest
	for name, value := range map[string]string{
		"/*IMPORT*/":      importOf(s),
		"/*MIRRORS*/":     literal(originIDs("mirror", mirrors)),
		"/*REDIRECTORS*/": literal(originIDs("redirector", s.Redirectors)),
		"/*PLACES*/":      places(s),
		"/*POINTS*/":      literal(points(s.Redirectors)),
		"/*CODE*/":        positions,
		"/*BLOBS*/":       literal("/" + config.BlobPrefix),
		"/*REFUSAL*/":     literal(map[string]any{"body": body, "headers": headers}),
	} {
		code = strings.Replace(code, name, value, 1)
	}
	if code = strings.TrimLeft(code, "\n"); len(code) > longestFunction {
		return "", fmt.Errorf("stage %q: the function at the edge has %d bytes, CloudFront takes %d: name fewer mirrors and redirectors", s.Name, len(code), longestFunction)
	}
	return code, nil
}

// choice tells whether there is more than one origin of a kind.
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

// places spells, for each country, the positions of its origins.
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

// MirrorsFor answers the positions of the mirror nearest to a point and of the
// one to fail over to: the primary, as it has every blob, or the next one where
// the primary is the nearest itself.
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

// refusal is the redirector's own answer to other methods than GET and HEAD,
// with the word METHOD where the method stands.
func refusal() (body string, headers map[string]map[string]string) {
	resp := redirect.Refuse(oci.MethodNotAllowed("METHOD"))
	resp.Allow = "GET, HEAD"
	headers = map[string]map[string]string{}
	for _, field := range resp.Fields() {
		if field.Value != "" {
			headers[strings.ToLower(field.Name)] = map[string]string{"value": field.Value}
		}
	}
	return resp.Body, headers
}

// literal writes a value as JavaScript, which has all of JSON.
func literal(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("constructs: " + strconv.Quote(err.Error())) // texts and numbers only
	}
	return string(text)
}
