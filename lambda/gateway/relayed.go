package gateway

import (
	"encoding/base64"
	"unicode/utf8"

	"archeio/lambda/redirect"
)

// maxResponse is the size of the largest response of a load balancer, and of one that is
// generated at the edge, in bytes.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
const maxResponse = 1_000_000

// relayed appends the rest of a response with a body that may not be text: its header
// fields, and the body as text or in base64, whichever is shorter.
func (s Shape) relayed(out []byte, r *redirect.Response, end, before, after string) []byte {
	for _, f := range r.Relayed.Fields() {
		if f.Value == "" {
			continue
		}
		out = append(out, end...)
		out = append(out, '"')
		out = append(out, f.Name...)
		out = append(out, before...)
		out = quote(out, f.Value)
		out = append(out, after...)
		end = ","
	}
	out, encoded := body(append(out, `},"body":`...), r.Body)
	if encoded {
		out = append(out, `,"isBase64Encoded":true}`...)
	} else {
		out = append(out, `,"isBase64Encoded":false}`...)
	}
	if (s == ALB || s == ALBMulti) && len(out) > maxResponse {
		return s.Encode(redirect.TooLarge())
	}
	return out
}

// relayedEdge is as relayed, for a generated response of Lambda@Edge.
func relayedEdge(out []byte, r *redirect.Response, end string) []byte {
	for _, f := range r.Relayed.Fields() {
		// CloudFront sets Content-Length itself and rejects a response that has it.
		if f.Value == "" || f.Name == "Content-Length" {
			continue
		}
		out = edgeField(append(out, end...), f)
		end = ","
	}
	out, encoded := body(append(out, `},"body":`...), r.Body)
	if encoded {
		out = append(out, `,"bodyEncoding":"base64"}`...)
	} else {
		out = append(out, `,"bodyEncoding":"text"}`...)
	}
	if len(out) > maxResponse {
		return EdgeRequest.Encode(redirect.TooLarge())
	}
	return out
}

// body appends a body as a JSON string, as text or in base64, and reports which.
func body(out []byte, text string) ([]byte, bool) {
	length := base64.StdEncoding.EncodedLen(len(text)) + len(`""`)
	if utf8.ValidString(text) {
		if quoted := quote(out, text); len(quoted)-len(out) <= length {
			return quoted, false
		}
	}
	out = append(out, '"')
	out = base64.StdEncoding.AppendEncode(out, []byte(text))
	return append(out, '"'), true
}

// edgeField appends a header field in the format of Lambda@Edge.
func edgeField(out []byte, f redirect.Field) []byte {
	out = append(out, '"')
	for i := range len(f.Name) {
		c := f.Name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	out = append(out, `":[{"key":`...)
	out = quote(out, f.Name)
	out = append(out, `,"value":`...)
	out = quote(out, f.Value)
	out = append(out, `}]`...)
	return out
}
