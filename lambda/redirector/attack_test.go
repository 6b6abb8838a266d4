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

// attacks are the sample events in events/attack, each with the reason for its
// response. TestEvents sends them to the built function.
var attacks = []struct{ name, why string }{
	{"alb-redirect-slashes", "a path that starts with two slashes does not become a host"},
	{"alb-redirect-slashes-encoded", "the same with encoded slashes"},
	{"alb-redirect-backslash", "browsers treat a backslash as a slash"},
	{"alb-redirect-userinfo", "an @ would turn what precedes it into user information"},
	{"alb-redirect-userinfo-digest", "the same after a digest"},
	{"alb-redirect-scheme", "a URL in place of a name"},
	{"alb-redirect-absolute-form", "a request target in absolute form, as proxies receive it"},
	{"alb-redirect-host-as-name", "a host is a valid name, and stays a name after the prefix"},
	{"alb-redirect-host-headers", "Host and similar headers have no effect"},
	{"alb-redirect-info-query", "the info page has no redirect parameter"},
	{"alb-redirect-tags-query", "a URL in a query stays in the query"},
	{"alb-redirect-fragment", "a # would end the query"},
	{"cloudfront-redirect-host-headers", "the Location of the distribution has no host, so none can be replaced"},
	{"edge-redirect-host-headers", "Host has no effect at the edge either"},
	{"rest-redirect-host-headers", "nor in an API"},
	{"alb-header-name", "a line break in a name, encoded once"},
	{"alb-header-name-twice", "encoded twice it is a name with a percent sign"},
	{"alb-header-tag", "a line break after a tag"},
	{"alb-header-digest", "a single line feed after a digest"},
	{"alb-header-query", "a line break in a query that the load balancer passes on"},
	{"alb-header-query-encoded", "an encoded line break is unchanged: the query is never decoded"},
	{"alb-header-query-key", "a line break in the name of a parameter"},
	{"alb-header-method", "a line break in a method is escaped in the body, and in no header"},
	{"alb-header-narrowed", "characters that become CR and LF if only their low byte is kept"},
	{"alb-header-separator", "a Unicode line separator"},
	{"url-header-query", "a space and a line break in a raw query"},
	{"edge-header-query", "the same at the edge"},
	{"http-api-header-name", "an HTTP API decodes the path, so the line break is not encoded"},
	{"rest-header-query", "a REST API decodes the query, so it is encoded again"},
	{"alb-traversal-root", "dot segments at the root"},
	{"alb-traversal-encoded-twice", "dot segments encoded twice"},
	{"alb-traversal-encoded-digits", "an escape with escaped digits"},
	{"alb-traversal-backslash", "dot segments with backslashes"},
	{"alb-traversal-parameter", "a path parameter, which some servers remove"},
	{"alb-traversal-digest", "a digest that leaves the folder of blobs"},
	{"alb-traversal-page-link", "a name that has the prefix does not get it again, but must be valid"},
	{"alb-traversal-prefix", "a name that only starts like the prefix does get it"},
	{"alb-traversal-prefix-manifest", "only listings may have the prefix already"},
	{"cloudfront-traversal-mirror", "the path of a mirror is not a path of the function"},
	{"alb-utf8-overlong", "dots and a slash as overlong UTF-8"},
	{"alb-utf8-overlong-three", "a slash in three bytes"},
	{"alb-utf8-broken", "only the first byte of a character"},
	{"alb-utf8-fullwidth", "characters that normalize to dots and a slash"},
	{"alb-utf8-surrogate", "half of a surrogate pair, which JSON can contain"},
	{"alb-nul-name", "a NUL in a name"},
	{"alb-nul-tag", "a NUL after a tag"},
	{"alb-nul-digest", "a NUL after a digest"},
	{"alb-nul-query", "a NUL in a query"},
	{"alb-encoded-path", "escapes of a valid path have no effect"},
	{"alb-encoded-unicode", "the %u escape of old Windows servers is invalid"},
	{"alb-forged-list", "only the address that the load balancer appends is trusted"},
	{"alb-forged-end", "an empty last entry is no address, and the one before it is not used"},
	{"alb-forged-values", "the last of several values of the header is used"},
	{"alb-forged-spelling", "two spellings of the header with different values are no address"},
	{"alb-forged-headers", "no other header is trusted in events of a load balancer"},
	{"alb-forged-position", "nor is a position"},
	{"alb-forged-octal", "an address with leading zeros is ambiguous, so it is invalid"},
	{"url-forged-headers", "without a configured header the source address of the event is used"},
	{"url-forged-authorized", "a client that claims to send credentials gets the default mirror, which harms no one else"},
	{"cloudfront-forged-forwarded-for", "behind a distribution only the configured header is used"},
	{"cloudfront-forged-twice", "two addresses in the configured header are no address"},
	{"cloudfront-forged-spelling", "nor are two spellings of it"},
	{"cloudfront-forged-signature", "a value that only looks like the signature of the edge is the client's Authorization"},
	{"cloudfront-forged-without", "without the header of the edge no other one is used"},
	{"http-api-forged-headers", "an API reports the source address"},
	{"rest-forged-headers", "so do both kinds of APIs"},
	{"edge-forged-headers", "the edge reports the address of its peer"},
	{"alb-smuggled-body", "a request in a body is never read"},
	{"alb-smuggled-pseudo-headers", "HTTP/2 pseudo-headers that arrive as headers"},
	{"alb-smuggled-method", "a header does not change the method"},
	{"alb-smuggled-query", "an encoded question mark does not start a query"},
	{"alb-method-connect", "the redirector is not a proxy"},
	{"alb-method-case", "methods are case-sensitive"},
	{"alb-method-star", "a server-wide OPTIONS request has no path"},
	{"cloudfront-spelling-slashes", "two slashes are not one"},
	{"cloudfront-spelling-slashes-mirror", "nor do they make a path of the mirror"},
	{"cloudfront-spelling-dot", "a dot segment is not removed"},
	{"cloudfront-spelling-dots", "nor are two dots"},
	{"cloudfront-spelling-dots-encoded", "encoded dots are dots"},
	{"cloudfront-spelling-dots-half-encoded", "so are half-encoded ones"},
	{"cloudfront-spelling-dots-last", "two dots are no tag"},
	{"cloudfront-spelling-backslash", "a backslash is not a slash"},
	{"cloudfront-spelling-backslash-encoded", "nor is an encoded one"},
	{"cloudfront-spelling-slash-encoded", "an encoded slash is a slash, and the Location has it decoded"},
	{"cloudfront-spelling-letter-encoded", "the path of a mirror with an escape is not a path of the function"},
	{"cloudfront-spelling-prefix-case", "paths are case-sensitive"},
	{"http-api-spelling-dots", "an HTTP API decodes dots"},
	{"http-api-stage-twice", "the name of a stage is removed once"},
	{"http-api-stage-slashes", "what follows the name of a stage does not become a host"},
	{"url-stage", "a function URL has no stages"},
	{"cloudfront-viewer-host-foreign", "a host that is not the distribution's is not named"},
	{"cloudfront-viewer-host-longer", "the name must end with cloudfront.net"},
	{"cloudfront-viewer-host-alike", "and have a dot before it"},
	{"cloudfront-viewer-host-below", "and a single label"},
	{"cloudfront-viewer-host-no-label", "which is not empty"},
	{"cloudfront-viewer-host-port", "a port is not part of the name"},
	{"cloudfront-viewer-host-configured-port", "nor of a configured one"},
	{"cloudfront-viewer-host-user", "nor is user information"},
	{"cloudfront-viewer-host-user-before", "on either side"},
	{"cloudfront-viewer-host-upper-case", "names are in lower case"},
	{"cloudfront-viewer-host-final-dot", "names have no dot at the end"},
	{"cloudfront-viewer-host-punycode", "CloudFront assigns no internationalized names"},
	{"cloudfront-viewer-host-unicode", "a Cyrillic letter"},
	{"cloudfront-viewer-host-fullwidth", "dots that browsers normalize"},
	{"cloudfront-viewer-host-path", "a slash would end the host"},
	{"cloudfront-viewer-host-backslash", "browsers treat a backslash as a slash"},
	{"cloudfront-viewer-host-query", "a question mark would end the host"},
	{"cloudfront-viewer-host-line", "a line break would end the header"},
	{"cloudfront-viewer-host-long", "a label has at most 63 bytes"},
	{"cloudfront-viewer-host-list", "a function URL joins two values with a comma"},
	{"cloudfront-viewer-host-spellings", "two spellings with different values are no host"},
	{"url-forged-viewer-host", "without a distribution a foreign host is not named either"},
	{"alb-forged-viewer-host", "a load balancer is no distribution, whatever host a client claims"},
	{"http-api-forged-viewer-host", "clients set the header at an HTTP API, so even a configured host is not named"},
	{"rest-forged-viewer-host", "so they do at a REST API"},
	{"edge-forged-viewer-host", "and at the edge, before any function"},
	{"alb-digest-md5-manifest", "no registry has such a digest, so the upstream is not checked, which would count as a failure of it"},
	{"alb-digest-sha1-manifest", "a shorter algorithm"},
	{"alb-digest-sha384-manifest", "an algorithm between those that registries support"},
	{"alb-digest-components-manifest", "an algorithm with components that begins like a supported one"},
	{"alb-digest-md5-blob", "nor is a mirror checked"},
	{"alb-digest-sha512-short", "a SHA-512 digest with a digit less"},
	{"alb-digest-sha512-of-sha256", "the length of another algorithm"},
	{"alb-digest-sha256-long", "a SHA-256 digest with a digit more"},
	{"alb-digest-no-algorithm", "no algorithm"},
	{"alb-digest-empty", "no digits"},
	{"alb-name-232", "the longest name: 255 bytes with the prefix"},
	{"alb-name-233", "the upstream would reject the name, which would count as a failure of it"},
	{"alb-name-233-blob", "also if a mirror has the blob"},
	{"alb-name-255", "the longest name of the grammar"},
	{"alb-name-256", "a longer one"},
	{"alb-name-255-no-prefix", "the longest name without a prefix"},
	{"alb-name-256-no-prefix", "a longer one"},
	{"alb-name-255-page-link", "a page link has the prefix already, so it does not count twice"},
	{"alb-name-256-page-link", "it does count once"},
	{"alb-name-255-prefix-twice", "other requests get the prefix again"},
	{"alb-namespace-host", "the host in ns has no effect on the Location"},
	{"alb-namespace-alike", "ns exempts no name that only starts like the prefix"},
	{"alb-namespace-other-project", "nor one of another project at the upstream"},
	{"alb-namespace-traversal", "a name with the prefix must be valid"},
	{"alb-namespace-encoded", "the query is never decoded"},
	{"alb-where-markup", "markup in the query is escaped in the document"},
	{"alb-page-hosts", "Host and similar headers do not get into a cacheable document"},
	{"cloudfront-page-viewer-host", "a host that is not a name of the distribution does not either"},
	{"alb-relay-realm", "no token is requested from a host that is not allowed"},
	{"alb-relay-storage", "no client is redirected to a host that is not allowed"},
	{"alb-relay-link", "no page of a list is on another host"},
	{"alb-relay-content", "content that does not match its digest is not relayed"},
	{"alb-relay-credentials", "a client's own credentials are not passed on, and have no effect"},
	{"alb-shape-two-entry-points", "an event of two entry points is decoded as the one that trusts least"},
	{"alb-shape-records", "Records of another service next to the event have no effect"},
}

// TestAttackSamples checks the expected responses to attacks: a Location has a host
// of env.json or none, and no header has a byte that ends it.
func TestAttackSamples(t *testing.T) {
	t.Parallel()
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
			t.Errorf("%s: want a reason for the response", a.name)
		}
	}
	slices.Sort(inTable)
	slices.Sort(inFolder)
	if !slices.Equal(inFolder, inTable) {
		t.Errorf("events/attack has\n%s\nwant, as in the table,\n%s", inFolder, inTable)
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
		for name, values := range responseHeaders(t, text) {
			for _, value := range values {
				if i := strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
					t.Errorf("%s: header %s has the byte %q", file, name, value[i:i+1])
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
					t.Errorf("%s: unsafe Location %q", file, value)
				}
			}
		}
	}
}

// responseHeaders returns the header fields of a response in any format.
func responseHeaders(t *testing.T, text []byte) map[string][]string {
	t.Helper()
	var response struct {
		Headers           map[string]json.RawMessage
		MultiValueHeaders map[string][]string
	}
	if err := json.Unmarshal(text, &response); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for name, raw := range response.Headers {
		var one string
		var several []struct{ Key, Value string }
		switch {
		case json.Unmarshal(raw, &one) == nil:
			all[name] = append(all[name], one)
		case json.Unmarshal(raw, &several) == nil:
			for _, field := range several {
				if !strings.EqualFold(field.Key, name) {
					t.Errorf("header %q has the key %q", name, field.Key)
				}
				all[name] = append(all[name], field.Value)
			}
		default:
			t.Fatalf("header %s has the unknown format %s", name, raw)
		}
	}
	for name, values := range response.MultiValueHeaders {
		all[name] = append(all[name], values...)
	}
	if len(all) == 0 {
		t.Fatalf("response has no header: %s", text)
	}
	return all
}
