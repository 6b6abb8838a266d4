package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// numbered returns names from a first to a last number.
func numbered(from, to int) []string {
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprintf("app-%05d", i))
	}
	return out
}

// simulatedCatalog is a registry with a catalog.
type simulatedCatalog struct {
	names []string
	// page is the number of names per page, 0 is all. most is the largest page that
	// can be requested, 0 is any.
	page, most int
	// tags responds to the listing of tags of the prefix; nil is 404.
	tags http.HandlerFunc
	// link returns the value of the Link header for the page after a position; nil
	// sends none.
	link func(next int) string
	// after returns the position for the query; nil is that after the last name.
	after func(r *http.Request) int
	// status is that of the catalog, 0 is 200; statusLast that of requests with a
	// last name.
	status, statusLast int
}

func (s *simulatedCatalog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != catalogPath {
		if s.tags != nil && strings.HasSuffix(r.URL.Path, "/tags/list") {
			s.tags(w, r)
			return
		}
		fail(w, http.StatusNotFound, "NAME_UNKNOWN")
		return
	}
	q := r.URL.Query()
	n, _ := strconv.Atoi(q.Get("n"))
	switch {
	case s.status != 0:
		fail(w, s.status)
		return
	case s.statusLast != 0 && q.Has("last"):
		fail(w, s.statusLast)
		return
	case s.most > 0 && n > s.most:
		fail(w, http.StatusBadRequest, "PAGINATION_NUMBER_INVALID")
		return
	}
	at := 0
	if s.after != nil {
		at = s.after(r)
	} else {
		at = slices.Index(s.names, q.Get("last")) + 1
	}
	end := len(s.names)
	if s.page > 0 {
		end = min(end, at+s.page)
	}
	if s.link != nil && end < len(s.names) {
		w.Header()["Link"] = strings.Split(s.link(end), "\n")
	}
	json.NewEncoder(w).Encode(map[string]any{"repositories": s.names[at:end]})
}

// atCursor returns the position in the query "at".
func atCursor(r *http.Request) int {
	at, _ := strconv.Atoi(r.URL.Query().Get("at"))
	return at
}

// linkTo is a link with an opaque token.
func linkTo(format string) func(int) string {
	return func(next int) string {
		return strings.ReplaceAll(format, "NEXT", fmt.Sprintf("/v2/_catalog?at=%d", next))
	}
}

func TestRoots(t *testing.T) {
	t.Parallel()
	few := []string{"a-b", "a/b", "a/c", "b/c", "b/d", "bc/d", "z"}
	google := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
	}
	for _, tt := range []struct {
		name, prefix, after string
		catalog             *simulatedCatalog
		want, next          []string // next are those of the pages; nil does not check
		err                 error
		text                string // of the error
		requests            int    // at most; 0 does not check
	}{
		{"one-page", "", "", &simulatedCatalog{names: few}, few, []string{"z"}, nil, "", 2},
		{"pages-by-name", "", "", &simulatedCatalog{names: few, page: 3}, few, []string{"a/c", "bc/d", "z"}, nil, "", 4},
		{"below-a-prefix", "b", "", &simulatedCatalog{names: few, page: 2}, []string{"b/c", "b/d"}, nil, nil, "", 0},
		{"continued", "", "b/c", &simulatedCatalog{names: few, page: 2}, []string{"b/d", "bc/d", "z"}, []string{"bc/d", "z"}, nil, "", 0},
		{"ordered-by-folder", "", "", &simulatedCatalog{names: []string{"a/b", "a/c", "a-b", "z"}, page: 3}, []string{"a/b", "a/c", "a-b", "z"}, nil, nil, "", 0},
		{"ignores-last", "", "", &simulatedCatalog{names: few, after: func(*http.Request) int { return 0 }}, few, nil, nil, "", 2},
		{"last-is-included", "", "", &simulatedCatalog{names: few, page: 3, after: func(r *http.Request) int { return max(0, slices.Index(few, r.URL.Query().Get("last"))) }}, few, nil, nil, "", 0},
		{"refuses-last", "", "", &simulatedCatalog{names: few, statusLast: http.StatusMethodNotAllowed}, few, nil, nil, "", 2},
		{"null", "", "", &simulatedCatalog{}, nil, nil, nil, "", 1},
		{"invalid-names", "", "", &simulatedCatalog{names: []string{"a", "\x1b[2Jb", "../c", "D"}}, []string{"a"}, nil, nil, "", 0},

		{"links", "", "", &simulatedCatalog{names: numbered(1, 350), page: 100, link: linkTo(`<NEXT>; rel="next"`), after: atCursor}, numbered(1, 350), []string{"/v2/_catalog?at=100", "/v2/_catalog?at=200", "/v2/_catalog?at=300", ""}, nil, "", 4},
		{"links-continued", "", "/v2/_catalog?at=300", &simulatedCatalog{names: numbered(1, 350), page: 100, link: linkTo(`<NEXT>; rel="next"`), after: atCursor}, numbered(301, 350), []string{""}, nil, "", 1},
		{"several-links-in-a-field", "", "", &simulatedCatalog{names: few, page: 2, link: linkTo(`</v2/_catalog?at=0>; rel="prev", </style.css>; rel=preload; as="a, b", <NEXT>; title="x"; REL="last Next"`), after: atCursor}, few, nil, nil, "", 0},
		{"several-fields", "", "", &simulatedCatalog{names: few, page: 2, link: linkTo("</v2/_catalog?at=0>; rel=prev\n<NEXT>;rel=next"), after: atCursor}, few, nil, nil, "", 0},
		{"link-without-rel", "", "", &simulatedCatalog{names: few, page: 2, link: linkTo(`<NEXT>`), after: atCursor}, few, nil, nil, "", 0},
		{"link-with-another-scheme", "", "", &simulatedCatalog{names: few, page: 2, link: linkTo(`<http://EXAMPLE.com:80NEXT>; rel="next"`), after: atCursor}, few, nil, nil, "", 0},
		{"relative-link", "", "", &simulatedCatalog{names: few, page: 2, link: func(next int) string { return fmt.Sprintf(`<_catalog?at=%d>; rel="next"`, next) }, after: atCursor}, few, nil, nil, "", 0},
		{"link-behind-a-proxy", "", "", &simulatedCatalog{names: few, page: 2, link: linkTo(`</registry/internalNEXT>; rel="next"`), after: atCursor}, few, nil, nil, "", 0},

		{"link-to-itself", "", "", &simulatedCatalog{names: few, page: 2, link: func(int) string { return `</v2/_catalog?n=1000>; rel="next"` }}, few[:0], nil, ErrIncomplete, "leads back", 1},
		{"link-leads-back", "", "", &simulatedCatalog{names: few, page: 2, after: atCursor, link: func(next int) string { return fmt.Sprintf(`</v2/_catalog?at=%d>; rel="next"`, next%4) }}, few[:4], nil, ErrIncomplete, "leads back", 3},
		{"page-repeats", "", "", &simulatedCatalog{names: few, page: 2, after: func(*http.Request) int { return 0 }, link: func() func(int) string {
			n := 0
			return func(int) string { n++; return fmt.Sprintf(`</v2/_catalog?x=%d>; rel="next"`, n) }
		}()}, few[:2], nil, ErrIncomplete, "a page repeats", 2},
		{"link-to-another-host", "", "", &simulatedCatalog{names: few, page: 2, link: linkTo(`<https://elsewhere.exampleNEXT>; rel="next"`)}, nil, nil, ErrIncomplete, "on another host", 1},
		{"link-to-something-else", "", "", &simulatedCatalog{names: few, page: 2, link: func(int) string { return `</v2/app/tags/list>; rel="next"` }}, nil, nil, ErrIncomplete, "something else", 1},
		{"unreadable-link", "", "", &simulatedCatalog{names: few, page: 2, link: func(int) string { return `/v2/_catalog?at=2; rel="next"` }}, nil, nil, ErrIncomplete, "cannot be read", 1},
		{"two-next-links", "", "", &simulatedCatalog{names: few, page: 2, link: func(int) string { return `</v2/_catalog?at=2>; rel="next", </v2/_catalog?at=3>; rel="next"` }}, nil, nil, ErrIncomplete, "two links", 1},
		{"hundred-and-ignores-last", "", "", &simulatedCatalog{names: numbered(1, 350), page: 100, after: func(*http.Request) int { return 0 }}, numbered(1, 100), nil, ErrIncomplete, "-repositories", 2},

		{"largest-page", "", "", &simulatedCatalog{names: numbered(1, 30), page: 7, most: 8}, numbered(1, 30), nil, nil, "", 0},
		{"no-page-size", "", "", &simulatedCatalog{names: few, most: -1}, few, nil, nil, "", 0},

		{"lists-itself", "a", "", &simulatedCatalog{tags: google(`{"child":["b"],"manifest":{},"tags":[]}`)}, []string{"a"}, []string{""}, nil, "", 1},
		{"first-day", "a", "", &simulatedCatalog{tags: google(`{"child":[],"manifest":{},"name":"a","tags":[]}`)}, nil, nil, nil, "", 1},
		{"first-day-by-the-catalog", "a", "", &simulatedCatalog{tags: google(`{"name":"a","tags":[]}`), names: []string{}}, nil, nil, nil, "", 2},
		{"no-tags-and-no-catalog", "a", "", &simulatedCatalog{tags: google(`{"name":"a","tags":[]}`), status: http.StatusNotFound}, nil, nil, nil, "no catalog", 2},
		{"first-day-of-a-registry", "", "", &simulatedCatalog{names: []string{}}, nil, nil, nil, "", 1},
		{"misspelt-prefix", "c", "", &simulatedCatalog{names: few}, nil, nil, ErrAbsent, `no repository below "c"`, 0},
		{"misspelt-prefix-with-tags-for-any-name", "c", "", &simulatedCatalog{names: few, tags: google(`{"name":"c","tags":[]}`)}, nil, nil, ErrAbsent, `no repository below "c"`, 0},
		{"prefix-that-fails", "b", "", &simulatedCatalog{names: few, tags: func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotImplemented) }}, []string{"b/c", "b/d"}, nil, nil, "", 0},
		{"full-page-of-children", "a", "", &simulatedCatalog{tags: func(w http.ResponseWriter, _ *http.Request) {
			json.NewEncoder(w).Encode(map[string]any{"child": numbered(1, largestPage), "manifest": map[string]any{}, "tags": []string{}})
		}}, nil, nil, ErrIncomplete, "-repositories", 1},

		{"no-catalog-401", "", "", &simulatedCatalog{status: http.StatusUnauthorized}, nil, nil, ErrUnauthorized, "-repositories", 0},
		{"no-catalog-403", "", "", &simulatedCatalog{status: http.StatusForbidden}, nil, nil, ErrUnauthorized, "-repositories", 0},
		{"no-catalog-404", "org", "", &simulatedCatalog{status: http.StatusNotFound}, nil, nil, nil, "no catalog (404 Not Found): name the repositories with -repositories", 0},
		{"no-catalog-405", "", "", &simulatedCatalog{status: http.StatusMethodNotAllowed}, nil, nil, nil, "no catalog (405 Method Not Allowed)", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, log := served(t, strings.TrimSuffix("example.com/"+tt.prefix, "/"), Options{}, tt.catalog.ServeHTTP)
				var all, next []string
				err := c.Roots(t.Context(), tt.after, func(page []string, last string) error {
					all, next = append(all, page...), append(next, last)
					return nil
				})
				if tt.text != "" {
					checkError(t, err, tt.err, tt.text)
				} else if err != nil {
					t.Errorf("error %v", err)
				}
				if tt.text == "" && !slices.Equal(all, tt.want) || tt.next != nil && !slices.Equal(next, tt.next) {
					t.Errorf("%q, next %q, want %q, next %q", all, next, tt.want, tt.next)
				}
				if n := len(log.take()); tt.requests > 0 && n != tt.requests+map[bool]int{true: 1}[tt.prefix != "" && tt.after == "" && tt.catalog.tags == nil] {
					t.Errorf("%d requests, want %d", n, tt.requests)
				}
			})
		})
	}
}

// TestEmptyPages tests that some empty pages are followed, and not endlessly.
func TestEmptyPages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		empty    int // pages before the last one, which has a name
		requests int
		wrong    bool
	}{
		{"some", 30, 31, false},
		{"endless", 1 << 30, maxEmptyPages + 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			c, log := served(t, "example.com", Options{}, func(w http.ResponseWriter, _ *http.Request) {
				if n++; n > tt.empty {
					fmt.Fprint(w, `{"repositories":["app"]}`)
					return
				}
				w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?page=%d>; rel="next"`, n))
				fmt.Fprint(w, `{"repositories":null}`)
			})
			var all []string
			err := c.Roots(t.Context(), "", func(page []string, _ string) error {
				all = append(all, page...)
				return nil
			})
			if got := len(log.take()); got != tt.requests {
				t.Errorf("%d requests, want %d", got, tt.requests)
			}
			if tt.wrong {
				checkError(t, err, ErrIncomplete, "more than 50 empty pages")
			} else if err != nil || !slices.Equal(all, []string{"app"}) {
				t.Errorf("%q, error %v", all, err)
			}
		})
	}
}

// TestNoList tests that a response of 200 without a list is no empty list.
func TestNoList(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, text string }{
		{"error", `{"errors":[{"code":"DENIED","message":"denied"}]}`, "no list"},
		{"empty-object", `{}`, "no list"},
		{"sign-in-page", `<!DOCTYPE html><title>Sign in</title>`, "invalid JSON"},
		{"cut-off", `{"repositories":["a"],"tags":["v1`, "invalid JSON"},
		{"no-body", ``, "invalid JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _ := served(t, "example.com", Options{}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, tt.body) })
			checkError(t, c.Roots(t.Context(), "", func([]string, string) error { return nil }), nil, tt.text)
			_, err := c.List(t.Context(), "app")
			checkError(t, err, nil, tt.text)
		})
	}
}
