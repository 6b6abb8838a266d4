package smoketest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"archeio/lambda/build"
	"archeio/lambda/config"
	"archeio/lambda/route"
	"archeio/scripts/lab/runtimeapi"
)

var both = []EntryPoint{ALB, URL}

// newMirror starts a server that responds with a status to every request, and
// returns its URL.
func newMirror(t *testing.T, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(s.Close)
	return s.URL
}

// start starts a redirector with an environment.
func start(t *testing.T, bootstrap string, env map[string]string) Invoke {
	t.Helper()
	api, err := runtimeapi.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	p, err := api.Start(bootstrap, env, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return api.Invoke
}

func load(t *testing.T, env map[string]string) *config.Config {
	t.Helper()
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// environments returns one environment for each kind of stage.
func environments(t *testing.T) map[string]map[string]string {
	full, empty := newMirror(t, http.StatusOK), newMirror(t, http.StatusForbidden)
	const upstream, header = "https://us-docker.pkg.dev", "CloudFront-Viewer-Address"
	mirrors := func(base string) map[string]string {
		return map[string]string{
			"UPSTREAM_REGISTRY_ENDPOINT": upstream, "UPSTREAM_REGISTRY_PATH": "example-project/images", "AWS_REGION": "eu-central-1",
			"MIRROR_REGIONS": "us-east-1,eu-central-1", "MIRROR_URL_TEMPLATE": base + "/{region}",
			"DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": base + "/default", "CLIENT_ADDRESS_HEADER": header,
			"INFO_URL": "https://info.example/", "PRIVACY_URL": "https://privacy.example/",
		}
	}
	and := func(env map[string]string, more ...string) map[string]string {
		env = maps.Clone(env)
		for i := 0; i < len(more); i += 2 {
			env[more[i]] = more[i+1]
		}
		return env
	}
	return map[string]map[string]string{
		"full-mirrors":        mirrors(full),
		"empty-mirrors":       mirrors(empty),
		"unavailable-mirrors": mirrors("http://127.0.0.1:1"),
		"domain":              and(mirrors(full), "DEFAULT_AWS_BASE_URL", "https://registry.example.com"),
		"viewer-host":         and(mirrors(full), "VIEWER_HOSTS", "registry.example.com"),
		"no-default":          and(mirrors(full), "DEFAULT_AWS_BASE_URL", "", "DEFAULT_MIRROR_CHECK_URL", "", "CLIENT_ADDRESS_HEADER", ""),
		"rule":                and(mirrors(full), "MIRROR_FOR", "eu-west-3:us-east-1", "UPSTREAM_CLOUDS", "none"),
		// The upstream is checked with a signature upstream; it is unavailable here.
		"signatures":    and(mirrors(empty), "SIGNATURE_UPSTREAM_ENDPOINT", "https://signatures.example", "UPSTREAM_REGISTRY_ENDPOINT", "http://127.0.0.1:1"),
		"upstream-only": {"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example"},
	}
}

// TestRedirectorPasses checks that the redirector passes for every kind of stage.
func TestRedirectorPasses(t *testing.T) {
	t.Parallel()
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	for name, env := range environments(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			invoke := start(t, bootstrap, env)
			failures, err := Run(t.Context(), load(t, env), both, func(ctx context.Context, event []byte) ([]byte, error) {
				n++
				return invoke(ctx, event)
			})
			if err != nil || len(failures) > 0 {
				t.Errorf("error %v, failures:\n%s", err, strings.Join(failures, "\n"))
			}
			if n < 40 {
				t.Errorf("%d requests, want at least 40: all samples through both entry points", n)
			}
		})
	}
}

// TestOtherConfigurationsFail checks that a redirector with another configuration
// than the expected one fails.
func TestOtherConfigurationsFail(t *testing.T) {
	t.Parallel()
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	env := environments(t)["full-mirrors"]
	empty := environments(t)["empty-mirrors"]
	other := newMirror(t, http.StatusOK)
	for _, tt := range []struct {
		name     string
		env      map[string]string
		variable string
		value    string
		want     string // a part of a failure
	}{
		{"upstream", env, "UPSTREAM_REGISTRY_ENDPOINT", "https://attacker.example", `sample manifest, GET /v2/archeio-smoketest/manifests/latest: redirect to "https://attacker.example/v2/example-project/images/`},
		{"upstream-host-longer", env, "UPSTREAM_REGISTRY_ENDPOINT", "https://us-docker.pkg.dev.attacker.example", `redirect to "https://us-docker.pkg.dev.attacker.example/`},
		{"upstream-port", env, "UPSTREAM_REGISTRY_ENDPOINT", "https://us-docker.pkg.dev:8443", `redirect to "https://us-docker.pkg.dev:8443/`},
		{"upstream-path", env, "UPSTREAM_REGISTRY_PATH", "example-project/images2", `redirect to "https://us-docker.pkg.dev/v2/example-project/images2/archeio-smoketest/`},
		{"mirrors", env, "MIRROR_URL_TEMPLATE", other + "/{region}", `sample blob-aws, GET ` + blob + `: redirect to "` + other},
		{"default-mirror", env, "DEFAULT_AWS_BASE_URL", "https://attacker.example", `redirect to "https://attacker.example/containers/images/` + digest + `", want it below `},
		{"signatures", empty, "SIGNATURE_UPSTREAM_ENDPOINT", "https://attacker.example", `sample referrers`},
		{"info", env, "INFO_URL", "https://attacker.example/", `sample info, GET /: redirect to "https://attacker.example/"`},
		{"no-info", env, "INFO_URL", "", "sample info, GET /: status 200, want 302"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			changed := maps.Clone(tt.env)
			changed[tt.variable] = tt.value
			for _, e := range both {
				failures, err := Run(t.Context(), load(t, tt.env), []EntryPoint{e}, start(t, bootstrap, changed))
				if all := strings.Join(failures, "\n"); err != nil || !strings.Contains(all, tt.want) {
					t.Errorf("%s: error %v, want %q in the failures:\n%s", e, err, tt.want, all)
				}
			}
		})
	}
}

// TestMutantsFail checks that redirectors with one change in the source fail.
func TestMutantsFail(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	env := environments(t)["full-mirrors"]
	for _, tt := range []struct{ name, file, old, new, want string }{
		{"foreign-host", "lambda/redirect/redirect.go", "return Response{Status: 307, Location: location,", `return Response{Status: 307, Location: "https://attacker.example" + location,`, `redirect to "https://attacker.examplehttps`},
		{"foreign-mirror", "lambda/redirect/redirect.go", `return base + q.Path.Reference, reason`,
			`_ = base; return "https://attacker.example/containers/images/" + q.Path.Reference, reason`, `sample blob-aws, GET ` + blob + `: redirect to "https://attacker.example/`},
		{"foreign-viewer-host", "lambda/config/viewerhost.go", "return ok && validLabel(label)", `return true || ok && validLabel(label)`, `url, sample blob-forged-viewer-host, GET ` + blob + `: redirect to "https://attacker.example/containers/images/`},
		{"no-viewer-host", "lambda/config/viewerhost.go", "return ok && validLabel(label)", `return false && ok && validLabel(label)`, `url, sample blob, GET ` + blob + `: redirect to "/containers/images/` + digest + `", want it below https://d111111abcdef8.cloudfront.net/containers/images/`},
		{"status", "lambda/redirect/redirect.go", "Response{Status: 307,", "Response{Status: 302,", "status 302, want 307"},
		{"reason", "lambda/redirect/redirect.go", "Reason: reason.String()}", `Reason: "manifest"}`, `sample tags, GET /v2/archeio-smoketest/tags/list: reason "manifest", want one of [tags]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join(root, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(text), tt.old) != 1 {
				t.Fatalf("%s does not have %q exactly once: update the mutant", tt.file, tt.old)
			}
			dir := t.TempDir()
			mutant, overlay, bootstrap := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "bootstrap")
			replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, tt.file): mutant}})
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{mutant: strings.Replace(string(text), tt.old, tt.new, 1), overlay: string(replace)} {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-tags", build.Tags, "-buildvcs=false", "-o", bootstrap, "./lambda/redirector")
			cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			failures, err := Run(t.Context(), load(t, env), both, start(t, bootstrap, env))
			if all := strings.Join(failures, "\n"); err != nil || !strings.Contains(all, tt.want) {
				t.Errorf("error %v, want %q in the failures:\n%s", err, tt.want, all)
			}
		})
	}
}

// TestBases checks that every reason that leads somewhere has a base URL.
func TestBases(t *testing.T) {
	t.Parallel()
	c := load(t, environments(t)["signatures"])
	for _, reason := range route.Reasons() {
		if bases := basesOf(c, reason, ""); (reason.Leads() == route.Nowhere) != (len(bases) == 0) {
			t.Errorf("reason %s leads to %s, but has the base URLs %q", reason, reason.Leads(), bases)
		}
	}
}

func TestCheckLocation(t *testing.T) {
	t.Parallel()
	c := load(t, map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example", "MIRROR_REGIONS": "us-east-1", "MIRROR_URL_TEMPLATE": "https://s3.example/{region}",
		"DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "https://s3.example/default",
	})
	for _, tt := range []struct {
		name     string
		reason   route.Reason
		location string
		ok       bool
	}{
		{"upstream", route.Manifest, "https://registry.example/v2/a/manifests/b", true},
		{"other-scheme", route.Manifest, "http://registry.example/v2/a/manifests/b", false},
		{"no-scheme", route.Manifest, "//registry.example/v2/a/manifests/b", false},
		{"user-information", route.Manifest, "https://registry.example@attacker.example/v2/", false},
		{"user-information-at-upstream", route.Manifest, "https://attacker@registry.example/v2/", false},
		{"backslash", route.Manifest, `https://registry.example\.attacker.example/v2/`, false},
		{"no-location", route.Manifest, "", false},
		{"invalid", route.Manifest, "https://%zz/", false},
		{"mirror", route.NearestRegion, "https://s3.example/us-east-1/containers/images/sha256:0", true},
		{"mirror-with-longer-name", route.NearestRegion, "https://s3.example/us-east-11/containers/images/sha256:0", false},
		{"default-same-host", route.DefaultMirror, "/containers/images/sha256:0", true},
		{"default-viewer-host", route.DefaultMirror, "https://registry.example.com/containers/images/sha256:0", false},
		{"default-slashes", route.DefaultMirror, "//attacker.example/containers/images/sha256:0", false},
		{"mirror-for-manifest", route.Manifest, "https://s3.example/us-east-1/containers/images/sha256:0", false},
		{"no-signatures", route.Signature, "https://registry.example/v2/a/manifests/b", false},
		{"ping", route.Ping, "", true},
		{"ping-elsewhere", route.Ping, "https://registry.example/v2/", false},
	} {
		if err := checkLocation(c, tt.reason, "", tt.location); (err == nil) != tt.ok {
			t.Errorf("%s: error %v, want success: %v", tt.name, err, tt.ok)
		}
	}
	for location, ok := range map[string]bool{
		"https://registry.example.com/containers/images/sha256:0":  true,
		"http://registry.example.com/containers/images/sha256:0":   false,
		"https://registry.example.org/containers/images/sha256:0":  false,
		"https://registry.example.com/containers/imagesX/sha256:0": false,
		"/containers/images/sha256:0":                              false,
	} {
		if err := checkLocation(c, route.DefaultMirror, "registry.example.com", location); (err == nil) != ok {
			t.Errorf("viewer host: %s: error %v, want success: %v", location, err, ok)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		entryPoint EntryPoint
		text       string
		ok         bool
	}{
		{"alb", ALB, `{"statusCode":200,"multiValueHeaders":{"X":["1"]}}`, true},
		{"alb-single-value", ALB, `{"statusCode":200,"headers":{"X":"1"}}`, false},
		{"url", URL, `{"statusCode":200,"headers":{"X":"1"}}`, true},
		{"url-multi-value", URL, `{"statusCode":200,"multiValueHeaders":{"X":["1"]}}`, false},
		{"duplicate", ALB, `{"statusCode":200,"multiValueHeaders":{"Location":["a","b"]}}`, false},
		{"duplicate-in-other-case", URL, `{"statusCode":200,"headers":{"Location":"a","location":"b"}}`, false},
		{"not-json", URL, `<html>`, false},
	} {
		if _, err := tt.entryPoint.parse([]byte(tt.text)); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestNoResponse(t *testing.T) {
	t.Parallel()
	c := load(t, map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example"})
	failures, err := Run(t.Context(), c, []EntryPoint{URL}, func(context.Context, []byte) ([]byte, error) { return nil, errors.New("throttled") })
	if err != nil || len(failures) != len(samples(c)) || !strings.Contains(failures[0], "no response: throttled") {
		t.Errorf("error %v, failures %q; want one for each sample", err, failures)
	}
	if _, err := Run(t.Context(), c, nil, nil); err == nil {
		t.Error("no error without entry points")
	}
}

func TestTimeIsUp(t *testing.T) {
	t.Parallel()
	c := load(t, map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example"})
	ctx, cancel := context.WithCancelCause(t.Context())
	n := 0
	failures, err := Run(ctx, c, both, func(ctx context.Context, _ []byte) ([]byte, error) {
		n++
		cancel(errors.New("time is up"))
		return nil, ctx.Err()
	})
	if err != nil || n != 1 || len(failures) != 2 || !strings.Contains(failures[1], "alb, sample info and all after it: not tested: time is up") {
		t.Errorf("%d requests, error %v, failures %q; want one request and two failures", n, err, failures)
	}
}

func TestParseEntryPoints(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{"alb": true, "url": true, "alb,url": true, "": false, "alb,": false, "cloudfront": false} {
		if _, err := ParseEntryPoints(text); (err == nil) != ok {
			t.Errorf("ParseEntryPoints(%q): error %v, want success: %v", text, err, ok)
		}
	}
}
