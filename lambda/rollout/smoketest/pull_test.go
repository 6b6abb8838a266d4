package smoketest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archeio/lambda/build"
	"archeio/lambda/testpull"
)

const configBlob = `{"os":"linux"}`

// newStore starts a server that is an upstream with the image app:v1, and a mirror with
// its blob at /eu-west-3. It returns its URL, its client and a file with its certificate.
func newStore(t *testing.T) (url string, transport http.RoundTripper, trusted string) {
	t.Helper()
	sum := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(configBlob)))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/images/app/manifests/v1":
			fmt.Fprintf(w, `{"config": {"digest": %q, "size": %d}}`, sum, len(configBlob))
		case "/eu-west-3/containers/images/" + sum:
			fmt.Fprint(w, configBlob)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients close connections in a handshake
	s.StartTLS()
	t.Cleanup(s.Close)
	trusted = filepath.Join(t.TempDir(), "certificate.pem")
	if err := os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.URL, s.Client().Transport, trusted
}

// TestPull pulls through the built redirector. A version fails only if the live one does
// not.
func TestPull(t *testing.T) {
	t.Parallel()
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	store, transport, trusted := newStore(t)
	broken := func(context.Context, []byte) ([]byte, error) { return nil, errors.New("throttled") }
	at := strings.TrimPrefix(store, "https://")
	for _, tt := range []struct {
		name              string
		env               map[string]string
		image             string
		change            func(version, live Invoke) (Invoke, Invoke)
		done, done2, fail string // a part of each line
	}{
		{"mirror", map[string]string{"MIRROR_REGIONS": "eu-west-3", "MIRROR_URL_TEMPLATE": store + "/{region}"}, "v1", nil,
			"alb, pull of app:v1: manifest from " + at + ", blob from " + at + " (aws-region), ", "url, pull of app:v1: manifest", ""},
		{"distribution", map[string]string{"DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": store + "/eu-west-3", "CLIENT_ADDRESS_HEADER": "CloudFront-Viewer-Address"}, "v1", nil,
			"", "url, pull of app:v1: manifest from " + at + ", blob from d111111abcdef8.cloudfront.net (default-mirror), ", ""},
		{"domain", map[string]string{"DEFAULT_AWS_BASE_URL": "https://images.example", "DEFAULT_MIRROR_CHECK_URL": store + "/eu-west-3", "CLIENT_ADDRESS_HEADER": "CloudFront-Viewer-Address"}, "v1", nil,
			"", "url, pull of app:v1: manifest from " + at + ", blob from images.example (default-mirror), ", ""},
		{"broken", nil, "v1", func(_, live Invoke) (Invoke, Invoke) { return broken, live }, "", "",
			"pull of app:v1: API version check: requesting https://registry.example.com/v2/: throttled; the live version serves it"},
		{"both-broken", nil, "v1", func(_, _ Invoke) (Invoke, Invoke) { return broken, broken }, "fails through the live version too: API version check", "url, pull", ""},
		{"deleted-image", nil, "v2", nil, "alb, pull of app:v2: fails through the live version too: manifest v2: requesting " + store + "/v2/images/app/manifests/v2: status 404", "url, pull", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": store, "UPSTREAM_REGISTRY_PATH": "images", "AWS_REGION": "eu-west-3"}
			if tt.env == nil {
				env["MIRROR_REGIONS"], env["MIRROR_URL_TEMPLATE"] = "eu-west-3", store+"/{region}"
			}
			for name, value := range tt.env {
				env[name] = value
			}
			c := load(t, env)
			env["SSL_CERT_FILE"] = trusted
			version := start(t, bootstrap, env)
			live := version
			if tt.change != nil {
				version, live = tt.change(version, live)
			}
			entryPoints := both
			if tt.done == "" && tt.fail == "" {
				entryPoints = []EntryPoint{URL} // a distribution without load balancers
			}
			got := Pull(t.Context(), c, entryPoints, testpull.Image{Name: "app", Reference: tt.image}, version, live, transport)
			lines := strings.Join(got.Done, "\n")
			if tt.fail == "" && (len(got.Failures) > 0 || len(got.Done) != len(entryPoints) || !strings.Contains(lines, tt.done) || !strings.Contains(lines, tt.done2)) {
				t.Errorf("failures %q, want none; done:\n%s\nwant %q and %q", got.Failures, lines, tt.done, tt.done2)
			}
			if tt.fail != "" && (len(got.Failures) != len(entryPoints) || !strings.Contains(got.Failures[0], tt.fail) || len(got.Done) > 0) {
				t.Errorf("failures %q, want %q for each entry point; done %q", got.Failures, tt.fail, got.Done)
			}
		})
	}
}

// A relayed manifest may arrive as Base64.
func TestParseBody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       []byte
		ok         bool
	}{
		{"text", `{"headers":{},"body":"a"}`, []byte("a"), true},
		{"base64", `{"headers":{},"body":"AAE=","isBase64Encoded":true}`, []byte{0, 1}, true},
		{"invalid", `{"headers":{},"body":"-","isBase64Encoded":true}`, nil, false},
	} {
		if r, err := URL.parse([]byte(tt.text)); (err == nil) != tt.ok || !bytes.Equal([]byte(r.body), tt.want) {
			t.Errorf("%s: body %q, error %v, want %q", tt.name, r.body, err, tt.want)
		}
	}
}
