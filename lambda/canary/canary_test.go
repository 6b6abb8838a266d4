package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"archeio/lambda/build"
	"archeio/lambda/testpull"
	"archeio/lambda/testpull/image"
	"archeio/scripts/lab/runtimeapi"
)

const blob = `{"os":"linux"}`

func digestOf(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

// entry serves the image app:v1, and counts requests. It serves the state bucket too.
type entry struct {
	*httptest.Server
	damaged, down bool
	size          int // of the blob, as the manifest has it; 0 is the right one
	requests      []string
	state         string // of the canary's object; empty if there is none
}

func newEntry(t *testing.T) *entry {
	t.Helper()
	e := &entry{}
	e.Server = httptest.NewTLSServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *entry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.requests = append(e.requests, r.URL.Path)
	switch {
	case e.down:
		w.WriteHeader(http.StatusBadGateway)
	case r.URL.Path == "/v2/":
	case r.URL.Path == "/v2/app/manifests/v1":
		fmt.Fprintf(w, `{"config":{"digest":%q,"size":%d}}`, digestOf(blob), cmp.Or(e.size, len(blob)))
	case r.URL.Path == "/v2/app/blobs/"+digestOf(blob):
		w.Header().Set("X-Redirect-Reason", "aws-region")
		w.Header().Set("Location", "/stored")
		w.WriteHeader(http.StatusTemporaryRedirect)
	case r.URL.Path == "/stored" && e.damaged:
		fmt.Fprint(w, strings.ToUpper(blob))
	case r.URL.Path == "/stored":
		fmt.Fprint(w, blob)
	case r.URL.Path == "/state/canary.json" && e.state != "":
		fmt.Fprint(w, e.state)
	case r.URL.Path == "/state/canary.json":
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error><Code>NoSuchKey</Code></Error>`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// counts reads lines of the embedded metric format: the values by name and dimension.
func counts(t *testing.T, lines string) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for line := range strings.Lines(lines) {
		var m map[string]any
		if !strings.HasPrefix(line, `{"_aws"`) {
			continue
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		for name, v := range m {
			if n, ok := v.(float64); ok {
				all[fmt.Sprint(name, " ", m["EntryPoint"], m["Reason"])] = n
			}
		}
	}
	return all
}

// A pull is counted by its entry point, and a blob by the reason of its redirect.
func TestPull(t *testing.T) {
	t.Parallel()
	unreadable := errors.New("access denied")
	for _, tt := range []struct {
		name     string
		change   func(*entry, *canary)
		failures float64
		blobs    float64
		requests int
		log      string
		err      error
	}{
		{"configured", func(_ *entry, c *canary) { c.image.Image = testpull.Image{Name: "app", Reference: "v1"} }, 0, 1, 4, "", nil},
		{"recorded", func(*entry, *canary) {}, 0, 1, 4, "", nil},
		{"none-yet", func(e *entry, _ *canary) { e.state = "" }, 0, 0, 1, "", nil},
		{"unreadable-state", func(_ *entry, c *canary) {
			c.image.State = func(context.Context, string) ([]byte, error) { return nil, unreadable }
		}, 0, 0, 1, "", unreadable},
		{"damaged", func(e *entry, _ *canary) { e.damaged = true }, 1, 1, 4, "content does not match its digest", nil},
		{"missing", func(_ *entry, c *canary) { c.image.Image = testpull.Image{Name: "gone", Reference: "v1"} }, 1, 0, 2, "status 404", nil},
		{"down", func(e *entry, _ *canary) { e.down = true }, 1, 0, 1, "status 502", nil},
		{"down-without-image", func(e *entry, _ *canary) { e.down, e.state = true, "" }, 1, 0, 1, "API version check: ", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEntry(t)
			e.state = `{"run": "r", "image": "app:v1", "size": 14}`
			var lines, log bytes.Buffer
			now := time.Unix(0, 0)
			c := &canary{
				entryPoints: []entryPoint{{"distribution", e.URL}}, transport: e.Client().Transport, metrics: &lines, log: slog.New(slog.NewJSONHandler(&log, nil)),
				now: func() time.Time { now = now.Add(7 * time.Millisecond); return now },
				image: &image.Source{State: func(_ context.Context, name string) ([]byte, error) {
					if name != "canary.json" || e.state == "" {
						return nil, nil
					}
					return []byte(e.state), nil
				}},
			}
			tt.change(e, c)
			if err := c.handle(t.Context()); !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			got := counts(t, lines.String())
			if failures, counted := got["CanaryFailures distribution<nil>"]; !counted || failures != tt.failures || got["CanaryLatency distribution<nil>"] != 7 || got["CanaryBlobs <nil>aws-region"] != tt.blobs {
				t.Errorf("metrics %v, want %v failures, a latency of 7 ms and %v blobs", got, tt.failures, tt.blobs)
			}
			if len(e.requests) != tt.requests {
				t.Errorf("requests %v, want %d", e.requests, tt.requests)
			}
			if !strings.Contains(log.String(), tt.log) || (tt.log == "") != (log.Len() == 0) {
				t.Errorf("log %s, want %q", &log, tt.log)
			}
		})
	}
}

// A run downloads at most a MiB, through all entry points together.
func TestLimit(t *testing.T) {
	t.Parallel()
	e := newEntry(t)
	e.size = 600_000
	var log bytes.Buffer
	c := &canary{
		entryPoints: []entryPoint{{"distribution", e.URL}}, transport: e.Client().Transport, metrics: io.Discard, log: slog.New(slog.NewJSONHandler(&log, nil)), now: time.Now,
		image: &image.Source{Image: testpull.Image{Name: "app", Reference: "v1"}},
	}
	const tooLarge = " of 524288 are left"
	if err := c.handle(t.Context()); err != nil || log.Len() > 0 {
		t.Errorf("one entry point: error %v, log %s", err, &log)
	}
	c.entryPoints = append(c.entryPoints, entryPoint{"load-balancer", e.URL})
	if err := c.handle(t.Context()); err != nil || strings.Count(log.String(), tooLarge) != 2 {
		t.Errorf("two entry points: error %v, want %q twice in the log %s", err, tooLarge, &log)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, points, image, state, want string }{
		{"no-entry-points", "", "app:v1", "", `reading CANARY_ENTRY_POINTS: invalid entry point "": want NAME=https://HOST`},
		{"plain-http", "distribution=http://a.example", "app:v1", "", `invalid entry point "distribution=http://a.example"`},
		{"image", "distribution=https://a.example", "app", "", `reading CANARY_IMAGE: invalid image "app": want NAME:TAG or NAME@DIGEST`},
		{"no-state", "distribution=https://a.example", "", "", "reading CANARY_STATE: missing: want NAME@REGION of the state bucket, or set CANARY_IMAGE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{"CANARY_ENTRY_POINTS": tt.points, "CANARY_IMAGE": tt.image, "CANARY_STATE": tt.state}
			err := new(canary).load(func(name string) string { return env[name] })
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// The built function reads the image from the state bucket and pulls it through both
// entry points.
func TestFunction(t *testing.T) {
	t.Parallel()
	bootstrap, err := build.Bootstrap(t.Context(), "canary")
	if err != nil {
		t.Fatal(err)
	}
	e := newEntry(t)
	e.state = `{"run": "r", "image": "app:v1", "size": 14}`
	trusted := filepath.Join(t.TempDir(), "certificate.pem")
	if err := os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_, err = runtimeapi.InvokeOnce(t.Context(), bootstrap, map[string]string{
		"CANARY_ENTRY_POINTS": "distribution=" + e.URL + ",load-balancer=" + e.URL, "CANARY_STATE": "state@eu-central-1",
		"SSL_CERT_FILE": trusted, "AWS_ENDPOINT_URL": e.URL, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
	}, []byte(`{}`), &out)
	if err != nil {
		t.Fatal(err)
	}
	got := counts(t, out.String())
	for _, name := range []string{"distribution", "load-balancer"} {
		if failures, counted := got["CanaryFailures "+name+"<nil>"]; !counted || failures != 0 {
			t.Errorf("metrics %v, want no failure through %s; output:\n%s", got, name, &out)
		}
	}
}
