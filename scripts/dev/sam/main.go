// Command sam sends sample events to the function in the synthesized template
// with "sam local invoke", and prints its answers:
//
//	make sam EVENT=events/alb/ping.json
//
// The environment is that of make invoke. SAM overrides only what the template
// declares, so every variable is passed, empty where it is not set. In SAM's
// container the mirrors that make invoke plays cannot be reached; a blob that
// they hold is answered as mirror-unavailable.
//
// Where one is root and Docker is installed, a daemon is started if none
// answers, and the base image is made if it cannot be pulled; what was started
// is stopped. The exit code is 1 where the function reports an error, and 2
// where it could not be run.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"archeio/infra/constructs"
	"archeio/infra/stage"
	"archeio/lambda/build"
	"archeio/lambda/config"
	"archeio/scripts/lab/sample"
)

const usage = `Usage: go run ./scripts/dev/sam [flags] EVENT...

Synthesizes the stage "smallest" for this machine, sends each event to its
function by "sam local invoke", and prints the answers, a line each.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("sam", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, usage)
		flags.PrintDefaults()
	}
	var o options
	flags.StringVar(&o.python, "python", ".build/python/bin", "`folder` of the Python environment's programs; make builds it")
	flags.StringVar(&o.cdk, "cdk", "npx --yes aws-cdk", "the CDK's `command`; make pins its version")
	flags.BoolVar(&o.verbose, "v", false, "print what the CDK, SAM and Docker write, to standard error")
	flags.Parse(os.Args[1:])
	if flags.NArg() == 0 || flags.Arg(0) == "" {
		fmt.Fprintln(os.Stderr, "sam: name an event, as in: make sam EVENT=events/alb/ping.json")
		os.Exit(2)
	}
	failed, err := run(ctx, o, flags.Args())
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "sam:", err)
		os.Exit(2)
	case failed:
		os.Exit(1)
	}
}

type options struct {
	python, cdk string
	verbose     bool
}

// instead is what to do where SAM cannot run.
const instead = "; make invoke EVENT=… sends the event without SAM and Docker"

func run(ctx context.Context, o options, events []string) (failed bool, err error) {
	root, err := build.Root()
	if err != nil {
		return false, err
	}
	var samples []*sample.Event
	for _, file := range events {
		event, err := sample.Read(file, filepath.Join(root, "events"))
		if err != nil {
			return false, err
		}
		event.Override(os.LookupEnv)
		samples = append(samples, event)
	}
	sam, err := find(o.python, "sam")
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "archeio-sam-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	d, err := startDocker(ctx, dir, o.verbose)
	if err != nil {
		return false, err
	}
	defer d.stop()
	if err := d.baseImage(ctx, runtime.GOARCH); err != nil {
		return false, err
	}
	template, err := synthesize(ctx, root, dir, o)
	if err != nil {
		return false, err
	}
	for _, event := range samples {
		bad, err := invoke(ctx, sam, template, dir, event, d, o.verbose)
		if err != nil {
			return false, err
		}
		failed = failed || bad
	}
	return failed, nil
}

// find looks for a program in the Python environment, then in the PATH.
func find(python, name string) (string, error) {
	if path, err := filepath.Abs(filepath.Join(python, name)); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errors.New("there is no SAM on this machine; make python installs it where Python 3 is" + instead)
	}
	return path, nil
}

const stageName = "smallest"

// synthesize answers the template of the stage's redirector.
func synthesize(ctx context.Context, root, dir string, o options) (string, error) {
	architecture := build.Architecture(runtime.GOARCH)
	command := append(strings.Fields(o.cdk), "synth", "--quiet", "-c", "stage="+stageName, "-c", "architecture="+architecture, "-o", filepath.Join(dir, "cdk.out"))
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", errors.New(`looking for the CDK: there is no "npx" on this machine; install Node.js 22 or newer` + instead)
		}
		return "", fmt.Errorf("cdk synth: %w: %s", err, bytes.TrimSpace(out))
	}
	text, err := os.ReadFile(filepath.Join(root, "cdk.json"))
	if err != nil {
		return "", err
	}
	var settings struct {
		Context struct{ Stages json.RawMessage }
	}
	if err := json.Unmarshal(text, &settings); err != nil {
		return "", fmt.Errorf("reading cdk.json: %w", err)
	}
	stages, err := stage.Load(settings.Context.Stages)
	if err != nil {
		return "", err
	}
	for _, s := range stages {
		if s.Name == stageName {
			return filepath.Join(dir, "cdk.out", s.Stack("redirector", s.Redirectors[0])+".template.json"), nil
		}
	}
	return "", fmt.Errorf("reading cdk.json: there is no stage %q", stageName)
}

// invoke sends one event; bad tells that the function reported an error.
func invoke(ctx context.Context, sam, template, dir string, event *sample.Event, d *docker, verbose bool) (bad bool, err error) {
	variables := map[string]string{}
	for _, v := range config.Variables {
		variables[v.Name] = event.Env[v.Name]
	}
	env, err := json.Marshal(map[string]any{constructs.FunctionID: variables})
	if err != nil {
		return false, err
	}
	envFile, eventFile := filepath.Join(dir, "env.json"), filepath.Join(dir, "event.json")
	if err := os.WriteFile(envFile, env, 0o600); err != nil {
		return false, err
	}
	if err := os.WriteFile(eventFile, event.Payload, 0o600); err != nil {
		return false, err
	}
	cmd := exec.CommandContext(ctx, sam, "local", "invoke", "-t", template, constructs.FunctionID, "-e", eventFile,
		"--env-vars", envFile, "--region", event.Env["AWS_REGION"], "--skip-pull-image")
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.host, "SAM_CLI_TELEMETRY=0",
		// SAM asks for credentials, and needs none here.
		"AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none", "AWS_EC2_METADATA_DISABLED=true")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	if verbose {
		os.Stderr.Write(log.Bytes())
	}
	answer := lastLine(out.String())
	if err != nil || !json.Valid([]byte(answer)) {
		return false, fmt.Errorf("sam local invoke: %v: %s", err, lastLine(log.String()))
	}
	fmt.Println(answer)
	var reported struct{ ErrorType string }
	return json.Unmarshal([]byte(answer), &reported) == nil && reported.ErrorType != "", nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
