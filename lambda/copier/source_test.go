package copier

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"archeio/lambda/registry"
)

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

	plan, err := NewPlan(t.Context(), Options{Source: source, Referrers: true})
	if err != nil || plan.Repositories != 2 || plan.Manifests != 3 || plan.Blobs != 6 || len(plan.Errors) != 0 {
		t.Errorf("plan %+v, error %v", plan, err)
	}
	for _, image := range []v1.Image{deep, moved} {
		if source, ok, err := (&finder{plan: plan}).find(firstBlob(t, image)); err != nil || !ok || !strings.HasPrefix(source.Image, "project/images/") {
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

// TestPings tests that a registry is not pinged, and one on loopback once per
// client to find out whether it uses TLS.
func TestPings(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	for i := range 20 {
		h.push(t, fmt.Sprintf("app-%d:v1", i), image(t, 10, 1))
	}
	requests := newTally(h.Client().Transport, atSource)
	if plan, err := NewPlan(t.Context(), Options{Source: h.source(t, "", registry.Options{Transport: requests})}); err != nil || len(plan.Errors) != 0 {
		t.Fatalf("plan %+v, error %v", plan, err)
	}
	if got, want := requests.take(), "catalog:2 head:20 manifest:20 tags:20"; got != want {
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
	if _, err := NewPlan(t.Context(), Options{Source: s, Filter: Filter{Repositories: []string{"a", "b", "c"}}}); !errors.Is(err, registry.ErrAbsent) {
		t.Fatalf("error %v for three repositories that do not exist", err)
	}
	if got, want := requests.take(), "ping-https:1 tags:3"; got != want {
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
		{"first", func() {}, 2, 2, 4, "catalog:2 head:1 manifest:2 referrers:2 tags:1"},
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

// TestNoReferrers tests that images without the referrers API are copied, for all
// status codes that registries use.
func TestNoReferrers(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			h := startHub(t)
			for i := range 20 {
				h.push(t, fmt.Sprintf("app-%d:v1", i), image(t, 10, 1))
			}
			h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/referrers/") {
					w.WriteHeader(status)
					return true
				}
				return false
			})
			requests := newTally(h.Client().Transport, atSource)
			o := Options{Source: h.source(t, "", registry.Options{Transport: requests}), Referrers: true, Manifests: &ManifestCache{}}
			for range 2 {
				if plan, err := NewPlan(t.Context(), o); err != nil || len(plan.Errors) != 0 || plan.Manifests != 20 {
					t.Errorf("plan %+v, error %v", plan, err)
				}
			}
			if got := requests.take(); !strings.Contains(got, " referrers:20 ") && !strings.Contains(got, " referrers:40 ") {
				t.Errorf("requests %s", got)
			}
		})
	}
	t.Run("out-of-order", func(t *testing.T) {
		h := startHub(t)
		h.push(t, "app:v1", image(t, 10, 1))
		h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/referrers/") {
				w.Header().Set("Retry-After", "31536000") // longer than any run waits
				w.WriteHeader(http.StatusServiceUnavailable)
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
			if asked := h.requests(); len(asked) > 4 { // the prefix and the catalog, and a token for each
				t.Errorf("requests %q", asked)
			}
			// With a list of repositories each is one line.
			plan, err := NewPlan(t.Context(), Options{Source: h.source(t, "", registry.Options{}), Filter: Filter{Repositories: []string{"app", "other"}}})
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
