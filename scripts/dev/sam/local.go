package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/scripts/lab/sample"
)

// samTimeout is how long SAM may take to start.
const samTimeout = 2 * time.Minute

// local is a start of SAM for some events: the template has a copy of the function for
// each of them, with the event's environment and its simulated mirrors.
type local struct {
	options
	sam, template, mirrors string
	docker                 *docker
	events                 []*sample.Event
}

func functionID(i int) string { return fmt.Sprint(stage.RedirectorID, "Event", i) }

// invoke invokes the function with all events, prints the results, and reports whether
// the function reported an error.
func (l *local) invoke(ctx context.Context) (failed bool, err error) {
	template, err := l.copies()
	if err != nil {
		return false, err
	}
	address, err := ownAddress()
	if err != nil {
		return false, err
	}
	stop, err := l.start(ctx, template, address)
	if err != nil {
		return false, err
	}
	defer stop()
	for i, event := range l.events {
		reported, err := l.post(ctx, "http://"+address+"/2015-03-31/functions/"+functionID(i)+"/invocations", event)
		if err != nil {
			return false, fmt.Errorf("invoking %s: %w", event.Name, err)
		}
		failed = failed || reported
	}
	return failed, nil
}

// copies writes a template with a copy of the function for each event, and nothing
// else. It is next to the original, because it refers to files there.
func (l *local) copies() (file string, err error) {
	text, err := os.ReadFile(l.template)
	if err != nil {
		return "", err
	}
	var template struct {
		Resources map[string]map[string]any
	}
	if err := json.Unmarshal(text, &template); err != nil {
		return "", fmt.Errorf("reading %s: %w", l.template, err)
	}
	function := template.Resources[stage.RedirectorID]
	resources := map[string]any{}
	for i, event := range l.events {
		own := maps.Clone(asMap(function["Properties"]))
		if own == nil {
			return "", fmt.Errorf("reading %s: it has no function %s", l.template, stage.RedirectorID)
		}
		delete(own, "FunctionName")
		metadata := map[string]any{}
		maps.Copy(metadata, asMap(function["Metadata"]))
		delete(metadata, "aws:cdk:path") // SAM takes it for the function's name
		if address := event.MirrorAddress(); address != "" {
			code, _ := metadata[assetPath].(string)
			if metadata[assetPath], err = l.withMirrors(code, event.MirrorList(), address); err != nil {
				return "", fmt.Errorf("adding the simulated mirrors to the function: %w", err)
			}
		}
		variables := map[string]string{"AWS_REGION": event.Env["AWS_REGION"]}
		for _, v := range config.Variables {
			if value, ok := event.Env[v.Name]; ok {
				variables[v.Name] = value
			}
		}
		own["Environment"] = map[string]any{"Variables": variables}
		resources[functionID(i)] = map[string]any{"Type": function["Type"], "Metadata": metadata, "Properties": own}
	}
	data, err := json.Marshal(map[string]any{"Resources": resources})
	if err != nil {
		return "", err
	}
	file = strings.TrimSuffix(l.template, ".json") + ".events.json"
	return file, os.WriteFile(file, data, 0o600)
}

// assetPath is the metadata with the folder of a function's code, relative to the
// template.
const assetPath = "aws:asset:path"

// withMirrors returns a folder with the function's code in which the simulated mirrors
// start first and then run the function. They are a part of the code rather than
// started in the container by docker exec, because SAM alone decides when a container
// starts.
func (l *local) withMirrors(code, list, address string) (folder string, err error) {
	cdkOut := filepath.Dir(l.template)
	// One for each event: a container must not see what another one reads.
	path, err := os.MkdirTemp(cdkOut, "mirrors.")
	if err != nil {
		return "", err
	}
	files := map[string]string{
		"function": filepath.Join(cdkOut, code, "bootstrap"),
		"mirrors":  l.mirrors,
	}
	for name, file := range files {
		if err := os.Link(file, filepath.Join(path, name)); err != nil {
			return "", err
		}
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return "", err
	}
	// Lambda mounts the code at /var/task.
	script := fmt.Sprintf("#!/bin/sh\nexec /var/task/mirrors /var/task %s /var/task/function\n", address)
	return filepath.Base(path), errors.Join(
		os.WriteFile(filepath.Join(path, filepath.Base(list)), text, 0o644),
		os.WriteFile(filepath.Join(path, "bootstrap"), []byte(script), 0o755),
		os.Chmod(path, 0o755), // the function is not run by root
	)
}

// asMap returns a JSON object, nil for anything else.
func asMap(value any) map[string]any {
	object, _ := value.(map[string]any)
	return object
}

// ownAddress returns a free port of a loopback address that nothing else uses: SAM
// looks for a free port of a container first and has Docker bind it later. On
// 127.0.0.1 another process may take it in between.
func ownAddress() (string, error) {
	host := "127.0.0.1"
	pid := os.Getpid()
	// On Linux all of 127.0.0.0/8 is this machine.
	if own := fmt.Sprintf("127.85.%d.%d", pid>>8&0xff, max(1, pid&0xff)); listens(own) {
		host = own
	}
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func listens(host string) bool {
	l, err := net.Listen("tcp", host+":0")
	if err == nil {
		l.Close()
	}
	return err == nil
}

// start starts SAM until stop is called. SAM creates a container for each invocation.
// With --warm-containers EAGER, version 1.167 may lose track of containers that it
// starts at the same time: it creates others for the invocations and leaves the first
// ones running.
func (l *local) start(ctx context.Context, template, address string) (stop func(), err error) {
	host, port, _ := net.SplitHostPort(address)
	// The region of the credentials; each function's own is in its environment.
	cmd := exec.Command(l.sam, "local", "start-lambda", "-t", template, "--host", host, "--port", port,
		"--container-host", host, "--container-host-interface", host, "--skip-pull-image", "--region", "us-east-1")
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+l.docker.host, "SAM_CLI_TELEMETRY=0",
		// SAM requires credentials, but does not use them here.
		"AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none", "AWS_EC2_METADATA_DISABLED=true")
	log := &samLog{}
	cmd.Stdout, cmd.Stderr = log, log
	if l.verbose {
		cmd.Stdout, cmd.Stderr = io.MultiWriter(log, l.stderr), io.MultiWriter(log, l.stderr)
	}
	// An interrupt of the terminal must not reach it before stop does.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting sam local start-lambda: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	stop = func() {
		cmd.Process.Signal(os.Interrupt) // it removes its containers
		select {
		case <-exited:
		case <-time.After(time.Minute):
			cmd.Process.Kill()
			<-exited
		}
	}
	timeout := time.NewTimer(samTimeout)
	defer timeout.Stop()
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return stop, nil
		}
		select {
		case <-retry.C:
		case <-exited:
			return nil, fmt.Errorf("running sam local start-lambda: it exited: %s", log.problem())
		case <-timeout.C:
			stop()
			return nil, fmt.Errorf("running sam local start-lambda: not ready after %s: %s", samTimeout, log.problem())
		case <-ctx.Done():
			stop()
			return nil, context.Cause(ctx)
		}
	}
}

// post invokes a function with an event, prints the result, and reports whether the
// function reported an error.
func (l *local) post(ctx context.Context, url string, event *sample.Event) (reported bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(event.Payload))
	if err != nil {
		return false, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return false, err
	}
	var result bytes.Buffer
	if json.Compact(&result, body) != nil || resp.StatusCode >= http.StatusInternalServerError {
		return false, fmt.Errorf("SAM responded with %s: %s", resp.Status, lastLine(string(body)))
	}
	fmt.Fprintln(l.stdout, result.String())
	var functionError struct{ ErrorType string }
	return json.Unmarshal(result.Bytes(), &functionError) == nil && functionError.ErrorType != "", nil
}

// samLog is the output of SAM. It is safe for concurrent use.
type samLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *samLog) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// problem returns the line that names the problem. SAM's last line is often only a
// link to its issues.
func (s *samLog) problem() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(s.text.String()) {
		if line = strings.TrimSpace(line); strings.Contains(line, "Error") && !strings.Contains(line, "https://github.com/aws/aws-sam-cli/issues") {
			return line
		}
	}
	return cmp.Or(lastLine(s.text.String()), "no output")
}
