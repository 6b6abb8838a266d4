package image

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"archeio/lambda/testpull"
)

func TestFind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, configured, state string
		stateErr                error
		want                    testpull.Image
		err                     string // a part of it, "" for none
	}{
		{"configured", "app:v2", `{"image": "app:v1"}`, nil, testpull.Image{Name: "app", Reference: "v2"}, ""},
		{"recorded", "", `{"image": "app:v1"}`, nil, testpull.Image{Name: "app", Reference: "v1"}, ""},
		{"none-yet", "", "", nil, testpull.Image{}, ""},
		{"denied", "", "", errors.New("access denied"), testpull.Image{}, "reading the state canary.json: access denied"},
		{"not-json", "", "app:v1", nil, testpull.Image{}, "reading the state canary.json: invalid character"},
		{"no-tag", "", `{"image": "app"}`, nil, testpull.Image{}, `invalid image "app": want NAME:TAG`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &Source{State: func(context.Context, string) ([]byte, error) {
				if tt.state == "" {
					return nil, tt.stateErr
				}
				return []byte(tt.state), tt.stateErr
			}}
			s.Image, _ = testpull.ParseImage(tt.configured)
			got, err := s.Find(t.Context())
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v, error %v, want %v, error %q", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, image, state string
		found              bool
		err                string
	}{
		{"none", "", "", false, ""},
		{"image", "app:v1", "", true, ""},
		{"state", "", "bucket@eu-central-1", true, ""},
		{"bad-image", "app", "", false, `reading CANARY_IMAGE: invalid image "app": want NAME:TAG or NAME@DIGEST`},
		{"bad-state", "", "bucket", false, `reading CANARY_STATE: invalid bucket "bucket": want NAME@REGION`},
	} {
		env := map[string]string{"CANARY_IMAGE": tt.image, "CANARY_STATE": tt.state}
		s, err := Load(func(name string) string { return env[name] })
		if (s != nil) != tt.found || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("%s: %v, error %v", tt.name, s, err)
		}
	}
}

// A server in place of S3 is asked for the bucket in the path: it may have no name for it.
func TestEndpoint(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bucket/canary.json" {
			io.WriteString(w, `{"image": "app:v1"}`)
		}
	}))
	defer server.Close()
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": strings.Replace(server.URL, "127.0.0.1", "localhost", 1), "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_CONFIG_FILE": os.DevNull} {
		t.Setenv(name, value)
	}
	env := map[string]string{"CANARY_STATE": "bucket@eu-central-1", "AWS_ENDPOINT_URL": os.Getenv("AWS_ENDPOINT_URL")}
	s, err := Load(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Find(t.Context()); err != nil || got.Name != "app" {
		t.Errorf("%v, error %v, want app:v1", got, err)
	}
}
