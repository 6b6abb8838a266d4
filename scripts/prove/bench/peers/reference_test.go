package peers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"archeio/lambda/config"
)

// TestReference checks that the work is done: a blob goes to the mirror that has it,
// and is looked for once.
func TestReference(t *testing.T) {
	t.Parallel()
	present, absent := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	var checks []string
	mirrors := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		checks = append(checks, r.Method+" "+r.URL.Path)
		if !strings.HasSuffix(r.URL.Path, present) {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer mirrors.Close()
	env := map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example",
		"UPSTREAM_REGISTRY_PATH":     "images",
		"DEFAULT_AWS_BASE_URL":       mirrors.URL + "/default",
		"MIRROR_REGIONS":             "us-east-1,eu-central-1",
		"MIRROR_URL_TEMPLATE":        mirrors.URL + "/{region}",
		"DEFAULT_MIRROR_CHECK_URL":   mirrors.URL + "/default",
	}
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	const upstream = "https://registry.example/v2/images"
	h := NewReference(c)
	for _, tt := range []struct {
		name, method, path, client string
		status                     int
		location, check            string
	}{
		{"ping", "GET", "/v2/", "35.180.1.1", 200, "", ""},
		{"manifest", "GET", "/v2/pause/manifests/3.9", "35.180.1.1", 307, upstream + "/pause/manifests/3.9", ""},
		{"nearest-mirror", "GET", "/v2/pause/blobs/" + present, "35.180.1.1", 307, mirrors.URL + "/eu-central-1/containers/images/" + present, "HEAD /eu-central-1/containers/images/" + present},
		{"cached", "HEAD", "/v2/a/b/blobs/" + present, "1.2.3.4, 35.180.1.1", 307, mirrors.URL + "/eu-central-1/containers/images/" + present, ""},
		{"absent", "GET", "/v2/pause/blobs/" + absent, "35.180.1.1", 307, upstream + "/pause/blobs/" + absent, "HEAD /eu-central-1/containers/images/" + absent},
		{"unknown-address", "GET", "/v2/pause/blobs/" + present, "192.0.2.1", 307, mirrors.URL + "/default/containers/images/" + present, "HEAD /default/containers/images/" + present},
		{"google-cloud", "GET", "/v2/pause/blobs/" + present, "34.1.208.1", 307, upstream + "/pause/blobs/" + present, ""},
		{"no-address", "GET", "/v2/pause/blobs/" + present, "", 400, "", ""},
		{"another-path", "GET", "/", "35.180.1.1", 404, "", ""},
		{"push", "POST", "/v2/pause/blobs/uploads/", "35.180.1.1", 405, "", ""},
	} {
		checks = nil
		r := httptest.NewRequest(tt.method, tt.path, nil)
		r.Header.Set("X-Forwarded-For", tt.client)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status || w.Header().Get("Location") != tt.location || strings.Join(checks, ",") != tt.check {
			t.Errorf("%s: status %d, location %q, checks %q: want %d, %q, %q", tt.name, w.Code, w.Header().Get("Location"), checks, tt.status, tt.location, tt.check)
		}
	}
}
