package copier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"archeio/lambda/registry"
)

// distant is a registry of repositories with a number of tags each, and a round trip
// away. Its manifests are cached.
type distant struct {
	repositories, tags int
	manifests          *ManifestCache

	mu          sync.Mutex
	heads, most int // in progress, and the most at once
}

const roundTrip = 50 * time.Millisecond

func newDistant(repositories, tags int) *distant {
	d := &distant{repositories: repositories, tags: tags, manifests: &ManifestCache{}}
	for i := range repositories * tags {
		d.manifests.Put(Digest{byte(i), byte(i >> 8)}.String(), &registry.Contents{})
	}
	return d
}

// RoundTrip implements http.RoundTripper.
func (d *distant) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodHead {
		d.mu.Lock()
		d.heads++
		d.most = max(d.most, d.heads)
		d.mu.Unlock()
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.heads--
		}()
	}
	time.Sleep(roundTrip)
	var repository, tag int
	if n, _ := fmt.Sscanf(r.URL.Path, "/v2/app-%d/manifests/v%d", &repository, &tag); n == 2 {
		i := repository*d.tags + tag
		return respond(r, http.StatusOK, http.Header{"Docker-Content-Digest": {Digest{byte(i), byte(i >> 8)}.String()}}, "")
	}
	if strings.HasPrefix(r.URL.Path, "/v2/_catalog") {
		if r.URL.Query().Has("last") {
			return respond(r, http.StatusOK, nil, `{"repositories":[]}`)
		}
		return respondList(r, "repositories", "app-%d", d.repositories)
	}
	return respondList(r, "tags", "v%d", d.tags)
}

// respondList responds with a list of n names.
func respondList(r *http.Request, what, format string, n int) (*http.Response, error) {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(format, i)
	}
	body, err := json.Marshal(map[string][]string{what: names})
	if err != nil {
		return nil, err
	}
	return respond(r, http.StatusOK, nil, string(body))
}

// TestDistance tests how many round trips a run without changes takes from a shell, how
// many tags it resolves at once, that it keeps to a rate, and that buckets are listed at
// the same time.
func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name               string
		repositories, tags int
		images             int
		rate               float64 // with a burst of a second
		most               int     // requests for tags at once
		trips              int     // at most, two of them for the catalog
		atLeast            time.Duration
	}{
		{"one-repository", 1, 256, 64, 0, 64, 2 + 1 + 4, 0},
		{"repositories", 32, 8, 64, 0, 64, 2 + 2*1 + 4, 0},
		{"function", 1, 256, 0, 0, 8, 2 + 1 + 32, 0},
		{"rate", 1, 256, 64, 100, 64, 36, (3 + 256 - 100) * time.Second / 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDistant(tt.repositories, tt.tags)
				source, err := registry.New("registry.example.com", registry.Options{Transport: d, Rate: tt.rate, Keychain: authn.NewMultiKeychain()})
				if err != nil {
					t.Fatal(err)
				}
				bucket := newMemory().bucket("primary", "us-east-1")
				// While the catalog and the tags are listed.
				bucket.pages = func(string, string, func(Digest, int64)) (string, error) {
					time.Sleep(3 * roundTrip)
					return "", nil
				}
				began := time.Now()
				plan, err := NewPlan(context.Background(), Options{Source: source, Buckets: []*Bucket{bucket}, Manifests: d.manifests, Images: tt.images, TempDir: t.TempDir()})
				if err != nil || plan.Manifests != tt.repositories*tt.tags || plan.Fetched != 0 {
					t.Fatalf("plan %+v, error %v", plan, err)
				}
				took := time.Since(began)
				if trips := int(took / roundTrip); d.most != tt.most || trips > tt.trips || took < tt.atLeast {
					t.Errorf("%d requests for tags at once, %v or %d round trips, want %d, at least %v and at most %d", d.most, took, trips, tt.most, tt.atLeast, tt.trips)
				}
			})
		})
	}
}

// TestListingFails tests that a run ends with the error of a bucket that cannot be listed,
// whatever the source does at that time.
func TestListingFails(t *testing.T) {
	t.Parallel()
	for _, trips := range []time.Duration{0, 1, 2, 4, 20} {
		t.Run(fmt.Sprint("after-", int(trips)), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDistant(32, 8)
				source, err := registry.New("registry.example.com", registry.Options{Transport: d, Keychain: authn.NewMultiKeychain()})
				if err != nil {
					t.Fatal(err)
				}
				bucket := newMemory().bucket("primary", "us-east-1")
				failed := errors.New("no such bucket")
				bucket.pages = func(string, string, func(Digest, int64)) (string, error) {
					time.Sleep(trips * roundTrip)
					return "", failed
				}
				began := time.Now()
				_, _, err = Run(context.Background(), Options{Source: source, Buckets: []*Bucket{bucket}, Manifests: d.manifests, Images: 8, TempDir: t.TempDir()})
				if took := time.Since(began); !errors.Is(err, failed) || took > (trips+1)*roundTrip {
					t.Errorf("error %v after %v, want %v", err, took, failed)
				}
			})
		})
	}
}

// TestListingTakesLong tests that images have their time after the buckets are listed.
func TestListingTakesLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const repositories, tags = 32, 2
		d := newDistant(repositories, tags)
		child := Digest{31: 1}.String()
		d.manifests.Put(child, &registry.Contents{})
		for i := range repositories * tags {
			d.manifests.Put(Digest{byte(i)}.String(), &registry.Contents{Children: []string{child}, Platforms: []string{"linux/amd64"}})
		}
		source, err := registry.New("registry.example.com", registry.Options{Transport: d, Keychain: authn.NewMultiKeychain()})
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Source: source, Buckets: []*Bucket{newMemory().bucket("primary", "us-east-1")}, Manifests: d.manifests, Images: 64, TempDir: t.TempDir()}
		o.fill()
		o.Buckets[0].pages = func(string, string, func(Digest, int64)) (string, error) {
			time.Sleep(2 * o.ImageTime)
			return "", nil
		}
		plan, err := NewPlan(context.Background(), o)
		if err != nil || len(plan.Errors) != 0 || plan.Manifests != repositories*(tags+1) {
			t.Errorf("%d manifests, errors %v, %v", plan.Manifests, plan.Errors, err)
		}
	})
}
