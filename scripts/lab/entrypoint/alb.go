package entrypoint

import (
	"net/http"
	"strings"
)

const traceID = "Root=1-5c536348-3d683b8b04734faae651f476"

// ALB returns a handler that simulates an Application Load Balancer with a
// Lambda target group. multi is the target group's attribute
// lambda.multi_value_headers.enabled.
//
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
func ALB(invoke Invoke, multi bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, query := target(r)
		headers := forwardedHeaders(r)
		// The load balancer appends its peer's address to the client's header.
		headers["x-forwarded-for"] = []string{strings.Join(append(headers["x-forwarded-for"], clientAddr(r).Addr().String()), ", ")}
		headers["x-forwarded-port"] = []string{port(r)}
		headers["x-forwarded-proto"] = []string{"http"}
		headers["x-amzn-trace-id"] = []string{traceID}
		// It splits the query into parameters, but does not decode them.
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
			event["headers"] = lastValues(headers)
			event["queryStringParameters"] = lastValues(parameters)
		}
		resp, ok := call(w, r, invoke, event)
		if !ok {
			return
		}
		// A real load balancer returns 502 for a null member and for headers in
		// the form of the other mode.
		if resp.StatusDescription == nil || resp.Body == nil || multi && resp.MultiValueHeaders == nil || !multi && resp.Headers == nil {
			http.Error(w, "502 Bad Gateway: the function's response has a missing or null member", http.StatusBadGateway)
			return
		}
		write(w, resp)
	})
}

// lastValues returns the last value of each name, as in single-value mode.
func lastValues(values map[string][]string) map[string]string {
	out := map[string]string{}
	for name, v := range values {
		out[name] = v[len(v)-1]
	}
	return out
}
