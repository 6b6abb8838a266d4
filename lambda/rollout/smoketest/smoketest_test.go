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

var both = []Front{ALB, URL}

// mirrorOf is a server that has every blob, or none.
func mirrorOf(t *testing.T, status int) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(s.Close)
	return s.URL
}

// start runs a built redirector with an environment.
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

func configOf(t *testing.T, env map[string]string) *config.Config {
	t.Helper()
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// environments are of every kind that a stage can have.
func environments(t *testing.T) map[string]map[string]string {
	full, empty := mirrorOf(t, http.StatusOK), mirrorOf(t, http.StatusForbidden)
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
		"full-mirrors":  mirrors(full),
		"empty-mirrors": mirrors(empty),
		"dead-mirrors":  mirrors("http://127.0.0.1:1"),
		"domain":        and(mirrors(full), "DEFAULT_AWS_BASE_URL", "https://registry.example.com"),
		"no-default":    and(mirrors(full), "DEFAULT_AWS_BASE_URL", "", "DEFAULT_MIRROR_CHECK_URL", "", "CLIENT_ADDRESS_HEADER", ""),
		"rule":          and(mirrors(full), "MIRROR_FOR", "eu-west-3:us-east-1", "UPSTREAM_CLOUDS", "none"),
		// The upstream is asked whether it has what may be a signature; it is
		// silent here.
		"signatures": and(mirrors(empty), "SIGNATURE_UPSTREAM_ENDPOINT", "https://signatures.example", "UPSTREAM_REGISTRY_ENDPOINT", "http://127.0.0.1:1"),
		"alone":      {"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example"},
	}
}

// The redirector of this source passes, whatever the stage and whatever its
// mirrors are like.
func TestRedirectorPasses(t *testing.T) {
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	for name, env := range environments(t) {
		t.Run(name, func(t *testing.T) {
			n := 0
			invoke := start(t, bootstrap, env)
			wrong, err := Run(t.Context(), configOf(t, env), both, func(ctx context.Context, event []byte) ([]byte, error) {
				n++
				return invoke(ctx, event)
			})
			if err != nil || len(wrong) > 0 {
				t.Errorf("%v\n%s", err, strings.Join(wrong, "\n"))
			}
			if n < 40 {
				t.Errorf("%d requests were tried, want both fronts with all samples", n)
			}
		})
	}
}

// What another configuration than the one that is meant answers is refused.
func TestOtherConfigurationsAreRefused(t *testing.T) {
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	env := environments(t)["full-mirrors"]
	empty := environments(t)["empty-mirrors"]
	other := mirrorOf(t, http.StatusOK)
	for _, tt := range []struct {
		name     string
		env      map[string]string
		variable string
		value    string
		want     string // a part of a sentence
	}{
		{"upstream", env, "UPSTREAM_REGISTRY_ENDPOINT", "https://attacker.example", `sample manifest, GET /v2/archeio-release/manifests/latest: it leads to "https://attacker.example/v2/example-project/images/`},
		{"upstream-host-longer", env, "UPSTREAM_REGISTRY_ENDPOINT", "https://us-docker.pkg.dev.attacker.example", `it leads to "https://us-docker.pkg.dev.attacker.example/`},
		{"upstream-port", env, "UPSTREAM_REGISTRY_ENDPOINT", "https://us-docker.pkg.dev:8443", `it leads to "https://us-docker.pkg.dev:8443/`},
		{"upstream-path", env, "UPSTREAM_REGISTRY_PATH", "example-project/images2", `it leads to "https://us-docker.pkg.dev/v2/example-project/images2/archeio-release/`},
		{"mirrors", env, "MIRROR_URL_TEMPLATE", other + "/{region}", `sample blob-aws, GET ` + blob + `: it leads to "` + other},
		{"default-mirror", env, "DEFAULT_AWS_BASE_URL", "https://attacker.example", `it leads to "https://attacker.example/containers/images/` + digest + `"; for the reason "default-mirror"`},
		{"signatures", empty, "SIGNATURE_UPSTREAM_ENDPOINT", "https://attacker.example", `sample referrers`},
		{"info", env, "INFO_URL", "https://attacker.example/", `sample info, GET /: it leads to "https://attacker.example/"`},
		{"no-info", env, "INFO_URL", "", "sample info, GET /: status 404, want 302"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := maps.Clone(tt.env)
			changed[tt.variable] = tt.value
			for _, front := range both {
				wrong, err := Run(t.Context(), configOf(t, tt.env), []Front{front}, start(t, bootstrap, changed))
				if all := strings.Join(wrong, "\n"); err != nil || !strings.Contains(all, tt.want) {
					t.Errorf("%s: %v, want %q in\n%s", front, err, tt.want, all)
				}
			}
		})
	}
}

// A redirector whose source is changed in one place is refused.
func TestMutantsAreRefused(t *testing.T) {
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	env := environments(t)["full-mirrors"]
	for _, tt := range []struct{ name, file, old, new, want string }{
		{"foreign-host", "lambda/redirect/redirect.go", "return Response{Status: 307, Location: location,", `return Response{Status: 307, Location: "https://attacker.example" + location,`, `it leads to "https://attacker.examplehttps`},
		{"host-believed", "lambda/redirect/redirect.go", `return base + q.Path.Reference, reason`,
			`return "https://attacker.example/containers/images/" + q.Path.Reference, reason`, `sample blob-aws, GET ` + blob + `: it leads to "https://attacker.example/`},
		{"status", "lambda/redirect/redirect.go", "Response{Status: 307,", "Response{Status: 302,", "status 302, want 307"},
		{"reason", "lambda/redirect/redirect.go", "Reason: reason.String()}", `Reason: "manifest"}`, `sample tags, GET /v2/archeio-release/tags/list: reason "manifest", want one of [tags]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(root, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(text), tt.old) != 1 {
				t.Fatalf("%s has %q not just once: change the mutant", tt.file, tt.old)
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
			wrong, err := Run(t.Context(), configOf(t, env), both, start(t, bootstrap, env))
			if all := strings.Join(wrong, "\n"); err != nil || !strings.Contains(all, tt.want) {
				t.Errorf("%v, want %q in\n%s", err, tt.want, all)
			}
		})
	}
}

func TestLeads(t *testing.T) {
	c := configOf(t, map[string]string{
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
		{"scheme-less", route.Manifest, "//registry.example/v2/a/manifests/b", false},
		{"login", route.Manifest, "https://registry.example@attacker.example/v2/", false},
		{"login-at-upstream", route.Manifest, "https://attacker@registry.example/v2/", false},
		{"backslash", route.Manifest, `https://registry.example\.attacker.example/v2/`, false},
		{"nowhere", route.Manifest, "", false},
		{"broken", route.Manifest, "https://%zz/", false},
		{"mirror", route.NearestRegion, "https://s3.example/us-east-1/containers/images/sha256:0", true},
		{"mirror-named-longer", route.NearestRegion, "https://s3.example/us-east-11/containers/images/sha256:0", false},
		{"default-same-host", route.DefaultMirror, "/containers/images/sha256:0", true},
		{"default-slashes", route.DefaultMirror, "//attacker.example/containers/images/sha256:0", false},
		{"mirror-for-manifest", route.Manifest, "https://s3.example/us-east-1/containers/images/sha256:0", false},
		{"no-signatures", route.Signature, "https://registry.example/v2/a/manifests/b", false},
		{"ping", route.Ping, "", true},
		{"ping-elsewhere", route.Ping, "https://registry.example/v2/", false},
	} {
		if err := leads(c, tt.reason, tt.location); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name  string
		front Front
		text  string
		ok    bool
	}{
		{"alb", ALB, `{"statusCode":200,"multiValueHeaders":{"X":["1"]}}`, true},
		{"alb-single", ALB, `{"statusCode":200,"headers":{"X":"1"}}`, false},
		{"url", URL, `{"statusCode":200,"headers":{"X":"1"}}`, true},
		{"url-several", URL, `{"statusCode":200,"multiValueHeaders":{"X":["1"]}}`, false},
		{"twice", ALB, `{"statusCode":200,"multiValueHeaders":{"Location":["a","b"]}}`, false},
		{"twice-by-case", URL, `{"statusCode":200,"headers":{"Location":"a","location":"b"}}`, false},
		{"no-json", URL, `<html>`, false},
	} {
		if _, err := tt.front.read([]byte(tt.text)); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestSilentRedirectorIsRefused(t *testing.T) {
	c := configOf(t, map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example"})
	wrong, err := Run(t.Context(), c, []Front{URL}, func(context.Context, []byte) ([]byte, error) { return nil, errors.New("throttled") })
	if err != nil || len(wrong) != len(samples(c)) || !strings.Contains(wrong[0], "it does not answer: throttled") {
		t.Errorf("%v, %q", err, wrong)
	}
	if _, err := Run(t.Context(), c, nil, nil); err == nil {
		t.Error("no front at all is fine")
	}
}

func TestNoTimeIsRefused(t *testing.T) {
	c := configOf(t, map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example"})
	ctx, cancel := context.WithCancelCause(t.Context())
	n := 0
	wrong, err := Run(ctx, c, both, func(ctx context.Context, _ []byte) ([]byte, error) {
		n++
		cancel(errors.New("time is up"))
		return nil, ctx.Err()
	})
	if err != nil || n != 1 || len(wrong) != 2 || !strings.Contains(wrong[1], "alb, sample info and what comes after it: not tried: time is up") {
		t.Errorf("%d tried, %v, %q", n, err, wrong)
	}
}

func TestParseFronts(t *testing.T) {
	for text, ok := range map[string]bool{"alb": true, "url": true, "alb,url": true, "": false, "alb,": false, "cloudfront": false} {
		if _, err := ParseFronts(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
