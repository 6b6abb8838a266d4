package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// awsProgram runs commands of the AWS CLI in one process, because importing the CLI takes
// a second of CPU time, and a run has hundreds of commands. Each line of standard input is
// a JSON list of arguments, each line of standard output the result.
const awsProgram = `import contextlib, io, json, sys
from awscli.clidriver import create_clidriver
results, driver = sys.stdout, create_clidriver()
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = driver.main(json.loads(line))
        except SystemExit as e:
            code = e.code
    print(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}), file=results, flush=True)
`

// awsCLI is a process that runs one command after another.
type awsCLI struct {
	process *exec.Cmd

	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

// startAWSCLI starts the process.
func (e *emulator) startAWSCLI() error {
	c := &awsCLI{process: exec.Command(filepath.Join(e.python, "python"), "-c", awsProgram)}
	c.process.Dir, c.process.Env, c.process.Stderr = e.root, e.environment(regions[0]), e.log
	c.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // not stopped by Ctrl-C
	in, err := c.process.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.process.StdoutPipe()
	if err != nil {
		return err
	}
	c.in, c.out = in, bufio.NewReader(out)
	if err := c.process.Start(); err != nil {
		return fmt.Errorf("starting the AWS CLI: %w", err)
	}
	e.awsCLI = c
	e.closers = append(e.closers, func() {
		in.Close()
		c.process.Process.Kill()
		c.process.Wait()
	})
	return nil
}

// run runs a command and returns its standard output. The process ends with ctx.
func (c *awsCLI) run(ctx context.Context, args []string) (string, error) {
	line, err := json.Marshal(args)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { c.process.Process.Kill() })
	defer stop()
	var result struct {
		Code     int
		Out, Err string
	}
	if _, err = c.in.Write(append(line, '\n')); err == nil {
		line, err = c.out.ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(line, &result)
	}
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil:
		return "", fmt.Errorf("the process has ended: %w", err)
	case result.Code != 0:
		return "", errors.New(strings.TrimSpace(result.Err + result.Out))
	}
	return result.Out, nil
}
