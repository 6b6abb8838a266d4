package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// archeio runs the operator's program against the emulator. The stages are those of
// writeStages. It returns standard output, all output, and the exit code; err is set
// if it could not run.
func (d *deployed) archeio(ctx context.Context, args ...string) (stdout []byte, all string, code int, err error) {
	program := filepath.Join(d.dir, "archeio")
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		if _, all, err := d.command(ctx, regions[0], "go", "build", "-o", program, "./scripts/archeio"); err != nil {
			return nil, all, 0, outputError(fmt.Errorf("building archeio: %w", err), all)
		}
	}
	// The SDK requests hosts of buckets, which only the proxy resolves.
	stdout, all, err = d.commandIn(ctx, d.root, append(d.environment(regions[0]), "HTTPS_PROXY=http://"+d.proxy, "SSL_CERT_FILE="+d.certificateFile()), program, args...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() > 0 {
		return stdout, all, exit.ExitCode(), nil
	}
	return stdout, all, 0, err
}

// stagesFile is a file like cdk.json with the stages of writeStages.
func (d *deployed) stagesFile() string { return filepath.Join(d.dir, "cdk.json") }

func (d *deployed) writeStages(stages string) error {
	return os.WriteFile(d.stagesFile(), []byte(`{"context": {"stages": `+stages+`}}`), 0o600)
}

// archeioJSON runs a command that prints JSON, and decodes it into into. An exit code
// of 1 is no error: the JSON shows what is wrong.
func (d *deployed) archeioJSON(ctx context.Context, into any, args ...string) error {
	stdout, all, code, err := d.archeio(ctx, args...)
	if err == nil && code > 1 {
		err = fmt.Errorf("exit code %d", code)
	}
	if err == nil {
		err = json.Unmarshal(stdout, into)
	}
	if err != nil {
		return outputError(fmt.Errorf("archeio %s: %w", args[0], err), all)
	}
	return nil
}
