package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"archeio/lambda/build"
	"archeio/scripts/lab/runtimeapi"
)

const version = "arn:aws:lambda:eu-central-1:123456789012:function:redirector:7"

const live = "redirector:live"

// account simulates Lambda, with a redirector process, and CodeDeploy.
type account struct {
	*httptest.Server
	redirector *runtimeapi.API

	mu       sync.Mutex
	statuses []string // reported to CodeDeploy
	invoked  map[string]int
	reject   bool // CodeDeploy rejects the status
	silent   bool // the version does not respond
	broken   bool // the version does not respond to test pulls
}

func newAccount(t *testing.T, env map[string]string) *account {
	t.Helper()
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	a := &account{invoked: map[string]int{}}
	if a.redirector, err = runtimeapi.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.redirector.Close() })
	p, err := a.redirector.Start(bootstrap, env, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if a.silent && strings.HasPrefix(r.URL.Path, "/2015-03-31/functions/") {
		<-r.Context().Done()
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if name, ok := strings.CutPrefix(r.URL.Path, "/2015-03-31/functions/"); ok {
		name, _ := strings.CutSuffix(name, "/invocations")
		a.invoked[name]++
		out, err := a.redirector.Invoke(r.Context(), body)
		if a.broken && name == version && strings.Contains(string(body), "archeio-testpull") {
			err = errors.New("broken")
		}
		if err != nil {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			out = []byte(`{"errorMessage":"` + err.Error() + `"}`)
		}
		w.Write(out)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if r.Header.Get("X-Amz-Target") != "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus" || a.reject {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"__type":"InvalidLifecycleEventHookExecutionIdException","message":"no such execution"}`)
		return
	}
	a.statuses = append(a.statuses, string(body))
	io.WriteString(w, "{}")
}

// environment returns the environment of a stage, which the hook has in common with
// the redirector.
func environment() map[string]string {
	return map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": "https://us-docker.pkg.dev", "UPSTREAM_REGISTRY_PATH": "example-project/images",
		"DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "http://127.0.0.1:1/default", "CLIENT_ADDRESS_HEADER": "CloudFront-Viewer-Address",
	}
}

// newUpstream starts an upstream with the image app:v1, and returns its URL and a file
// with its certificate.
func newUpstream(t *testing.T) (url, trusted string) {
	t.Helper()
	const blob = `{"os":"linux"}`
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(blob)))
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/example-project/images/app/manifests/v1":
			fmt.Fprintf(w, `{"config": {"digest": %q, "size": %d}}`, digest, len(blob))
		case "/v2/example-project/images/app/blobs/" + digest:
			io.WriteString(w, blob)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	trusted = filepath.Join(t.TempDir(), "certificate.pem")
	if err := os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.URL, trusted
}

const codeDeployEvent = `{"DeploymentId":"d-ABCDEF012","LifecycleEventHookExecutionId":"eyJleGVjdXRpb24"}`

// TestHook runs the built hook with a simulated Runtime API.
func TestHook(t *testing.T) {
	t.Parallel()
	// build.Bootstrap would replace the file of a release.
	bootstrap := filepath.Join(t.TempDir(), "bootstrap")
	if err := build.Package(t.Context(), "./lambda/rollout", "", bootstrap); err != nil {
		t.Fatal(err)
	}
	upstream, trusted := newUpstream(t)
	at := map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": upstream}
	pulls := func(image string) map[string]string {
		return map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": upstream, "SSL_CERT_FILE": trusted, "CANARY_IMAGE": image, "ROLLOUT_LIVE": live}
	}
	for _, tt := range []struct {
		name       string
		event      string
		redirector map[string]string // variables of the new version that differ
		hook       map[string]string // variables of the hook that differ
		reject     bool              // CodeDeploy rejects the status
		status     string            // reported to CodeDeploy, "" if none
		output     string            // a part of the log and the response
		err        string            // a part of the error of the function, "" if none
	}{
		{"operator", `{"try":true}`, nil, nil, false, "", `{"version":"` + version + `","pulls":[],"failures":[]}`, ""},
		{"operator-pull", `{"try":true}`, at, pulls("app:v1"), false, "", `"pulls":["alb, pull of app:v1: manifest from ` + strings.TrimPrefix(upstream, "https://") + `, blob from `, ""},
		{"pull", codeDeployEvent, at, pulls("app:v1"), false, "Succeeded", `"url, pull of app:v1: manifest from `, ""},
		{"pull-broken", codeDeployEvent, at, pulls("app:v1"), false, "Failed", `"failure":"url, pull of app:v1: API version check: `, ""},
		{"pull-deleted-image", codeDeployEvent, at, pulls("app:v2"), false, "Succeeded", "alb, pull of app:v2: fails through the live version too", ""},
		{"pull-invalid-image", codeDeployEvent, at, pulls("app"), false, "Succeeded", `reading CANARY_IMAGE: invalid image \"app\"`, ""},
		{"operator-foreign-host", `{"try":true}`, map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://attacker.example"}, nil, false, "",
			`"failures":["alb, sample manifest, GET /v2/archeio-smoketest/manifests/latest: redirect to \"https://attacker.example`, ""},
		{"operator-no-entry-points", `{"try":true}`, nil, map[string]string{"ROLLOUT_ENTRY_POINTS": ""}, false, "", "", "ROLLOUT_ENTRY_POINTS"},
		{"passed", codeDeployEvent, nil, nil, false, "Succeeded", "the new version passed", ""},
		{"foreign-host", codeDeployEvent, map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://attacker.example"}, nil, false, "Failed",
			`redirect to \"https://attacker.example/v2/example-project/images/archeio-smoketest/manifests/latest\"`, ""},
		{"silent", codeDeployEvent, nil, nil, false, "Failed", "alb, sample info and all after it: not tested: the time of the hook is up", ""},
		{"no-entry-points", codeDeployEvent, nil, map[string]string{"ROLLOUT_ENTRY_POINTS": ""}, false, "Failed", `reading ROLLOUT_ENTRY_POINTS: unknown entry point \"\": want alb, url or alb,url`, ""},
		{"no-version", codeDeployEvent, nil, map[string]string{"ROLLOUT_VERSION": ""}, false, "Failed", "reading ROLLOUT_VERSION: missing: want the ARN of the new version", ""},
		{"invalid-configuration", codeDeployEvent, nil, map[string]string{"LOG_LEVEL": "loud"}, false, "Failed", "want debug, info", ""},
		{"not-codedeploy", `{"hello":"world"}`, nil, nil, false, "", "", "reading the event: no DeploymentId or no LifecycleEventHookExecutionId"},
		{"codedeploy-rejects", codeDeployEvent, nil, nil, true, "", "", `reporting status Succeeded of deployment \"d-ABCDEF012\" to CodeDeploy`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := environment()
			maps.Copy(env, tt.redirector)
			a := newAccount(t, env)
			a.reject, a.silent, a.broken = tt.reject, tt.name == "silent", tt.name == "pull-broken"
			ctx := t.Context()
			if a.silent {
				// One second for the smoke test.
				var cancel func()
				ctx, cancel = context.WithTimeout(ctx, reportTime+time.Second)
				defer cancel()
			}
			hook := environment()
			maps.Copy(hook, map[string]string{
				"ROLLOUT_VERSION": version, "ROLLOUT_ENTRY_POINTS": "alb,url",
				"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": a.URL,
				"AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
			})
			maps.Copy(hook, tt.hook)
			var output strings.Builder
			response, err := runtimeapi.InvokeOnce(ctx, bootstrap, hook, []byte(tt.event), &output)
			output.Write(response)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if !strings.Contains(output.String(), tt.output) {
				t.Errorf("want %q in the output:\n%s", tt.output, output.String())
			}
			var want []string
			if tt.status != "" {
				want = []string{tt.status}
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			for i, text := range a.statuses {
				var got struct {
					DeploymentID string `json:"deploymentId"`
					ExecutionID  string `json:"lifecycleEventHookExecutionId"`
					Status       string `json:"status"`
				}
				if err := json.Unmarshal([]byte(text), &got); err != nil || i >= len(want) || got.Status != want[i] || got.DeploymentID != "d-ABCDEF012" || got.ExecutionID != "eyJleGVjdXRpb24" {
					t.Errorf("report to CodeDeploy %s, want %q", text, want)
				}
			}
			if len(a.statuses) != len(want) {
				t.Errorf("%d reports to CodeDeploy, want %d", len(a.statuses), len(want))
			}
			for name := range a.invoked {
				if name != version && (name != live || hook["ROLLOUT_LIVE"] == "") {
					t.Errorf("function %q is invoked, want %q only", name, version)
				}
			}
			if tt.name == "passed" && a.invoked[version] < 40 {
				t.Errorf("%d invocations of the version, want at least 40", a.invoked[version])
			}
		})
	}
}
