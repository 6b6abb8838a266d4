package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// environment returns an environment in which the programs of AWS use the emulator.
func (e *emulator) environment(region string) []string {
	env := []string{}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(v, "CDK_") {
			env = append(env, v)
		}
	}
	return append(env,
		"AWS_ENDPOINT_URL=https://localhost:"+e.port, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region,
		"AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey, "AWS_EC2_METADATA_DISABLED=true",
		"VERIFY=none", // in a runbook's make deploy: checkVerify skips what the emulator cannot do
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_PAGER=",
		"AWS_CA_BUNDLE="+e.certificateFile(), "NODE_EXTRA_CA_CERTS="+e.certificateFile())
}

// command runs a program in the repository and returns its standard output, and all
// of its output.
func (e *emulator) command(ctx context.Context, region, program string, args ...string) (stdout []byte, all string, err error) {
	return e.commandIn(ctx, e.root, e.environment(region), program, args...)
}

// commandIn runs a program in a directory with an environment. It has a process group
// of its own, so that Ctrl-C reaches this program only, which then stops it.
func (e *emulator) commandIn(ctx context.Context, dir string, env []string, program string, args ...string) (stdout []byte, all string, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var out, both bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, &both, e.log), io.MultiWriter(&both, e.log)
	err = cmd.Run()
	return out.Bytes(), both.String(), err
}

// outputError is the error of a command, with the end of its output.
func outputError(err error, output string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; the end of the output:\n%s", err, tail(output))
}

// tail returns the last lines of a text.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// aws runs a command of the AWS CLI and decodes its JSON output into into, which may be nil.
func (e *emulator) aws(ctx context.Context, region string, into any, args ...string) error {
	// The options too: the CLI's SQS ignores AWS_ENDPOINT_URL.
	out, err := e.awsCLI.run(ctx, slices.Concat(args, []string{"--output", "json", "--region", region, "--endpoint-url", "https://localhost:" + e.port}))
	if err != nil {
		return fmt.Errorf("aws %s: %w", strings.Join(args[:2], " "), err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("aws %s: decoding its output: %w", strings.Join(args[:2], " "), err)
	}
	return nil
}

// awsAs runs the AWS CLI as another account.
func (e *emulator) awsAs(ctx context.Context, account, region string, args ...string) error {
	_, all, err := e.commandIn(ctx, e.root, append(e.environment(region), "AWS_ACCESS_KEY_ID="+account),
		filepath.Join(e.python, "aws"), args...)
	if err != nil {
		return fmt.Errorf("aws %s: %w: %s", strings.Join(args[:2], " "), err, tail(all))
	}
	return nil
}
