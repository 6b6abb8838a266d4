package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"archeio/lambda/build"
)

const (
	hookName = "archeio-" + stageName + "-hook"

	// foreignHost is where no client of the stage may be sent.
	foreignHost = "attacker.example"

	deploymentID, executionID = "d-EXAMPLE", "an execution of the hook"
)

// releaseHook is the release hook beside a deployed redirector. The emulator has
// no CodeDeploy, so that the stage has no release and the CDK deploys no hook.
type releaseHook struct {
	*deployed
	env map[string]string
}

// functionEnv is the environment of a function.
type functionEnv struct {
	Variables map[string]string
}

// hook has the release hook try the version that is deployed, and one that leads
// to a foreign host.
func (c *checks) hook(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.say("the release hook tries versions of the redirector")
	if err := c.tryVersions(ctx); err != nil {
		c.check("the release hook is put beside the redirector, and invoked", err.Error())
	}
}

func (c *checks) tryVersions(ctx context.Context) (err error) {
	good, err := c.live(ctx)
	if err != nil {
		return err
	}
	env, err := c.environmentOf(ctx, "live")
	if err != nil {
		return err
	}
	told := &codeDeploy{}
	endpoint, stop, err := told.serve()
	if err != nil {
		return err
	}
	defer stop()
	h, err := c.putHook(ctx, env, c.versionARN(good), endpoint)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.remove(ctx)) }()

	wrong, err := h.try(ctx)
	if err != nil {
		return err
	}
	c.check("the release hook passes the version that is deployed", found(nil, len(wrong) == 0, strings.Join(wrong, "\n")))
	c.check("the release hook tells CodeDeploy that it has Succeeded", told.after(func() error { return h.call(ctx) }, "Succeeded"))

	bad, err := c.publishForeign(ctx)
	if err != nil {
		return err
	}
	if err := h.point(ctx, c.versionARN(bad)); err != nil {
		return err
	}
	if wrong, err = h.try(ctx); err != nil {
		return err
	}
	c.check("the release hook refuses a version that redirects to a foreign host", refused(wrong))
	c.check("the release hook tells CodeDeploy that this one has Failed", told.after(func() error { return h.call(ctx) }, "Failed"))
	c.check("clients are still sent where they were", found(c.sentTo(ctx, "mirror "+regions[1], "nearest-region"), true, ""))

	// By its name alone, this is no version.
	if err := h.point(ctx, strings.TrimSuffix(c.versionARN(""), ":")); err != nil {
		return err
	}
	if wrong, err = h.try(ctx); err != nil {
		return err
	}
	denied := slices.ContainsFunc(wrong, func(w string) bool { return strings.Contains(w, "AccessDenied") })
	c.check("the release hook may invoke nothing but versions", found(nil, denied, "no AccessDenied, but:\n"+strings.Join(wrong, "\n")))

	if err := c.aws(ctx, regions[0], nil, "lambda", "delete-function", "--function-name", c.function, "--qualifier", bad); err != nil {
		return err
	}
	now, err := c.live(ctx)
	if err != nil {
		return err
	}
	latest, err := c.environmentOf(ctx, "$LATEST")
	if err != nil {
		return err
	}
	c.check("the alias live is where it was, and so is what the next version is made of", found(nil, now == good && maps.Equal(latest, env),
		fmt.Sprintf("version %s with %v became version %s with %v", good, env, now, latest)))
	return nil
}

// refused tells what a verdict on the version that leads to a foreign host lacks:
// a sentence that names the host for each front.
func refused(wrong []string) string {
	for _, front := range []string{"alb", "url"} {
		if !slices.ContainsFunc(wrong, func(w string) bool {
			return strings.HasPrefix(w, front+", ") && strings.Contains(w, "it leads to \"https://"+foreignHost+"/")
		}) {
			return fmt.Sprintf("nothing of %s is said behind the front %s, but:\n%s", foreignHost, front, end(strings.Join(wrong, "\n")))
		}
	}
	return ""
}

// live is the version that the alias is at.
func (d *deployed) live(ctx context.Context) (string, error) {
	var alias struct{ FunctionVersion string }
	err := d.aws(ctx, regions[0], &alias, "lambda", "get-alias", "--function-name", d.function, "--name", "live")
	return alias.FunctionVersion, err
}

func (d *deployed) versionARN(version string) string {
	return "arn:aws:lambda:" + regions[0] + ":" + account + ":function:" + d.function + ":" + version
}

// environmentOf is that of a version of the redirector.
func (d *deployed) environmentOf(ctx context.Context, qualifier string) (map[string]string, error) {
	var answer struct{ Environment functionEnv }
	err := d.aws(ctx, regions[0], &answer, "lambda", "get-function-configuration", "--function-name", d.function, "--qualifier", qualifier)
	if err == nil && answer.Environment.Variables["UPSTREAM_REGISTRY_ENDPOINT"] == "" {
		err = fmt.Errorf("reading the redirector's environment: it names no upstream: %v", answer.Environment.Variables)
	}
	return answer.Environment.Variables, err
}

// setEnvironment changes a function's newest code, and waits until it has it.
func (d *deployed) setEnvironment(ctx context.Context, function string, env map[string]string) error {
	text, err := json.Marshal(functionEnv{env})
	if err != nil {
		return err
	}
	if err := d.aws(ctx, regions[0], nil, "lambda", "update-function-configuration", "--function-name", function, "--environment", string(text)); err != nil {
		return err
	}
	return d.aws(ctx, regions[0], nil, "lambda", "wait", "function-updated-v2", "--function-name", function)
}

// publishForeign publishes a version of the redirector whose upstream is a
// foreign host, and leaves what the next version is made of as it was.
func (d *deployed) publishForeign(ctx context.Context) (version string, err error) {
	env, err := d.environmentOf(ctx, "$LATEST")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, d.setEnvironment(ctx, d.function, env)) }()
	foreign := maps.Clone(env)
	foreign["UPSTREAM_REGISTRY_ENDPOINT"] = "https://" + foreignHost
	if err := d.setEnvironment(ctx, d.function, foreign); err != nil {
		return "", err
	}
	var published struct{ Version string }
	err = d.aws(ctx, regions[0], &published, "lambda", "publish-version", "--function-name", d.function)
	return published.Version, err
}

// putHook makes the function that a stage with a release has, with a role that
// may invoke versions of the redirector and nothing else.
func (d *deployed) putHook(ctx context.Context, env map[string]string, version, codeDeploy string) (*releaseHook, error) {
	code, err := d.zipHook(ctx)
	if err != nil {
		return nil, err
	}
	var role struct{ Role struct{ Arn string } }
	if err := d.aws(ctx, regions[0], &role, "iam", "create-role", "--role-name", hookName, "--assume-role-policy-document",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}}`); err != nil {
		return nil, err
	}
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":%q}}`, d.versionARN("*"))
	if err := d.aws(ctx, regions[0], nil, "iam", "put-role-policy", "--role-name", hookName, "--policy-name", "versions", "--policy-document", policy); err != nil {
		return nil, err
	}
	h := &releaseHook{d, maps.Clone(env)}
	h.env["RELEASE_VERSION"], h.env["RELEASE_FRONTS"] = version, "alb,url"
	h.env["AWS_ENDPOINT_URL_CODEDEPLOY"] = codeDeploy
	text, err := json.Marshal(functionEnv{h.env})
	if err != nil {
		return nil, err
	}
	if err := d.aws(ctx, regions[0], nil, "lambda", "create-function", "--function-name", hookName, "--role", role.Role.Arn,
		"--runtime", "provided.al2023", "--handler", "bootstrap", "--architectures", d.stage.Architecture, "--timeout", "300", "--memory-size", "256",
		"--zip-file", "fileb://"+code, "--environment", string(text)); err != nil {
		return nil, err
	}
	return h, d.aws(ctx, regions[0], nil, "lambda", "wait", "function-active-v2", "--function-name", hookName)
}

// zipHook builds the hook and answers the file that Lambda takes.
func (d *deployed) zipHook(ctx context.Context) (string, error) {
	dir, err := build.Function(ctx, "rollout", runtime.GOARCH)
	if err != nil {
		return "", err
	}
	code, err := os.ReadFile(filepath.Join(dir, "bootstrap"))
	if err != nil {
		return "", err
	}
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	w, err := z.CreateHeader(header)
	if err == nil {
		_, err = w.Write(code)
	}
	if err := errors.Join(err, z.Close()); err != nil {
		return "", fmt.Errorf("packing the hook: %w", err)
	}
	file := filepath.Join(d.dir, "hook.zip")
	return file, os.WriteFile(file, packed.Bytes(), 0o600)
}

// point has the hook try another version.
func (h *releaseHook) point(ctx context.Context, version string) error {
	h.env["RELEASE_VERSION"] = version
	return h.setEnvironment(ctx, hookName, h.env)
}

func (h *releaseHook) remove(ctx context.Context) error {
	return errors.Join(
		h.aws(ctx, regions[0], nil, "lambda", "delete-function", "--function-name", hookName),
		h.aws(ctx, regions[0], nil, "iam", "delete-role-policy", "--role-name", hookName, "--policy-name", "versions"),
		h.aws(ctx, regions[0], nil, "iam", "delete-role", "--role-name", hookName),
	)
}

func (h *releaseHook) invoke(ctx context.Context, payload string) ([]byte, error) {
	file := filepath.Join(h.dir, "hook.json")
	var answer struct{ FunctionError string }
	if err := h.aws(ctx, regions[0], &answer, "lambda", "invoke", "--function-name", hookName, "--cli-read-timeout", "300", "--payload", payload, file); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if err == nil && answer.FunctionError != "" {
		err = fmt.Errorf("invoking the hook with %s: it failed: %s", payload, text)
	}
	return text, err
}

// try asks as people do, and answers what is wrong with the version.
func (h *releaseHook) try(ctx context.Context) ([]string, error) {
	text, err := h.invoke(ctx, `{"try":true}`)
	if err != nil {
		return nil, err
	}
	var verdict struct {
		Version string
		Wrong   []string
	}
	if err := json.Unmarshal(text, &verdict); err != nil || verdict.Version != h.env["RELEASE_VERSION"] || verdict.Wrong == nil {
		return nil, fmt.Errorf("the hook answered %s, want a verdict on %s", text, h.env["RELEASE_VERSION"])
	}
	return verdict.Wrong, nil
}

// call asks as CodeDeploy does.
func (h *releaseHook) call(ctx context.Context) error {
	_, err := h.invoke(ctx, fmt.Sprintf(`{"DeploymentId":%q,"LifecycleEventHookExecutionId":%q}`, deploymentID, executionID))
	return err
}

// codeDeploy stands in for the service of that name: it notes what a hook tells.
type codeDeploy struct {
	mu   sync.Mutex
	told []string
}

// serve answers the stand-in's URL.
func (d *codeDeploy) serve() (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: d}
	go server.Serve(l)
	return "http://" + l.Addr().String(), func() { server.Close() }, nil
}

// ServeHTTP knows one call.
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_PutLifecycleEventHookExecutionStatus.html
func (d *codeDeploy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var input struct{ DeploymentID, LifecycleEventHookExecutionID, Status string }
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&input)
	target := r.Header.Get("X-Amz-Target")
	known := err == nil && r.Method == http.MethodPost && target == "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus" &&
		input.DeploymentID == deploymentID && input.LifecycleEventHookExecutionID == executionID
	d.mu.Lock()
	defer d.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if !known {
		d.told = append(d.told, fmt.Sprintf("%s %s with %+v, error %v", r.Method, target, input, err))
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d.told = append(d.told, input.Status)
	fmt.Fprintf(w, `{"lifecycleEventHookExecutionId":%q}`, executionID)
}

// after tells what is wrong with what the hook tells in a call: one status.
func (d *codeDeploy) after(call func() error, status string) string {
	d.mu.Lock()
	d.told = nil
	d.mu.Unlock()
	err := call()
	d.mu.Lock()
	defer d.mu.Unlock()
	return found(err, slices.Equal(d.told, []string{status}), fmt.Sprintf("CodeDeploy was told %q, want %q once", d.told, status))
}
