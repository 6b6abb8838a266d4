package entrypoint

import (
	"net/http"
	"strings"
)

const traceID = "Root=1-5c536348-3d683b8b04734faae651f476"

// ALB plays an Application Load Balancer with a Lambda target group. multi is
// the target group's lambda.multi_value_headers.enabled.
//
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
func ALB(invoke Invoke, multi bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, query := target(r)
		headers := lowered(r)
		// The load balancer appends its peer to what the client sent.
		headers["x-forwarded-for"] = []string{strings.Join(append(headers["x-forwarded-for"], peer(r).Addr().String()), ", ")}
		headers["x-forwarded-port"] = []string{port(r)}
		headers["x-forwarded-proto"] = []string{"http"}
		headers["x-amzn-trace-id"] = []string{traceID}
		// It does not decode parameters, but takes them apart.
		parameters := map[string][]string{}
		for item := range strings.SplitSeq(query, "&") {
			if item != "" {
				key, value, _ := strings.Cut(item, "=")
				parameters[key] = append(parameters[key], value)
			}
		}
		event := map[string]any{
			"requestContext": map[string]any{"elb": map[string]string{
				"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/archeio/49e9d65c45c6791a",
			}},
			"httpMethod":      r.Method,
			"path":            path,
			"body":            "",
			"isBase64Encoded": false,
		}
		if multi {
			event["multiValueHeaders"] = headers
			event["multiValueQueryStringParameters"] = parameters
		} else {
			event["headers"] = last(headers)
			event["queryStringParameters"] = last(parameters)
		}
		a, ok := ask(w, r, invoke, event)
		if !ok {
			return
		}
		// The real one makes a 502 of a null, and of the wrong kind of header
		// fields.
		if a.StatusDescription == nil || a.Body == nil || multi && a.MultiValueHeaders == nil || !multi && a.Headers == nil {
			http.Error(w, "502 Bad Gateway: the function's answer has a null or lacks a member", http.StatusBadGateway)
			return
		}
		write(w, a)
	})
}

// last keeps the last value of each name, as the single-value mode does.
func last(values map[string][]string) map[string]string {
	out := map[string]string{}
	for name, v := range values {
		out[name] = v[len(v)-1]
	}
	return out
}
