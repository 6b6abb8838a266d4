package gateway

import (
	stdjson "encoding/json"
	"errors"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"

	"archeio/lambda/clientip"
	"archeio/lambda/redirect"
)

// plainEvent has the members of the events of all entry points, for a JSON library
// to decode: the obvious way to decode an event.
type plainEvent struct {
	RequestContext                  *plainContext       `json:"requestContext"`
	HTTPMethod                      *string             `json:"httpMethod"`
	Path                            *string             `json:"path"`
	RawPath                         string              `json:"rawPath"`
	RawQueryString                  string              `json:"rawQueryString"`
	Headers                         map[string]string   `json:"headers"`
	MultiValueHeaders               map[string][]string `json:"multiValueHeaders"`
	QueryStringParameters           map[string]string   `json:"queryStringParameters"`
	MultiValueQueryStringParameters map[string][]string `json:"multiValueQueryStringParameters"`
	Records                         []struct {
		CF *struct {
			Config struct {
				EventType string `json:"eventType"`
			} `json:"config"`
			Request *struct {
				ClientIP    string                         `json:"clientIp"`
				Method      string                         `json:"method"`
				URI         string                         `json:"uri"`
				QueryString string                         `json:"querystring"`
				Headers     map[string][]map[string]string `json:"headers"`
			} `json:"request"`
		} `json:"cf"`
	} `json:"Records"`
}

type plainContext struct {
	ELB        *struct{}      `json:"elb"`
	HTTP       *plainHTTP     `json:"http"`
	Identity   *plainIdentity `json:"identity"`
	DomainName string         `json:"domainName"`
	Stage      string         `json:"stage"`
}

type plainHTTP struct {
	Method   string `json:"method"`
	SourceIP string `json:"sourceIp"`
}

type plainIdentity struct {
	SourceIP string `json:"sourceIp"`
}

var errOracle = errors.New("the oracle has no result")

// decodePlainly is the oracle for Decode. It has a result for events without
// duplicate header names, ignoring case.
func decodePlainly(payload []byte, addressHeader string) (redirect.Request, Shape, error) {
	var e plainEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		return redirect.Request{}, 0, errOracle
	}
	return e.request(addressHeader)
}

func (e *plainEvent) request(addressHeader string) (redirect.Request, Shape, error) {
	headers := map[string][]string{}
	for name, value := range e.Headers {
		headers[strings.ToLower(name)] = append(headers[strings.ToLower(name)], value)
	}
	multi := e.MultiValueHeaders != nil
	if multi {
		headers = map[string][]string{}
		for name, values := range e.MultiValueHeaders {
			if _, twice := headers[strings.ToLower(name)]; twice {
				return redirect.Request{}, 0, errOracle
			}
			headers[strings.ToLower(name)] = values
		}
	} else if len(headers) != len(e.Headers) {
		return redirect.Request{}, 0, errOracle
	}
	var r redirect.Request
	unescape := func(path string) {
		var err error
		if r.Path, err = url.PathUnescape(path); err != nil {
			r.Path, r.Malformed = "", true
		}
	}
	if len(e.Records) > 0 && e.Records[0].CF != nil {
		cf := e.Records[0].CF
		if t := cf.Config.EventType; t != "viewer-request" && t != "origin-request" || cf.Request == nil {
			return r, 0, errOracle
		}
		r.Method, r.Query = cf.Request.Method, cf.Request.QueryString
		r.Client = parse(cf.Request.ClientIP)
		for name, values := range cf.Request.Headers {
			if strings.EqualFold(name, "Authorization") {
				for _, v := range values {
					if _, ok := v["value"]; ok {
						r.Authorized = true
					}
				}
			}
		}
		unescape(cf.Request.URI)
		return r, EdgeRequest, nil
	}
	c := e.RequestContext
	switch {
	case c != nil && c.ELB != nil:
		if e.HTTPMethod != nil {
			r.Method = *e.HTTPMethod
		}
		r.NoDistribution = true
		r.Authorized = len(headers["authorization"]) > 0
		if v := headers["x-forwarded-for"]; len(v) > 0 {
			r.Client, _ = clientip.Rightmost(v[len(v)-1])
		}
		shape := ALB
		q := lists(e.QueryStringParameters)
		if multi {
			shape, q = ALBMulti, e.MultiValueQueryStringParameters
		}
		r.Query = joinPlainly(q, func(s string) string { return s })
		if e.Path != nil {
			unescape(*e.Path)
		}
		return r, shape, nil
	case c != nil && c.HTTP != nil:
		r.Method, r.Query = c.HTTP.Method, e.RawQueryString
		url := strings.Contains(c.DomainName, ".lambda-url.")
		switch below, ok := strings.CutPrefix(e.RawPath, "/"+c.Stage+"/"); {
		case url || c.DomainName == "":
			unescape(e.RawPath)
		case ok && c.Stage != "" && c.Stage != "$default":
			r.Path, r.LengthLost = "/"+below, true
		default:
			r.Path, r.LengthLost = e.RawPath, true
		}
		if hosts := slices.Compact(headers["x-viewer-host"]); url && len(hosts) == 1 && !r.Malformed {
			r.ViewerHost = hosts[0]
		}
		if multi || c.Identity != nil {
			return r, 0, errOracle // AWS sends no such event
		}
		viewerPlainly(&r, headers, c.HTTP.SourceIP, addressHeader)
		return r, Proxy, nil
	case c != nil && e.HTTPMethod != nil && e.Path != nil:
		r.Method, r.LengthLost = *e.HTTPMethod, true
		q := e.MultiValueQueryStringParameters
		if q == nil {
			q = lists(e.QueryStringParameters)
		}
		r.Query = joinPlainly(q, func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") })
		unescape(*e.Path)
		source := ""
		if c.Identity != nil {
			source = c.Identity.SourceIP
		}
		viewerPlainly(&r, headers, source, addressHeader)
		if multi {
			return r, ProxyMulti, nil
		}
		return r, Proxy, nil
	}
	return r, 0, &EventError{}
}

// decodeTyped is an oracle for events of a known shape: encoding/json with the
// types of aws-lambda-go. It has no result if a name is in another case, which
// encoding/json ignores.
func decodeTyped(payload []byte, shape Shape, addressHeader string) (redirect.Request, Shape, error) {
	var any any
	if err := stdjson.Unmarshal(payload, &any); err != nil || otherCase(any) {
		return redirect.Request{}, 0, errOracle
	}
	var e plainEvent
	var plain struct{ RequestContext struct{ HTTP *struct{} } }
	err := stdjson.Unmarshal(payload, &plain)
	switch {
	case shape == ALB || shape == ALBMulti:
		var x events.ALBTargetGroupRequest
		err = errors.Join(err, stdjson.Unmarshal(payload, &x))
		e = plainEvent{
			HTTPMethod: &x.HTTPMethod, Path: &x.Path, Headers: x.Headers, MultiValueHeaders: x.MultiValueHeaders,
			QueryStringParameters: x.QueryStringParameters, MultiValueQueryStringParameters: x.MultiValueQueryStringParameters,
			RequestContext: &plainContext{ELB: &struct{}{}},
		}
	case shape == Proxy && plain.RequestContext.HTTP != nil:
		var x events.LambdaFunctionURLRequest
		var api events.APIGatewayV2HTTPRequest
		err = errors.Join(err, stdjson.Unmarshal(payload, &x), stdjson.Unmarshal(payload, &api))
		e = plainEvent{
			RawPath: x.RawPath, RawQueryString: x.RawQueryString, Headers: x.Headers,
			RequestContext: &plainContext{
				DomainName: x.RequestContext.DomainName, Stage: api.RequestContext.Stage,
				HTTP: &plainHTTP{Method: x.RequestContext.HTTP.Method, SourceIP: x.RequestContext.HTTP.SourceIP},
			},
		}
	case shape == Proxy || shape == ProxyMulti:
		var x events.APIGatewayProxyRequest
		err = errors.Join(err, stdjson.Unmarshal(payload, &x))
		e = plainEvent{
			HTTPMethod: &x.HTTPMethod, Path: &x.Path, Headers: x.Headers, MultiValueHeaders: x.MultiValueHeaders,
			QueryStringParameters: x.QueryStringParameters, MultiValueQueryStringParameters: x.MultiValueQueryStringParameters,
			RequestContext: &plainContext{Identity: &plainIdentity{SourceIP: x.RequestContext.Identity.SourceIP}},
		}
	default:
		return redirect.Request{}, 0, errOracle // aws-lambda-go has no type for this
	}
	if err != nil {
		return redirect.Request{}, 0, errOracle // a member that Decode ignores has the wrong type
	}
	return e.request(addressHeader)
}

// otherCase reports whether a name differs only in case from one that is used.
func otherCase(value any) bool {
	switch v := value.(type) {
	case []any:
		return slices.ContainsFunc(v, otherCase)
	case map[string]any:
		for name, value := range v {
			for _, read := range []string{
				"requestContext", "elb", "http", "method", "sourceIp", "identity", "domainName", "stage", "httpMethod", "path", "rawPath", "rawQueryString",
				"headers", "multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters",
			} {
				if name != read && strings.EqualFold(name, read) {
					return true
				}
			}
			if otherCase(value) {
				return true
			}
		}
	}
	return false
}

func viewerPlainly(r *redirect.Request, headers map[string][]string, source, addressHeader string) {
	if v := slices.Compact(headers["authorization"]); len(v) > 1 || len(v) == 1 && !strings.HasPrefix(v[0], "AWS4-HMAC-SHA256 ") {
		r.Authorized = true
	}
	if v := headers["x-viewer-authorized"]; len(v) > 0 && v[len(v)-1] == "1" {
		r.Authorized = true
	}
	if addressHeader == "" {
		r.Client = parse(source)
		return
	}
	var distinct []string
	for _, v := range headers[addressHeader] {
		for _, entry := range strings.Split(v, ",") {
			if entry = strings.Trim(entry, " \t"); !slices.Contains(distinct, entry) {
				distinct = append(distinct, entry)
			}
		}
	}
	if len(distinct) == 1 {
		if addressHeader == "cloudfront-viewer-address" {
			r.Client, _ = clientip.ViewerAddress(distinct[0])
		} else {
			r.Client = parse(distinct[0])
		}
	}
}

func parse(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

func lists(m map[string]string) map[string][]string {
	out := map[string][]string{}
	for k, v := range m {
		out[k] = []string{v}
	}
	return out
}

func joinPlainly(m map[string][]string, encode func(string) string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		for _, v := range m[k] {
			out = append(out, encode(k)+"="+encode(v))
		}
	}
	return strings.Join(out, "&")
}
