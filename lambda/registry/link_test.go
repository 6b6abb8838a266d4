package registry

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzLink tests that the next page is one of the same listing at the same
// registry, or an error.
func FuzzLink(f *testing.F) {
	for _, header := range []string{
		`</v2/_catalog?n=2&last=b>; rel="next"`, `<https://example.com/v2/_catalog?x>; rel="prev next", </a>; rel="preload"`,
		`<http://EXAMPLE.com.:443/v2/_catalog>`, `<//evil.example/v2/_catalog>; rel=next`, `<https://example.com@evil/v2/_catalog>; rel=next`,
		`<>; rel="next"`, `<`, `</v2/_catalog>; rel="ne\xt`, `</v2/../../v2/_catalog?%zz>; rel=next`, `<javascript:x>; rel=next`,
	} {
		f.Add(header)
	}
	asked, _ := url.Parse("https://example.com/v2/_catalog?n=1000")
	f.Fuzz(func(t *testing.T, header string) {
		address, err := nextPage(http.Header{"Link": {header, header}}, asked)
		switch {
		case err != nil:
			if address != "" || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("address %q with error %q", address, err)
			}
		case address == "":
		default:
			u, err := url.Parse("https://example.com" + address)
			if err != nil || u.Host != "example.com" || u.Path != "/v2/_catalog" || u.User != nil {
				t.Errorf("%q leads to %q, error %v", header, address, err)
			}
		}
	})
}
