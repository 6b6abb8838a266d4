package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// tagsOf returns entries with tags.
func tagsOf(tags ...string) []Entry {
	var out []Entry
	for _, tag := range tags {
		out = append(out, Entry{Tag: tag})
	}
	return out
}

func TestList(t *testing.T) {
	t.Parallel()
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
	}
	// paged has tags in pages, with links or without.
	paged := func(tags []string, page, most int, links, byName bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			n, _ := strconv.Atoi(q.Get("n"))
			if most > 0 && n > most {
				fail(w, http.StatusRequestEntityTooLarge)
				return
			}
			at := 0
			if byName {
				at = slices.Index(tags, q.Get("last")) + 1
			}
			end := min(len(tags), at+page)
			if links && end < len(tags) {
				w.Header().Set("Link", fmt.Sprintf(`<%s?last=%s>; rel="next"`, r.URL.Path, tags[end-1]))
			}
			json.NewEncoder(w).Encode(map[string]any{"tags": tags[at:end]})
		}
	}
	for _, tt := range []struct {
		name     string
		handle   http.HandlerFunc
		want     *Listing
		err      error
		text     string
		requests int
	}{
		{"tags", text(`{"tags":["b","a","b"]}`), &Listing{Entries: tagsOf("a", "b")}, nil, "", 1},
		{"null", text(`{"tags":null}`), &Listing{}, nil, "", 1},
		{"links", paged(numbered(1, 7), 2, 0, true, true), &Listing{Entries: tagsOf(numbered(1, 7)...)}, nil, "", 4},
		{"full-page-without-link", paged(numbered(1, 120), 50, 0, false, true), &Listing{Entries: tagsOf(numbered(1, 120)...)}, nil, "", 4},
		{"round-number-and-ignores-last", paged(numbered(1, 50), 50, 0, false, false), &Listing{Entries: tagsOf(numbered(1, 50)...)}, nil, "", 2},
		{"as-many-as-requested-and-ignores-last", paged(numbered(1, largestPage+5), largestPage, 0, false, false), nil, ErrIncomplete, "listed 10000 names", 2},
		{"smaller-pages", paged(numbered(1, 21), 30, 300, true, true), &Listing{Entries: tagsOf(numbered(1, 21)...)}, nil, "", 4},
		{"no-page-size", paged(numbered(1, 7), 30, -1, true, true), &Listing{Entries: tagsOf(numbered(1, 7)...)}, nil, "", 1},
		{"invalid-tags", text(`{"tags":["a","\u001b[2Jb","../c",""]}`), &Listing{Entries: tagsOf("a"), Invalid: 3}, nil, "", 1},
		{"google", text(`{"child":["base","B"],"manifest":{"` + a + `":{"tag":["v2","v1"]},"` + b + `":{},"latest":{}},"tags":["v1","v2"]}`),
			&Listing{Entries: []Entry{{"v1", a}, {"", b}}, Tags: map[string][]string{a: {"v1", "v2"}, b: nil}, Complete: true, Children: []string{"app/base"}, Invalid: 2}, nil, "", 1},
		{"google-with-fewer-manifests-than-tags", text(`{"child":[],"manifest":{"` + a + `":{"tag":["v1"]}},"tags":["v1","v2"]}`),
			&Listing{Entries: []Entry{{"v1", a}, {"v2", ""}}, Tags: map[string][]string{a: {"v1"}}, Complete: true}, nil, "", 1},
		{"absent", func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotFound) }, nil, ErrAbsent, "not in the registry (404 Not Found)", 1},
		{"absent-as-400", func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusBadRequest, "NAME_UNKNOWN") }, nil, ErrAbsent, "NAME_UNKNOWN", 1},
		{"denied-as-404", func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotFound, "DENIED") }, nil, ErrUnauthorized, "missing or insufficient credentials", 1},
		{"unauthorized", func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusUnauthorized, "NAME_UNKNOWN") }, nil, ErrUnauthorized, "", 1},
		{"fails", func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotImplemented, "\x1b[2J\n") }, nil, nil, `501 Not Implemented "\x1b[2J\n": "refused by the test"`, 1},
		{"page-too-large", text(`{"tags":["` + strings.Repeat("x", maxPageSize) + `"]}`), nil, ErrIncomplete, "larger than", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, log := served(t, "example.com", Options{}, tt.handle)
			l, err := c.List(t.Context(), "app")
			if tt.want == nil {
				checkError(t, err, tt.err, tt.text)
			} else if err != nil || !reflect.DeepEqual(l, tt.want) {
				t.Errorf("%+v, error %v, want %+v", l, err, tt.want)
			}
			if n := len(log.take()); n != tt.requests && tt.name != "no-page-size" {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
			// What a registry refuses is not requested again.
			if _, err := c.List(t.Context(), "app"); tt.want != nil && err != nil {
				t.Error(err)
			}
			if n := len(log.take()); tt.name == "no-page-size" && n != 1 || tt.name == "smaller-pages" && n != 1 {
				t.Errorf("%d requests for the second listing", n)
			}
		})
	}
}

// TestInvalidName tests that a name that is not one of the specification is not
// requested.
func TestInvalidName(t *testing.T) {
	t.Parallel()
	c, log := served(t, "example.com", Options{}, func(http.ResponseWriter, *http.Request) {})
	for _, name := range []string{"", "..", "a/../b", "a?b", "A", "a\x1b[2J"} {
		_, err := c.List(t.Context(), name)
		checkError(t, err, ErrMalformed, "invalid repository")
		_, err = c.Resolve(t.Context(), "app", "/"+name)
		checkError(t, err, ErrMalformed, "invalid name")
		_, err = c.Manifest(t.Context(), name, a)
		checkError(t, err, ErrMalformed, "invalid name")
		_, _, err = c.Blob(t.Context(), name, Blob{Digest: a}, 0)
		checkError(t, err, ErrMalformed, "invalid name")
	}
	if all := log.take(); len(all) > 0 {
		t.Errorf("requests %q", all)
	}
}

// FuzzListing tests that a listing with any body and Link header ends after a
// bounded number of requests, all of them to the same listing of the registry.
func FuzzListing(f *testing.F) {
	f.Add([]byte(`{"tags":["a"]}`), `</v2/app/tags/list?last=a>; rel="next"`)
	f.Add([]byte(`{"child":["a"],"manifest":{"sha256:0":{"tag":["x"]}}}`), `<http://example.com:80/v2/app/tags/list>`)
	f.Add([]byte(`{"tags":null}`), `</a>; rel=prev, <//evil/v2/app/tags/list>; rel="next"`)
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		synctest.Test(t, func(t *testing.T) {
			c, log := served(t, "example.com", Options{}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Link"] = []string{header}
				w.Write(body)
			})
			l, err := c.List(t.Context(), "app")
			all := log.take()
			if len(all) > 2*maxEmptyPages {
				t.Errorf("%d requests", len(all))
			}
			for _, r := range all {
				if r != "GET /v2/app/tags/list" && !strings.HasPrefix(r, "GET /v2/app/tags/list?") {
					t.Errorf("request %q", r)
				}
			}
			if err != nil {
				if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
					t.Errorf("error %q", err)
				}
				return
			}
			for _, e := range l.Entries {
				if e.Tag != "" && !validTag.MatchString(e.Tag) || e.Tag == "" && e.Digest == "" {
					t.Errorf("entry %+v", e)
				}
			}
		})
	})
}
