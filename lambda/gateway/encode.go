package gateway

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"archeio/lambda/redirect"
)

// Encode returns the response as JSON. No member is null: a load balancer would
// respond with 502.
func (s Shape) Encode(r *redirect.Response) []byte {
	out := make([]byte, 0, 256+len(r.Location)+len(r.Body)) // enough for a redirect
	if s == EdgeRequest {
		return edgeResponse(out, r)
	}
	out = append(out, `{"statusCode":`...)
	out = strconv.AppendInt(out, int64(r.Status), 10)
	if s == ALB || s == ALBMulti {
		out = append(out, `,"statusDescription":"`...)
		out = strconv.AppendInt(out, int64(r.Status), 10)
		out = append(out, ' ')
		out = append(out, http.StatusText(r.Status)...)
		out = append(out, '"')
	}
	open, end := `,"headers":{`, ""
	before, after := `":`, ""
	if s == ALBMulti || s == ProxyMulti {
		open, before, after = `,"multiValueHeaders":{`, `":[`, `]`
	}
	out = append(out, open...)
	for _, f := range r.Fields() {
		if f.Value == "" {
			continue
		}
		out = append(out, end...)
		out = append(out, '"')
		out = append(out, f.Name...) // needs no escaping
		out = append(out, before...)
		out = quote(out, f.Value)
		out = append(out, after...)
		end = ","
	}
	if r.Relayed != nil {
		return s.relayed(out, r, end, before, after)
	}
	out = append(out, `},"body":`...)
	out = quote(out, r.Body)
	return append(out, `,"isBase64Encoded":false}`...)
}

// edgeResponse appends a generated response of Lambda@Edge.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-generating-http-responses-in-requests.html
func edgeResponse(out []byte, r *redirect.Response) []byte {
	out = append(out, `{"status":"`...)
	out = strconv.AppendInt(out, int64(r.Status), 10)
	out = append(out, `","statusDescription":"`...)
	out = append(out, http.StatusText(r.Status)...)
	out = append(out, `","headers":{`...)
	end := ""
	for _, f := range r.Fields() {
		if f.Value == "" {
			continue
		}
		out = edgeField(append(out, end...), f)
		end = ","
	}
	if r.Relayed != nil {
		return relayedEdge(out, r, end)
	}
	out = append(out, `},"body":`...)
	out = quote(out, r.Body)
	return append(out, `,"bodyEncoding":"text"}`...)
}

// quote appends a JSON string. Bytes that are not UTF-8 are replaced; only the
// detail of an error can have them.
func quote(out []byte, s string) []byte {
	begin := len(out)
	// Most strings need no escaping.
	out = append(append(out, '"'), s...)
	if plain(out[begin+1:]) == len(s) {
		return append(out, '"')
	}
	out, _ = jsontext.AppendQuote(out[:begin], s)
	return out
}
