package main

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"archeio/lambda/build"
	"archeio/scripts/lab/runtimeapi"
)

const version = "arn:aws:lambda:eu-central-1:123456789012:function:redirector:7"

// account plays Lambda, with a built redirector behind it, and CodeDeploy.
type account struct {
	*httptest.Server
	redirector *runtimeapi.API

	mu       sync.Mutex
	statuses []string // that CodeDeploy was told
	invoked  map[string]int
	refuse   bool // CodeDeploy takes no status
	silent   bool // the version does not answer
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
		if err != nil {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			out = []byte(`{"errorMessage":"` + err.Error() + `"}`)
		}
		w.Write(out)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if r.Header.Get("X-Amz-Target") != "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus" || a.refuse {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"__type":"InvalidLifecycleEventHookExecutionIdException","message":"no such execution"}`)
		return
	}
	a.statuses = append(a.statuses, string(body))
	io.WriteString(w, "{}")
}

// environment is a stage's, as the templates make it: the hook gets what its
// redirector gets.
func environment() map[string]string {
	return map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": "https://us-docker.pkg.dev", "UPSTREAM_REGISTRY_PATH": "example-project/images",
		"DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "http://127.0.0.1:1/default", "CLIENT_ADDRESS_HEADER": "CloudFront-Viewer-Address",
	}
}

const called = `{"DeploymentId":"d-ABCDEF012","LifecycleEventHookExecutionId":"eyJleGVjdXRpb24"}`

// TestHook runs the built hook as Lambda does.
func TestHook(t *testing.T) {
	// Not build.Bootstrap: its folder is that of make release.
	bootstrap := filepath.Join(t.TempDir(), "bootstrap")
	if err := build.Package(t.Context(), "./lambda/rollout", "", bootstrap); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name       string
		event      string
		redirector map[string]string // what the new version has otherwise
		hook       map[string]string // what the hook has otherwise
		refuse     bool
		status     string // that CodeDeploy is told, empty for none
		logs       string // a part of what it logs and answers
		fails      string // what the function reports
	}{
		{"tried-by-hand", `{"try":true}`, nil, nil, false, "", `{"version":"` + version + `","wrong":[]}`, ""},
		{"tried-by-hand-foreign-host", `{"try":true}`, map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://attacker.example"}, nil, false, "",
			`"wrong":["alb, sample manifest, GET /v2/archeio-release/manifests/latest: it leads to \"https://attacker.example`, ""},
		{"tried-by-hand-no-fronts", `{"try":true}`, nil, map[string]string{"RELEASE_FRONTS": ""}, false, "", "", "RELEASE_FRONTS"},
		{"well", called, nil, nil, false, "Succeeded", "the new version answers as it must", ""},
		{"foreign-host", called, map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://attacker.example"}, nil, false, "Failed",
			`it leads to \"https://attacker.example/v2/example-project/images/archeio-release/manifests/latest\"`, ""},
		{"silent", called, nil, nil, false, "Failed", "alb, sample info and what comes after it: not tried: the hook's time is up", ""},
		{"no-fronts", called, nil, map[string]string{"RELEASE_FRONTS": ""}, false, "Failed", `RELEASE_FRONTS: front \"\": takes alb or url`, ""},
		{"no-version", called, nil, map[string]string{"RELEASE_VERSION": ""}, false, "Failed", "RELEASE_VERSION: takes the ARN", ""},
		{"wrong-configuration", called, nil, map[string]string{"LOG_LEVEL": "loud"}, false, "Failed", "want debug, info", ""},
		{"not-codedeploy", `{"hello":"world"}`, nil, nil, false, "", "", "the event names no DeploymentId and LifecycleEventHookExecutionId, as CodeDeploy does"},
		{"codedeploy-refuses", called, nil, nil, true, "", "", `telling CodeDeploy that the deployment \"d-ABCDEF012\" has Succeeded`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := environment()
			maps.Copy(env, tt.redirector)
			a := newAccount(t, env)
			a.refuse, a.silent = tt.refuse, tt.name == "silent"
			ctx := t.Context()
			if a.silent {
				// A second for the trial.
				var cancel func()
				ctx, cancel = context.WithTimeout(ctx, tellTime+time.Second)
				defer cancel()
			}
			hook := environment()
			maps.Copy(hook, map[string]string{
				"RELEASE_VERSION": version, "RELEASE_FRONTS": "alb,url",
				"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": a.URL,
				"AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
			})
			maps.Copy(hook, tt.hook)
			var logs strings.Builder
			answer, err := runtimeapi.InvokeOnce(ctx, bootstrap, hook, []byte(tt.event), &logs)
			logs.Write(answer)
			if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("error %v, want %q", err, tt.fails)
			}
			if !strings.Contains(logs.String(), tt.logs) {
				t.Errorf("the log lacks %q:\n%s", tt.logs, logs.String())
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
					t.Errorf("CodeDeploy is told %s, want %q", text, want)
				}
			}
			if len(a.statuses) != len(want) {
				t.Errorf("CodeDeploy is told %d times, want %d", len(a.statuses), len(want))
			}
			for name := range a.invoked {
				if name != version {
					t.Errorf("the function %q is invoked", name)
				}
			}
			if tt.name == "well" && a.invoked[version] < 40 {
				t.Errorf("the version is tried %d times", a.invoked[version])
			}
		})
	}
}
