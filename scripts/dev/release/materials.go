package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"archeio/lambda/build"
)

const (
	// bomTool writes a bill of materials in CycloneDX. It is run at this version,
	// and is not a dependency of the module.
	bomTool   = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"
	bomEnding = ".cdx.json"
)

// materials returns the bill of materials of an item, for its build constraints.
func (r *release) materials(ctx context.Context, x item) ([]byte, error) {
	// Only the environment in which the tool reads the modules is that of the
	// target; the tool itself is built for this machine.
	environment := "env GOOS=" + x.target.goos + " GOARCH=" + x.target.goarch + " CGO_ENABLED=0 GOFLAGS=-tags=" + build.Tags
	cmd := exec.CommandContext(ctx, "go", "run", "-exec", environment, bomTool,
		"app", "-json", "-std", "-noserial", "-notimestamp", "-main", x.pkg, r.root)
	cmd.Dir, cmd.Env = r.root, r.env
	// In its own process group, so that the tool ends with the go command.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(stderr.String()), "exit status 1")), "\n")
		return nil, fmt.Errorf("writing the bill of materials of %s: %w: %s: use -bom=false to leave it out", x.name, err, lines[len(lines)-1])
	}
	return stdout.Bytes(), nil
}
