package main

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// attacks are the sample events events/attack/*.json, each with the reason for
// the answer beside it. TestEvents sends them to the built function.
var attacks = []struct{ name, why string }{
	{"alb-redirect-slashes", "a path that begins with two slashes is no host of ours to repeat"},
	{"alb-redirect-slashes-encoded", "the same with encoded slashes"},
	{"alb-redirect-backslash", "browsers read a backslash as a slash"},
	{"alb-redirect-userinfo", "an @ would make what stands before it a user"},
	{"alb-redirect-userinfo-digest", "the same behind a digest"},
	{"alb-redirect-scheme", "a URL in the place of a name"},
	{"alb-redirect-absolute-form", "a proxy's request line that came through whole"},
	{"alb-redirect-host-as-name", "a host is a valid name, and stays a name behind our prefix"},
	{"alb-redirect-host-headers", "Host and its relatives lead nowhere"},
	{"alb-redirect-info-query", "the page for people takes no next stop"},
	{"alb-redirect-tags-query", "a URL in a query stays in the query"},
	{"alb-redirect-fragment", "a # would end the query"},
	{"cloudfront-redirect-host-headers", "the distribution's own host is never spelled out, so none can be put in its place"},
	{"edge-redirect-host-headers", "Host does not count at the edge either"},
	{"rest-redirect-host-headers", "nor in an API"},
	{"alb-header-name", "a line break in a name, encoded once"},
	{"alb-header-name-twice", "encoded twice it is a name with a percent sign"},
	{"alb-header-tag", "a line break behind a tag"},
	{"alb-header-digest", "a lone line feed behind a digest"},
	{"alb-header-query", "a line break in a query that the balancer has passed on"},
	{"alb-header-query-encoded", "encoded it goes on as it is: the query is never decoded"},
	{"alb-header-query-key", "a line break in the name of a parameter"},
	{"alb-header-method", "a line break in a method is escaped in the body, and in no header"},
	{"alb-header-narrowed", "characters that are CR and LF if one keeps their low byte only"},
	{"alb-header-separator", "a line separator of Unicode"},
	{"url-header-query", "a space and a line break in a raw query"},
	{"edge-header-query", "the same at the edge"},
	{"http-api-header-name", "an HTTP API decodes the path, so the line break comes raw"},
	{"rest-header-query", "a REST API decodes the query, so it is encoded again"},
	{"alb-traversal-root", "dots from the root"},
	{"alb-traversal-encoded-twice", "dots encoded twice"},
	{"alb-traversal-encoded-digits", "an escape whose digits are escaped"},
	{"alb-traversal-backslash", "dots with backslashes"},
	{"alb-traversal-parameter", "a path parameter, which some servers drop"},
	{"alb-traversal-digest", "a digest that climbs out of the folder of blobs"},
	{"alb-traversal-page-link", "a name that begins with our prefix is not prefixed again, but must be a name"},
	{"alb-traversal-prefix", "a name that only looks like our prefix is prefixed"},
	{"alb-traversal-prefix-manifest", "only listings may leave the prefix out"},
	{"cloudfront-traversal-mirror", "the path of a mirror is none of the function's"},
	{"alb-utf8-overlong", "dots and a slash as overlong UTF-8"},
	{"alb-utf8-overlong-three", "a slash in three bytes"},
	{"alb-utf8-broken", "the first byte of a character alone"},
	{"alb-utf8-fullwidth", "characters that normalize to dots and a slash"},
	{"alb-utf8-surrogate", "half of a pair of surrogates, as JSON can spell it"},
	{"alb-nul-name", "a NUL in a name"},
	{"alb-nul-tag", "a NUL behind a tag"},
	{"alb-nul-digest", "a NUL behind a digest"},
	{"alb-nul-query", "a NUL in a query"},
	{"alb-encoded-path", "escapes that stand for the plain path change nothing"},
	{"alb-encoded-unicode", "the escape of old Windows servers is broken"},
	{"alb-forged-list", "only what the balancer appended counts"},
	{"alb-forged-end", "an empty last entry is nobody, and not the one before it"},
	{"alb-forged-values", "of several fields the last one counts"},
	{"alb-forged-spelling", "two spellings of the field that differ are nobody"},
	{"alb-forged-headers", "a balancer's events believe no other header"},
	{"alb-forged-position", "nor a position"},
	{"alb-forged-octal", "leading zeros are read differently by everybody, so they are no address"},
	{"url-forged-headers", "where no header is named, the caller's own address counts"},
	{"url-forged-authorized", "who says that they send a login gets the default mirror: it hurts nobody else"},
	{"cloudfront-forged-forwarded-for", "behind a distribution only the named header counts"},
	{"cloudfront-forged-twice", "two addresses in the named header are nobody"},
	{"cloudfront-forged-spelling", "so are two spellings of it"},
	{"cloudfront-forged-signature", "what only looks like the edge's signature is a login of the client's"},
	{"cloudfront-forged-without", "without the edge's header nobody else is asked"},
	{"http-api-forged-headers", "an API's own word counts"},
	{"rest-forged-headers", "in both kinds of APIs"},
	{"edge-forged-headers", "the edge knows its peer"},
	{"alb-smuggled-body", "a request in a body is never read"},
	{"alb-smuggled-pseudo-headers", "pseudo headers of HTTP/2 that got through as headers"},
	{"alb-smuggled-method", "a header does not change the method"},
	{"alb-smuggled-query", "an encoded question mark begins no query"},
	{"alb-method-connect", "nobody is tunnelled"},
	{"alb-method-case", "methods are what they are in their case"},
	{"alb-method-star", "a server-wide request is for no page"},
	{"alb-shape-two-fronts", "an event of two fronts is read as the one that believes least"},
	{"alb-shape-records", "records of another service beside it change nothing"},
}

// TestAttackSamples holds the answers themselves to what no attack may get,
// whatever somebody writes into a sample: a Location has a host that
// env.json names, or none, and no answer has a byte in a header that ends it.
func TestAttackSamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(eventsDir, "attack/*.want.json"))
	if err != nil {
		t.Fatal(err)
	}
	var inFolder, inTable []string
	for _, file := range files {
		inFolder = append(inFolder, strings.TrimSuffix(filepath.Base(file), ".want.json"))
	}
	for _, a := range attacks {
		if inTable = append(inTable, a.name); a.why == "" {
			t.Errorf("%s has no reason", a.name)
		}
	}
	slices.Sort(inTable)
	slices.Sort(inFolder)
	if !slices.Equal(inFolder, inTable) {
		t.Errorf("the folder has\n%s\nthe table has\n%s", inFolder, inTable)
	}
	common, err := os.ReadFile(filepath.Join(eventsDir, "env.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range answerHeaders(t, text) {
			for _, value := range values {
				if i := strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
					t.Errorf("%s: %s has the character %q in it", file, name, value[i:i+1])
				}
				if !strings.EqualFold(name, "Location") {
					continue
				}
				u, err := url.Parse(value)
				switch {
				case err != nil:
					t.Errorf("%s: %v", file, err)
				case u.Host == "" && (u.Scheme != "" || !strings.HasPrefix(value, "/containers/images/sha")),
					u.Host != "" && !strings.Contains(string(common), u.Scheme+"://"+u.Host),
					u.User != nil, u.Fragment != "", strings.Contains(u.Path, ".."):
					t.Errorf("%s: the Location is %q", file, value)
				}
			}
		}
	}
}

// answerHeaders reads the header fields of an answer in any shape.
func answerHeaders(t *testing.T, text []byte) map[string][]string {
	t.Helper()
	var answer struct {
		Headers           map[string]json.RawMessage
		MultiValueHeaders map[string][]string
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for name, raw := range answer.Headers {
		var one string
		var several []struct{ Key, Value string }
		switch {
		case json.Unmarshal(raw, &one) == nil:
			all[name] = append(all[name], one)
		case json.Unmarshal(raw, &several) == nil:
			for _, field := range several {
				if !strings.EqualFold(field.Key, name) {
					t.Errorf("header %q stands under %q", field.Key, name)
				}
				all[name] = append(all[name], field.Value)
			}
		default:
			t.Fatalf("header %s is %s", name, raw)
		}
	}
	for name, values := range answer.MultiValueHeaders {
		all[name] = append(all[name], values...)
	}
	if len(all) == 0 {
		t.Fatalf("no header in %s", text)
	}
	return all
}
