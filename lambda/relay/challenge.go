package relay

import (
	"net/http"
	"net/url"
	"strings"

	"archeio/lambda/field"
)

// challenge is what a token server is asked for.
type challenge struct {
	realm          *url.URL
	service, scope string
}

// maxService and maxScope limit the parameters of a challenge, in bytes.
const (
	maxService = 256
	maxScope   = 1 << 10
)

// choose returns the challenge of a response that asks for a bearer token of an allowed
// token server. Without one, the Response says why.
func (h hosts) choose(header http.Header, repository string) (*challenge, *Response) {
	bearer := false
	for _, c := range field.Challenges(header) {
		if c.Scheme != "bearer" {
			continue
		}
		bearer = true
		realm, ok := h.parse(c.Params["realm"])
		service := c.Params["service"]
		if !ok || len(service) > maxService || !printable(service) {
			continue
		}
		return &challenge{realm, service, scope(c.Params["scope"], repository)}, nil
	}
	resp := denied("the upstream does not serve anonymous clients")
	if bearer {
		resp = invalid("the token server of the upstream is not an allowed host, see UPSTREAM_TOKEN_HOSTS")
	}
	return nil, &resp
}

// scope returns the scope to ask for: that of a challenge, without what is for another
// repository or more than pulling.
// https://distribution.github.io/distribution/spec/auth/scope/
func scope(text, repository string) string {
	own := "repository:" + repository + ":pull"
	if len(text) > maxScope || !printable(text) {
		return own
	}
	var others []string
	for _, s := range strings.Fields(text) {
		if strings.HasPrefix(s, "repository:") || strings.HasPrefix(s, "repository(") || strings.HasPrefix(s, "registry:") {
			continue
		}
		others = append(others, s)
	}
	if len(others) > 0 && len(others) == len(strings.Fields(text)) { // ECR Public has "aws"
		return strings.Join(others, " ")
	}
	return own
}

// printable reports whether a text has only visible ASCII characters and spaces.
func printable(s string) bool { return visible(strings.ReplaceAll(s, " ", "")) }

// url returns the address to get a token from.
func (c *challenge) url() string {
	u := *c.realm
	query := u.Query()
	if c.service != "" {
		query.Set("service", c.service)
	}
	query.Set("scope", c.scope)
	u.RawQuery = query.Encode()
	return u.String()
}
