// Command release builds what a release consists of: the functions as zip
// files for both architectures, a bill of materials of each, and SHA256SUMS.
//
// The same source built with the same version of Go gives the same zips, in
// whatever folder and on whatever machine.
package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"archeio/lambda/build"
)

// bomTool writes CycloneDX. It is run at this version, and is no dependency.
const bomTool = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"

// made is when everything in a zip was made: the first moment that the format
// knows.
var made = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("o", "", "folder to write to; empty is .build/release of the repository. What an earlier release left there is removed")
	bom := flags.Bool("bom", true, "write bills of materials; they need a git clone, and the first time the module proxy")
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: release [flags]\nbuilds the functions as zip files for both architectures, with bills of materials and SHA256SUMS\n\n")
		flags.PrintDefaults()
		fmt.Fprint(stderr, "\nexit codes: 0 done, 1 something could not be built or written, 2 wrong flags\n")
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "release: takes no arguments, got %q\n", flags.Arg(0))
		return 2
	}
	if err := release(ctx, *out, *bom, stdout, stderr); err != nil {
		if cause := ctx.Err(); cause != nil {
			err = errors.New("interrupted; there is no SHA256SUMS, so nobody takes the rest for a release")
		}
		fmt.Fprintln(stderr, "release:", err)
		return 1
	}
	return 0
}

// release writes the sums last: a folder without them is not whole.
func release(ctx context.Context, out string, bom bool, stdout, stderr io.Writer) error {
	root, err := build.Root()
	if err != nil {
		return err
	}
	env, err := build.Environment(ctx)
	if err != nil {
		return err
	}
	if out == "" {
		out = filepath.Join(root, ".build", "release")
	}
	if err := empty(out); err != nil {
		return err
	}
	total := len(build.Functions) * len(build.Architectures())
	sums := map[string]string{}
	write := func(name string, data []byte) error {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			return fmt.Errorf("writing the release: %w", err)
		}
		sums[name] = fmt.Sprintf("%x", sha256.Sum256(data))
		return nil
	}
	for _, function := range build.Functions {
		for _, architecture := range build.Architectures() {
			name, goarch := function+"-"+architecture, build.GOARCH(architecture)
			fmt.Fprintf(stderr, "building %s (%d of %d)\n", name, len(sums)/pieces(bom)+1, total)
			data, err := pack(ctx, function, goarch)
			if err != nil {
				return err
			}
			if err := write(name+".zip", data); err != nil {
				return err
			}
			if !bom {
				continue
			}
			if data, err = materials(ctx, root, env, function, goarch); err != nil {
				return err
			}
			if err := write(name+".cdx.json", data); err != nil {
				return err
			}
		}
	}
	text := sumsText(sums)
	if err := os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing the release: %w", err)
	}
	fmt.Fprintf(stderr, "written to %s; check it there with: sha256sum -c SHA256SUMS\n", out)
	_, err = io.WriteString(stdout, text)
	return err
}

func pieces(bom bool) int {
	if bom {
		return 2
	}
	return 1
}

// empty removes what an earlier release left, and nothing else.
func empty(out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("making the folder of the release: %w", err)
	}
	for _, pattern := range []string{"SHA256SUMS", "*.zip", "*.cdx.json"} {
		files, err := filepath.Glob(filepath.Join(out, pattern))
		if err != nil {
			return fmt.Errorf("looking into the folder of the release: %w", err)
		}
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("removing an earlier release: %w", err)
			}
		}
	}
	return nil
}

// pack builds a function and puts it into a zip as Lambda takes it.
func pack(ctx context.Context, function, goarch string) ([]byte, error) {
	dir, err := build.Function(ctx, function, goarch)
	if err != nil {
		return nil, err
	}
	return archive(dir)
}

// archive puts the files of a folder into a zip, in sorted order, with one
// time and one mode for all. They are all executable: there is nothing else.
func archive(dir string) ([]byte, error) {
	entries, err := os.ReadDir(dir) // in sorted order
	if err != nil {
		return nil, fmt.Errorf("reading what was built: %w", err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading what was built: %w", err)
		}
		header := &zip.FileHeader{Name: entry.Name(), Method: zip.Deflate, Modified: made}
		header.SetMode(0o755)
		file, err := w.CreateHeader(header)
		if err == nil {
			_, err = file.Write(data)
		}
		if err != nil {
			return nil, fmt.Errorf("packing %q: %w", entry.Name(), err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	return out.Bytes(), nil
}

// materials writes a function's bill of materials, for the build constraints
// that it is built with.
func materials(ctx context.Context, root string, env []string, function, goarch string) ([]byte, error) {
	// The tool itself is built for this machine; only what it reads the
	// modules with is told of the other one.
	with := "env GOOS=linux GOARCH=" + goarch + " CGO_ENABLED=0 GOFLAGS=-tags=" + build.Tags
	cmd := exec.CommandContext(ctx, "go", "run", "-exec", with, bomTool,
		"app", "-json", "-std", "-noserial", "-notimestamp", "-main", "lambda/"+function, root)
	cmd.Dir, cmd.Env = root, env
	// A tool that was started ends with us, and not after us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(stderr.String()), "exit status 1")), "\n")
		return nil, fmt.Errorf("writing the bill of materials of %s: %w: %s; -bom=false goes without", function, err, lines[len(lines)-1])
	}
	return stdout.Bytes(), nil
}

// sumsText is what sha256sum -c takes.
func sumsText(sums map[string]string) string {
	var names []string
	for name := range sums {
		names = append(names, name)
	}
	slices.Sort(names)
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "%s  %s\n", sums[name], name)
	}
	return text.String()
}
