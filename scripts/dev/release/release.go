package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"archeio/lambda/build"
)

// target is an operating system and an architecture, as Go names them.
type target struct{ goos, goarch string }

// programs are the targets of the operator's program.
var programs = []target{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}}

const (
	// program is the operator's program, and its main package in the repository.
	program, programPackage = "archeio", "scripts/archeio"
	// commitVariable is the variable of the program with its version.
	commitVariable = "archeio/scripts/archeio/version.Commit"
)

// release is a release to be built.
type release struct {
	dir    string // to write to; set by build if empty
	commit string // set by build if empty
	bom    bool
	items  []item

	root string
	env  []string          // of the go command
	sums map[string]string // SHA-256 in hexadecimal by file name
}

// item is an archive of a release.
type item struct {
	name, ending string // of its file
	pkg          string // its main package, relative to the root of the repository
	target       target
	pack         func(*release, context.Context, item) ([]byte, error)
}

// build builds the release and returns SHA256SUMS, which it writes last, so a
// folder without it is incomplete. step is called before each archive.
func (r *release) build(ctx context.Context, step func(string)) (sums string, err error) {
	if r.root, err = build.Root(); err != nil {
		return "", err
	}
	if r.env, err = build.Environment(ctx); err != nil {
		return "", err
	}
	if r.commit == "" {
		if r.commit, err = commit(ctx, r.root); err != nil {
			return "", err
		}
	}
	if r.dir == "" {
		r.dir = filepath.Join(r.root, ".build", "release")
	}
	if err := empty(r.dir); err != nil {
		return "", err
	}
	r.sums = map[string]string{}
	for i, x := range r.items {
		step(fmt.Sprintf("building %s (%d of %d)", x.name, i+1, len(r.items)))
		archive, err := x.pack(r, ctx, x)
		if err != nil {
			return "", err
		}
		if err := r.write(x.name+x.ending, archive); err != nil {
			return "", err
		}
		if !r.bom {
			continue
		}
		bom, err := r.materials(ctx, x)
		if err != nil {
			return "", err
		}
		if err := r.write(x.name+bomEnding, bom); err != nil {
			return "", err
		}
	}
	sums = checksums(r.sums)
	if err := os.WriteFile(filepath.Join(r.dir, "SHA256SUMS"), []byte(sums), 0o644); err != nil {
		return "", fmt.Errorf("writing the release: %w", err)
	}
	return sums, nil
}

// items returns the archives of a release.
func items() []item {
	var items []item
	for _, function := range build.Functions {
		for _, architecture := range build.Architectures() {
			items = append(items, item{function + "-" + architecture, zipEnding, "lambda/" + function, target{"linux", build.GOARCH(architecture)}, (*release).function})
		}
	}
	for _, t := range programs {
		items = append(items, item{program + "-" + t.goos + "-" + t.goarch, tarEnding, programPackage, t, (*release).program})
	}
	return items
}

// function builds a function and returns the zip that Lambda deploys.
func (r *release) function(ctx context.Context, x item) ([]byte, error) {
	dir, err := build.Function(ctx, filepath.Base(x.pkg), x.target.goarch)
	if err != nil {
		return nil, err
	}
	return zipped(dir)
}

// program builds the operator's program and returns a tar.gz with it.
func (r *release) program(ctx context.Context, x item) ([]byte, error) {
	dir := filepath.Join(r.root, ".build", x.name)
	if err := build.Program(ctx, "./"+x.pkg, x.target.goos, x.target.goarch, filepath.Join(dir, program), commitVariable+"="+r.commit); err != nil {
		return nil, err
	}
	return tarred(dir)
}

func (r *release) write(name string, data []byte) error {
	if err := os.WriteFile(filepath.Join(r.dir, name), data, 0o644); err != nil {
		return fmt.Errorf("writing the release: %w", err)
	}
	r.sums[name] = fmt.Sprintf("%x", sha256.Sum256(data))
	return nil
}

// empty creates the folder of a release and removes the files of an earlier
// release from it, and no others.
func empty(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("creating the folder of the release: %w", err)
	}
	for _, pattern := range []string{"SHA256SUMS", "*" + zipEnding, "*" + tarEnding, "*" + bomEnding} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return fmt.Errorf("listing the folder of the release: %w", err)
		}
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("removing an earlier release: %w", err)
			}
		}
	}
	return nil
}

// checksums returns sums in the format of sha256sum.
func checksums(sums map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&text, "%s  %s\n", sums[name], name)
	}
	return text.String()
}
