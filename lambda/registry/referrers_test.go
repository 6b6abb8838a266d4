package registry

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReferrers(t *testing.T) {
	t.Parallel()
	index := func(digests ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", indexType)
			var entries []string
			for _, d := range digests {
				entries = append(entries, fmt.Sprintf(`{"digest":%q}`, d))
			}
			fmt.Fprintf(w, `{"schemaVersion":2,"manifests":[%s]}`, strings.Join(entries, ","))
		}
	}
	status := func(n int, codes ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fail(w, n, codes...) }
	}
	text := func(mediaType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			fmt.Fprint(w, body)
		}
	}
	for _, tt := range []struct {
		name     string
		handle   http.HandlerFunc
		readable bool // the manifest is
		want     []string
		err      error
		text     string
		// asked is how often 20 manifests of a repository are asked for.
		asked int
	}{
		{"index", index(b, c), true, []string{b, c}, nil, "", 20},
		{"invalid-digests", index(b, "../x"), true, []string{b}, nil, "", 20},
		{"empty", index(), true, nil, nil, "", 20},
		{"index-as-json", text("application/json; charset=utf-8", `{"schemaVersion":2,"manifests":[{"digest":"`+b+`"}]}`), true, []string{b}, nil, "", 20},
		{"sign-in-page", text("text/html", "<html>"), true, nil, nil, "", maxUnsupported},
		{"other-json", text("application/json", `{"hello":1}`), true, nil, nil, "", maxUnsupported},
		{"cut-off-index", text(indexType, `{"schemaVersion":2,"manifests":[`), true, nil, nil, "invalid JSON", 20},
		{"404-of-a-manifest", status(404, "MANIFEST_UNKNOWN"), true, nil, nil, "", 20},
		{"404-without-code", status(404), true, nil, nil, "", maxUnsupported},
		{"400", status(400), true, nil, nil, "", maxUnsupported},
		{"405", status(405), true, nil, nil, "", 1},
		{"501", status(501), true, nil, nil, "", 1},
		{"unsupported", status(400, "UNSUPPORTED"), true, nil, nil, "", 1},
		{"406", status(406), true, nil, nil, "", maxUnsupported},
		{"401-readable", status(401), true, nil, nil, "", maxUnsupported},
		{"403-readable", status(403), true, nil, nil, "", maxUnsupported},
		{"401", status(401), false, nil, ErrUnauthorized, "log in", 20},
		{"403", status(403), false, nil, ErrUnauthorized, "log in", 20},
		{"500", status(500), true, nil, nil, "500 Internal Server Error", 20 * maxAttempts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cl, log := served(t, "example.com", Options{}, func(w http.ResponseWriter, r *http.Request) {
					switch {
					case strings.Contains(r.URL.Path, "/referrers/"):
						tt.handle(w, r)
					case tt.readable:
						w.Header().Set("Docker-Content-Digest", a)
					default:
						fail(w, http.StatusUnauthorized)
					}
				})
				for i := range 20 {
					digest := sha256Of(fmt.Append(nil, i))
					got, err := cl.Referrers(t.Context(), "app", digest)
					if tt.text != "" {
						checkError(t, err, tt.err, tt.text)
					} else if err != nil || !slices.Equal(got, tt.want) {
						t.Fatalf("%q, error %v, want %q", got, err, tt.want)
					}
				}
				count := func() (n int) {
					for _, r := range log.take() {
						if strings.Contains(r, "/referrers/") {
							n++
						}
					}
					return n
				}
				if n := count(); n != tt.asked {
					t.Errorf("%d requests for referrers, want %d", n, tt.asked)
				}
				// Another repository is decided by itself, and so is this one later.
				cl.Referrers(t.Context(), "other", a)
				if count() == 0 {
					t.Error("another repository was not asked")
				}
				time.Sleep(unsupportedFor + time.Second)
				cl.Referrers(t.Context(), "app", a)
				if count() == 0 {
					t.Error("the repository was not asked again later")
				}
			})
		})
	}
}
