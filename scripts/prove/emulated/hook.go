package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"

	"archeio/lambda/build"
)

const hookName = "archeio-" + stageName + "-hook"

// hook is the rollout hook. The emulator has no CodeDeploy, so the stage has no
// release and the CDK deploys no hook.
type hook struct {
	*deployed
	env map[string]string
}

// functionEnv is the environment of a function in AWS's API.
type functionEnv struct {
	Variables map[string]string
}

// liveVersion returns the version of the alias.
func (d *deployed) liveVersion(ctx context.Context) (string, error) {
	var alias struct{ FunctionVersion string }
	err := d.aws(ctx, regions[0], &alias, "lambda", "get-alias", "--function-name", d.function, "--name", "live")
	return alias.FunctionVersion, err
}

func (d *deployed) versionARN(version string) string {
	return "arn:aws:lambda:" + regions[0] + ":" + account + ":function:" + d.function + ":" + version
}

// environmentOf returns the environment of a version of the redirector.
func (d *deployed) environmentOf(ctx context.Context, qualifier string) (map[string]string, error) {
	var output struct{ Environment functionEnv }
	err := d.aws(ctx, regions[0], &output, "lambda", "get-function-configuration", "--function-name", d.function, "--qualifier", qualifier)
	if err == nil && output.Environment.Variables["UPSTREAM_REGISTRY_ENDPOINT"] == "" {
		err = fmt.Errorf("the redirector's environment has no upstream: %v", output.Environment.Variables)
	}
	return output.Environment.Variables, err
}

// setEnvironment changes the environment of a function's unpublished version, and
// waits until the change is complete.
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

// publishForeign publishes a version of the redirector with a foreign host as the
// upstream, and restores the unpublished version.
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

// createHook creates the function that a stage with a release has, with a role that
// may invoke versions of the redirector and nothing else.
func (d *deployed) createHook(ctx context.Context, env map[string]string, version, codeDeploy string) (*hook, error) {
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
	h := &hook{d, maps.Clone(env)}
	h.env["ROLLOUT_VERSION"], h.env["ROLLOUT_ENTRY_POINTS"] = version, "alb,url"
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

// zipHook builds the hook and returns its deployment package.
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

func (h *hook) remove(ctx context.Context) error {
	return errors.Join(
		h.aws(ctx, regions[0], nil, "lambda", "delete-function", "--function-name", hookName),
		h.aws(ctx, regions[0], nil, "iam", "delete-role-policy", "--role-name", hookName, "--policy-name", "versions"),
		h.aws(ctx, regions[0], nil, "iam", "delete-role", "--role-name", hookName),
	)
}

// tryVersion tests another version.
func (h *hook) tryVersion(ctx context.Context, version string) ([]string, error) {
	h.env["ROLLOUT_VERSION"] = version
	if err := h.setEnvironment(ctx, hookName, h.env); err != nil {
		return nil, err
	}
	return h.try(ctx)
}

// try invokes the hook as an operator does, and returns the failures of the version.
func (h *hook) try(ctx context.Context) ([]string, error) {
	text, err := h.invoke(ctx, regions[0], hookName, `{"try":true}`)
	if err != nil {
		return nil, err
	}
	var result struct {
		Version  string
		Failures []string
	}
	if err := json.Unmarshal(text, &result); err != nil || result.Version != h.env["ROLLOUT_VERSION"] || result.Failures == nil {
		return nil, fmt.Errorf("the hook returned %s, want a result for %s", text, h.env["ROLLOUT_VERSION"])
	}
	return result.Failures, nil
}

// call invokes the hook as CodeDeploy does.
func (h *hook) call(ctx context.Context) error {
	_, err := h.invoke(ctx, regions[0], hookName, fmt.Sprintf(`{"DeploymentId":%q,"LifecycleEventHookExecutionId":%q}`, deploymentID, executionID))
	return err
}
