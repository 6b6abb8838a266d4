package registry

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

const smallManifest = `{"schemaVersion":2,"layers":[]}`

func TestResolve(t *testing.T) {
	t.Parallel()
	digest := sha256Of([]byte(smallManifest))
	type step = func(w http.ResponseWriter)
	status := func(n int, codes ...string) step { return func(w http.ResponseWriter) { fail(w, n, codes...) } }
	ok := func(body, header string) step {
		return func(w http.ResponseWriter) {
			if header != "" {
				w.Header().Set("Docker-Content-Digest", header)
			}
			fmt.Fprint(w, body)
		}
	}
	for _, tt := range []struct {
		name      string
		head, get step
		want      string
		err       error
		text      string
		// requests of a first and a second call
		first, second string
	}{
		{"head", ok("", b), status(500), b, nil, "", "HEAD", "HEAD"},
		{"head-without-digest", ok("", ""), ok(smallManifest, ""), digest, nil, "", "HEAD GET", "GET"},
		{"head-with-another-digest", ok("", "latest"), ok(smallManifest, "latest"), digest, nil, "", "HEAD GET", "GET"},
		{"head-404", status(404), ok(smallManifest, digest), digest, nil, "", "HEAD GET", "GET"},
		{"head-405", status(405), ok(smallManifest, ""), digest, nil, "", "HEAD GET", "GET"},
		{"head-403", status(403), ok(smallManifest, ""), digest, nil, "", "HEAD GET", "GET"},
		{"get-with-a-wrong-digest", status(404), ok(smallManifest, b), digest, nil, "", "HEAD GET", "GET"},
		{"absent", status(404), status(404, "MANIFEST_UNKNOWN"), "", ErrAbsent, "resolving app:v1: not in the registry (404 Not Found MANIFEST_UNKNOWN", "HEAD GET", "HEAD GET"},
		{"unauthorized", status(401), status(401), "", ErrUnauthorized, "missing or insufficient credentials: log in", "HEAD GET", "HEAD GET"},
		{"head-401", status(401), ok(smallManifest, ""), digest, nil, "", "HEAD GET", "GET"},
		{"forbidden", status(403), status(403), "", ErrUnauthorized, "log in", "HEAD GET", "HEAD GET"},
		{"sign-in-page", ok("", ""), ok("<html>", ""), "", nil, "no manifest", "HEAD GET", "GET"},
		{"too-large", status(405), ok(strings.Repeat(" ", maxManifestSize+1), ""), "", nil, "too many: want at most 8388608", "HEAD GET", "HEAD GET"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, log := served(t, "example.com", Options{}, func(w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.Header.Get("Accept"), indexType) || r.Header.Get("Accept-Encoding") != "identity" {
					t.Errorf("header %v", r.Header)
				}
				map[string]step{http.MethodHead: tt.head, http.MethodGet: tt.get}[r.Method](w)
			})
			for _, want := range []string{tt.first, tt.second} {
				got, err := c.Resolve(t.Context(), "app", "v1")
				if tt.want == "" {
					checkError(t, err, tt.err, tt.text)
				} else if got != tt.want || err != nil {
					t.Errorf("%s, error %v, want %s", got, err, tt.want)
				}
				var methods []string
				for _, r := range log.take() {
					methods = append(methods, strings.Fields(r)[0])
				}
				if strings.Join(methods, " ") != want {
					t.Errorf("requests %q, want %s", methods, want)
				}
			}
		})
	}
}

func TestManifest(t *testing.T) {
	t.Parallel()
	signed := `{"schemaVersion":1,"fsLayers":[{"blobSum":"` + a + `"}]` // ends with the tail below
	tail := base64.RawURLEncoding.EncodeToString([]byte("}"))
	protected := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"formatLength":%d,"formatTail":%q}`, len(signed), tail))
	jws := signed + `,"signatures":[{"protected":"` + protected + `"}]}`
	for _, tt := range []struct {
		name, digest string
		handle       func(w http.ResponseWriter, n int) // n counts requests
		blobs        int
		err          error
		text         string
	}{
		{"image", "", func(w http.ResponseWriter, _ int) { fmt.Fprint(w, smallManifest) }, 0, nil, ""},
		{"schema-1-with-signatures", sha256Of([]byte(signed + "}")), func(w http.ResponseWriter, _ int) { fmt.Fprint(w, jws) }, 1, nil, ""},
		{"another-at-first", "", func(w http.ResponseWriter, n int) { fmt.Fprint(w, smallManifest[:len(smallManifest)-n%2]) }, 0, nil, ""},
		{"another-always", "", func(w http.ResponseWriter, _ int) { fmt.Fprint(w, smallManifest+" ") }, 0, nil, "content does not match its digest"},
		{"sign-in-page", "", func(w http.ResponseWriter, _ int) { fmt.Fprint(w, "<html>") }, 0, nil, "content does not match its digest"},
		{"absent", "", func(w http.ResponseWriter, _ int) { fail(w, 404, "MANIFEST_UNKNOWN") }, 0, ErrAbsent, "not in the registry"},
		{"absent-as-400", "", func(w http.ResponseWriter, _ int) { fail(w, 400, "manifest_unknown") }, 0, ErrAbsent, "not in the registry"},
		{"malformed", sha256Of([]byte("<html>")), func(w http.ResponseWriter, _ int) { fmt.Fprint(w, "<html>") }, 0, ErrMalformed, "malformed manifest: invalid JSON"},
		{"fails-for-a-while", "", func(w http.ResponseWriter, n int) {
			if n < 4 {
				fail(w, 521)
				return
			}
			fmt.Fprint(w, smallManifest)
		}, 0, nil, ""},
		{"fails-always", "", func(w http.ResponseWriter, _ int) { fail(w, 500) }, 0, nil, "500 Internal Server Error"},
		{"too-large", "", func(w http.ResponseWriter, _ int) { fmt.Fprint(w, strings.Repeat(" ", maxManifestSize+1)) }, 0, nil, "too many"},
		{"endless", "", func(w http.ResponseWriter, _ int) {
			w.Header().Set("Transfer-Encoding", "chunked")
			fmt.Fprint(w, strings.Repeat(" ", maxManifestSize+1))
		}, 0, nil, "too many"},
		{"gzip-without-being-asked", "", func(w http.ResponseWriter, _ int) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(gzipped(smallManifest))
		}, 0, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := 0
				c, _ := served(t, "example.com", Options{}, func(w http.ResponseWriter, _ *http.Request) { n++; tt.handle(w, n) })
				digest := tt.digest
				if digest == "" {
					digest = sha256Of([]byte(smallManifest))
				}
				got, err := c.Manifest(t.Context(), "app", digest)
				if tt.text != "" {
					checkError(t, err, tt.err, tt.text)
				} else if err != nil || len(got.Blobs) != tt.blobs {
					t.Errorf("%+v, error %v", got, err)
				}
			})
		})
	}
}

// TestContradiction tests that a manifest that a tag has and its digest does not
// is not absent.
func TestContradiction(t *testing.T) {
	t.Parallel()
	c, _ := served(t, "example.com", Options{}, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/v1") {
			fmt.Fprint(w, smallManifest)
			return
		}
		fail(w, http.StatusNotFound)
	})
	digest, err := c.Resolve(t.Context(), "app", "v1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Manifest(t.Context(), "app", digest)
	checkError(t, err, nil, "has a tag with this digest, but not the digest")
}

// TestMoved tests that a tag that has moved since it was resolved is not absent.
func TestMoved(t *testing.T) {
	t.Parallel()
	now := `{"schemaVersion":2,"layers":[{"digest":"` + b + `","size":1}]}`
	c, _ := served(t, "example.com", Options{}, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasSuffix(r.URL.Path, "/v1"):
			fail(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
		case r.Method == http.MethodHead: // an old response of a cache
			w.Header().Set("Docker-Content-Digest", a)
		default:
			fmt.Fprint(w, now)
		}
	})
	digest, err := c.Resolve(t.Context(), "app", "v1")
	if err != nil || digest != a {
		t.Fatalf("%s, error %v", digest, err)
	}
	_, err = c.Manifest(t.Context(), "app", digest)
	checkError(t, err, nil, "not in the registry: tag v1 is "+sha256Of([]byte(now))+" now")
	var moved *MovedError
	if !errors.As(err, &moved) || moved.Digest != sha256Of([]byte(now)) || len(moved.Contents.Blobs) != 1 {
		t.Errorf("error %+v", moved)
	}
	_, err = c.Manifest(t.Context(), "app", b)
	checkError(t, err, ErrAbsent, "not in the registry")
}
