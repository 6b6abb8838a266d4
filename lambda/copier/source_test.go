package copier

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"archeio/lambda/registry"
)

// roots collects the repositories of Roots, and the next of each page.
func roots(t *testing.T, s *registry.Client, after string) (all, next []string, err error) {
	t.Helper()
	err = s.Roots(t.Context(), after, func(page []string, last string) error {
		all, next = append(all, page...), append(next, last)
		return nil
	})
	return all, next, err
}

func TestRoots(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	small := image(t, 10, 1)
	// Some registries sort "a/b" before "a-b", like paths of folders.
	for _, repository := range []string{"a/b", "a/c", "a-b", "b/c", "b/d", "bc/d", "z"} {
		h.push(t, repository+":v1", small)
	}
	byFolder := func(a, b string) int {
		return strings.Compare(strings.ReplaceAll(a, "/", "\x00"), strings.ReplaceAll(b, "/", "\x00"))
	}
	folders := func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v2/_catalog" {
			return false
		}
		names := []string{"a/b", "a/c", "a-b", "b/c", "b/d", "bc/d", "z"}
		names = slices.DeleteFunc(names, func(name string) bool { return byFolder(name, r.URL.Query().Get("last")) <= 0 })
		fmt.Fprintf(w, `{"repositories":["%s"]}`, strings.Join(names[:min(3, len(names))], `","`))
		return true
	}
	empty := func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/_catalog" && r.URL.Query().Get("last") == "z" {
			fmt.Fprint(w, `{"repositories":null}`)
			return true
		}
		return folders(w, r)
	}
	all := func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/_catalog" {
			fmt.Fprint(w, `{"repositories":["a/b","z"]}`)
		}
		return r.URL.Path == "/v2/_catalog"
	}
	for _, tt := range []struct {
		name, prefix, after string
		page                int
		google              bool
		before              func(http.ResponseWriter, *http.Request) bool
		want, next          []string
	}{
		{"all-in-one-page", "", "", 0, false, nil, []string{"a-b", "a/b", "a/c", "b/c", "b/d", "bc/d", "z"}, []string{"z"}},
		{"several-pages", "", "", 3, false, nil, []string{"a-b", "a/b", "a/c", "b/c", "b/d", "bc/d", "z"}, []string{"a/c", "bc/d", "z"}},
		{"below-a-prefix", "b", "", 2, false, nil, []string{"b/c", "b/d"}, []string{"a/b", "b/c", "bc/d", "z"}},
		{"continued", "", "b/c", 2, false, nil, []string{"b/d", "bc/d", "z"}, []string{"bc/d", "z"}},
		{"ordered-by-folder", "", "", 0, false, empty, []string{"a/b", "a/c", "a-b", "b/c", "b/d", "bc/d", "z"}, []string{"a-b", "bc/d", "z"}},
		{"ignores-last", "", "", 0, false, all, []string{"a/b", "z"}, []string{"z"}},
		{"lists-itself", "a", "", 0, true, nil, []string{"a"}, []string{""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.page, h.google = tt.page, tt.google
			h.intercept(tt.before)
			got, next, err := roots(t, h.source(t, tt.prefix, registry.Options{}), tt.after)
			if err != nil || !slices.Equal(got, tt.want) || !slices.Equal(next, tt.next) {
				t.Errorf("%q after %q, error %v; want %q after %q", got, next, err, tt.want, tt.next)
			}
		})
	}
}

// TestGoogleListing tests that the listing of Google has children several levels
// deep, and untagged manifests.
func TestGoogleListing(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	h.google = true
	deep := h.push(t, "project/images/team/group/app:v1", image(t, 10, 1))
	flat := h.push(t, "project/images/base:v1", image(t, 10, 1))
	h.push(t, "project/images/base:v2", flat)
	moved := h.push(t, "project/images/base:v3", image(t, 10, 1))
	h.push(t, "project/images/base:v3", flat) // the untagged manifest stays
	h.push(t, "project/other:v1", image(t, 10, 1))
	source := h.source(t, "project/images", registry.Options{})

	l, err := source.List(t.Context(), "project/images/base")
	want := &registry.Listing{Complete: true, Entries: []registry.Entry{{Tag: "v1", Digest: digestOf(t, flat)}, {Digest: digestOf(t, moved)}}}
	slices.SortFunc(want.Entries, func(a, b registry.Entry) int { return strings.Compare(a.Digest, b.Digest) })
	if err != nil || !reflect.DeepEqual(l, want) {
		t.Errorf("%+v, error %v, want %+v", l, err, want)
	}

	plan, err := NewPlan(t.Context(), Options{Source: source, Referrers: true})
	if err != nil || plan.Repositories != 2 || plan.Manifests != 3 || plan.Blobs != 6 || len(plan.Errors) != 0 {
		t.Errorf("plan %+v, error %v", plan, err)
	}
	for _, image := range []v1.Image{deep, moved} {
		if source, ok := plan.Find(firstBlob(t, image)); !ok || !strings.HasPrefix(source.Image, "project/images/") {
			t.Errorf("a blob of %s: %+v", digestOf(t, image), source)
		}
	}
}

// firstBlob is the digest of the config of an image.
func firstBlob(t *testing.T, image v1.Image) Digest {
	t.Helper()
	hash, err := image.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	d, _ := ParseDigest(hash.String())
	return d
}

// TestTagPages tests that pages of tags are followed, on the same host only.
func TestTagPages(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	h.page = 2
	var want []registry.Entry
	for _, tag := range []string{"a", "b", "c", "d", "e"} {
		h.push(t, "app:"+tag, image(t, 10, 1))
		want = append(want, registry.Entry{Tag: tag})
	}
	l, err := h.source(t, "", registry.Options{}).List(t.Context(), "app")
	if err != nil || !slices.Equal(l.Entries, want) || l.Complete {
		t.Errorf("%+v, error %v, want %q", l, err, want)
	}
	for _, tt := range []struct{ name, link, wrong string }{
		{"other-host", `<https://elsewhere.example.com/v2/app/tags/list?last=a>; rel="next"`, "on another host"},
		{"other-host-without-scheme", `<//elsewhere.example.com/v2/app/tags/list>; rel="next"`, "on another host"},
		{"away-from-tls", `<http://example.com/v2/app/tags/list?last=a>; rel="next"`, "on another host"},
		{"to-itself", `</v2/app/tags/list?n=1000>; rel="next"`, "that of the same page"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/tags/list") {
					return false
				}
				w.Header().Set("Link", tt.link)
				fmt.Fprint(w, `{"name":"app","tags":["a"]}`)
				return true
			})
			h.requests()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, err := h.source(t, "", registry.Options{}).List(ctx, "app")
			oneLineOf(t, err, "listing the tags of app", tt.wrong)
			if n := len(h.requests()); n != 2 { // with the ping
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestOnePing tests that the registry is pinged once per scheme, for any number of
// repositories.
func TestOnePing(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	for i := range 20 {
		h.push(t, fmt.Sprintf("app-%d:v1", i), image(t, 10, 1))
	}
	requests := newTally(h.Client().Transport, atSource)
	if plan, err := NewPlan(t.Context(), Options{Source: h.source(t, "", registry.Options{Transport: requests})}); err != nil || len(plan.Errors) != 0 {
		t.Fatalf("plan %+v, error %v", plan, err)
	}
	if got, want := requests.take(), "catalog:2 head:20 manifest:20 ping-https:1 tags:20"; got != want {
		t.Errorf("requests %s, want %s", got, want)
	}
	// A registry on loopback may use either scheme.
	plain := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	defer plain.Close()
	requests = newTally(http.DefaultTransport, atSource)
	s, err := registry.New(strings.TrimPrefix(plain.URL, "http://"), registry.Options{Transport: requests})
	if err != nil {
		t.Fatal(err)
	}
	if plan, err := NewPlan(t.Context(), Options{Source: s, Repositories: []string{"a", "b", "c"}}); err != nil || len(plan.Errors) != 3 {
		t.Fatalf("plan %+v, error %v", plan, err)
	}
	if got, want := requests.take(), "ping-http:1 ping-https:1 tags:3"; got != want {
		t.Errorf("requests %s, want %s", got, want)
	}
}

// signature is a manifest with a subject.
func signature(subject string, config, layer registry.Blob) string {
	const mediaType = `"mediaType":"application/vnd.oci.image.manifest.v1+json"`
	return fmt.Sprintf(`{"schemaVersion":2,`+mediaType+`,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":%d},`+
		`"layers":[{"mediaType":"application/octet-stream","digest":%q,"size":%d}],"subject":{`+mediaType+`,"digest":%q,"size":1}}`,
		config.Digest, config.Size, layer.Digest, layer.Size, subject)
}

// TestReferrers tests that referrers are found, also referrers of referrers, and
// new ones on the next run.
func TestReferrers(t *testing.T) {
	t.Parallel()
	h := startHub(t, ggcr.WithReferrersSupport(true))
	signed := digestOf(t, h.push(t, "app:v1", image(t, 10, 1)))
	config := h.blob(t, "app", []byte("{}"))
	first := h.manifest(t, "app", "", string(types.OCIManifestSchema1), signature(signed, config, h.blob(t, "app", []byte("1"))))
	requests := newTally(h.Client().Transport, atSource)
	o := Options{Source: h.source(t, "", registry.Options{Transport: requests}), Referrers: true, Manifests: &ManifestCache{}}
	for _, tt := range []struct {
		name                      string
		change                    func()
		manifests, fetched, blobs int
		requests                  string
	}{
		{"first", func() {}, 2, 2, 4, "catalog:2 head:1 manifest:2 ping-https:1 referrers:2 tags:1"},
		{"unchanged", func() {}, 2, 0, 4, "catalog:2 head:1 referrers:2 tags:1"},
		{"new-referrer-of-a-referrer", func() {
			h.manifest(t, "app", "", string(types.OCIManifestSchema1), signature(first, config, h.blob(t, "app", []byte("2"))))
		}, 3, 1, 5, "catalog:2 head:1 manifest:1 referrers:3 tags:1"},
		{"moved-tag", func() { h.push(t, "app:v1", image(t, 10, 1)) }, 1, 1, 2, "catalog:2 head:1 manifest:1 referrers:1 tags:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.change()
			plan, err := NewPlan(t.Context(), o)
			if err != nil || len(plan.Errors) != 0 || plan.Manifests != tt.manifests || plan.Fetched != tt.fetched || plan.Blobs != tt.blobs {
				t.Errorf("plan %+v, error %v", plan, err)
			}
			if got := requests.take(); got != tt.requests {
				t.Errorf("requests %s, want %s", got, tt.requests)
			}
		})
	}
}

// TestNoReferrers tests that a registry without the referrers API gets one request
// for it, for all status codes that registries use.
func TestNoReferrers(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			h := startHub(t)
			for i := range 20 {
				h.push(t, fmt.Sprintf("app-%d:v1", i), image(t, 10, 1))
			}
			const parallel = 8
			var manifests atomic.Int32
			waiting := make(chan struct{})
			h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") && manifests.Add(1) == parallel {
					close(waiting)
				}
				if strings.Contains(r.URL.Path, "/referrers/") {
					<-waiting // until the others are about to send the same request
					w.WriteHeader(status)
					return true
				}
				return false
			})
			requests := newTally(h.Client().Transport, atSource)
			o := Options{Source: h.source(t, "", registry.Options{Transport: requests}), Referrers: true, Manifests: &ManifestCache{}, Parallel: parallel}
			for range 2 {
				if plan, err := NewPlan(t.Context(), o); err != nil || len(plan.Errors) != 0 || plan.Manifests != 20 {
					t.Errorf("plan %+v, error %v", plan, err)
				}
			}
			if got := requests.take(); !strings.Contains(got, " referrers:1 ") {
				t.Errorf("requests %s", got)
			}
		})
	}
	t.Run("out-of-order", func(t *testing.T) {
		h := startHub(t)
		h.push(t, "app:v1", image(t, 10, 1))
		h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/referrers/") {
				w.WriteHeader(http.StatusGone)
				return true
			}
			return false
		})
		plan, err := NewPlan(t.Context(), Options{Source: h.source(t, "", registry.Options{}), Referrers: true})
		if err != nil || len(plan.Errors) != 1 || plan.Manifests != 1 {
			t.Fatalf("plan %+v, error %v", plan, err)
		}
		oneLineOf(t, plan.Errors[0], "listing referrers of app@sha256:")
	})
}

// TestBlobFrom tests that a blob is opened at an offset, also if the registry ignores
// ranges.
func TestBlobFrom(t *testing.T) {
	t.Parallel()
	data, blob := noise(1, 100_000)
	serve := map[string]func(w http.ResponseWriter, r *http.Request){
		"ranges": func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		},
		"no-ranges": func(w http.ResponseWriter, r *http.Request) { w.Write(data) },
	}
	for name, serve := range serve {
		for _, from := range []int64{0, 1, 99_999} {
			t.Run(fmt.Sprint(name, "-", from), func(t *testing.T) {
				h := startHub(t)
				asked := ""
				h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
					if strings.Contains(r.URL.Path, "/blobs/") {
						asked = r.Header.Get("Range")
						serve(w, r)
						return true
					}
					return false
				})
				body, size, err := h.source(t, "", registry.Options{}).Blob(t.Context(), "app", blob, from)
				if err != nil {
					t.Fatal(err)
				}
				defer body.Close()
				got, err := io.ReadAll(body)
				if err != nil || !bytes.Equal(got, data[from:]) || size != blob.Size {
					t.Errorf("%d bytes of %d, error %v", len(got), size, err)
				}
				if want := map[bool]string{true: fmt.Sprintf("bytes=%d-", from)}[from > 0]; asked != want {
					t.Errorf("range %q, want %q", asked, want)
				}
			})
		}
	}
}

// TestBlobSize tests that the size is that of the response if the manifest has none.
func TestBlobSize(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	blob := h.blob(t, "app", []byte("four"))
	for _, tt := range []struct{ manifest, want int64 }{{registry.SizeUnknown, 4}, {7, 7}} {
		body, size, err := h.source(t, "", registry.Options{}).Blob(t.Context(), "app", registry.Blob{Digest: blob.Digest, Size: tt.manifest}, 0)
		if err != nil || size != tt.want {
			t.Fatalf("size %d, error %v, want %d", size, err, tt.want)
		}
		body.Close()
	}
}

// TestBlobLeavesNothing tests that a closed blob leaves no context.
func TestBlobLeavesNothing(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	blob := h.blob(t, "app", []byte("four"))
	var of context.Context
	source := h.source(t, "", registry.Options{Transport: wire(func(r *http.Request) (*http.Response, error) {
		of = r.Context()
		return h.Client().Transport.RoundTrip(r)
	})})
	body, _, err := source.Blob(t.Context(), "app", blob, 0)
	if err != nil || of.Err() != nil {
		t.Fatal(err, of.Err())
	}
	if body.Close(); of.Err() == nil {
		t.Error("the request's context outlives the blob")
	}
}

// TestRedirects tests that a blob may be on another host, but not with HTTP if the
// registry uses HTTPS.
func TestRedirects(t *testing.T) {
	t.Parallel()
	data, blob := noise(1, 1000)
	elsewhere := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("another host got the credentials")
		}
		w.Write(data)
	})
	clear, sealed := httptest.NewServer(elsewhere), httptest.NewTLSServer(elsewhere)
	defer clear.Close()
	defer sealed.Close()
	h := startHub(t)
	var to string
	h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	trusting := h.Client().Transport.(*http.Transport).Clone()
	trusting.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	for _, tt := range []struct{ name, to, wrong string }{
		{"tls", sealed.URL, ""},
		{"clear", clear.URL, "redirect from https to http"},
		{"endless", "https://example.com/v2/app/blobs/" + blob.Digest, "too many redirects"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to = tt.to
			body, _, err := h.source(t, "", registry.Options{Transport: trusting, Keychain: login{"u", "p"}}).Blob(t.Context(), "app", blob, 0)
			if tt.wrong != "" {
				oneLineOf(t, err, "fetching blob app@"+blob.Digest, tt.wrong)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, error %v", len(got), err)
			}
		})
	}
}

// login is a keychain with one login.
type login struct{ user, password string }

func (l login) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: l.user, Password: l.password}, nil
}

// TestLogin tests that missing credentials are one line, without retries.
func TestLogin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		challenge string
		status    int // without credentials
	}{
		{"basic", `Basic realm="test"`, http.StatusUnauthorized},
		{"token", `Bearer realm="https://example.com/token",service="test"`, http.StatusUnauthorized},
		{"forbidden", "", http.StatusForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := startHub(t)
			h.push(t, "app:v1", image(t, 10, 1))
			h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				user, password, _ := r.BasicAuth()
				right := user == "u" && password == "p"
				switch {
				case r.URL.Path == "/token" && right:
					fmt.Fprint(w, `{"token":"t"}`)
					return true
				case r.Header.Get("Authorization") == "Bearer t", right && tt.name != "token":
					return false
				case tt.name == "forbidden" && r.URL.Path == "/v2/":
					return false
				}
				w.Header().Set("WWW-Authenticate", tt.challenge)
				w.WriteHeader(tt.status)
				return true
			})
			h.requests()
			_, err := NewPlan(t.Context(), Options{Source: h.source(t, "project", registry.Options{})})
			oneLineOf(t, err, "example.com", "missing or insufficient credentials")
			if !errors.Is(err, registry.ErrUnauthorized) || !permanent(err) {
				t.Errorf("error %q is not permanent", err)
			}
			if asked := h.requests(); len(asked) > 2 {
				t.Errorf("requests %q", asked)
			}
			// With a list of repositories each is one line.
			plan, err := NewPlan(t.Context(), Options{Source: h.source(t, "", registry.Options{}), Repositories: []string{"app", "other"}})
			if err != nil || len(plan.Errors) != 2 {
				t.Fatalf("plan %+v, error %v", plan, err)
			}
			for i, repository := range []string{"app", "other"} {
				oneLineOf(t, plan.Errors[i], repository, "missing or insufficient credentials")
			}
			if tt.name == "forbidden" {
				return
			}
			plan, err = NewPlan(t.Context(), Options{Source: h.source(t, "", registry.Options{Keychain: login{"u", "p"}})})
			if err != nil || len(plan.Errors) != 0 || plan.Manifests != 1 {
				t.Errorf("with credentials the plan is %+v, error %v", plan, err)
			}
		})
	}
}
