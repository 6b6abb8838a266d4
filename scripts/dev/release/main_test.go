package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"archeio/lambda/build"
)

// TestReproducible builds all zips from two copies of the source in different
// folders, with different environments: they must be the same to the byte.
// With RELEASE_TEST_FRESH set the second build compiles everything anew, which
// takes minutes; else it may take from the cache what the first one compiled.
func TestReproducible(t *testing.T) {
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	first, second := filepath.Join(base, "a"), filepath.Join(base, "another", "folder")
	copySource(t, root, first, 0o644)
	copySource(t, first, second, 0o600)
	sums := make([]string, 2)
	for i, dir := range []string{first, second} {
		t.Chdir(dir)
		if i == 1 {
			t.Setenv("GOAMD64", "v3")
			t.Setenv("GOARM64", "v9.0")
			t.Setenv("GOFLAGS", "-tags=other")
			t.Setenv("GOENV", "")
			t.Setenv("TZ", "Asia/Kathmandu")
			if os.Getenv("RELEASE_TEST_FRESH") != "" {
				t.Setenv("GOCACHE", t.TempDir())
			}
		}
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"-bom=false"}, &stdout, &stderr); code != 0 {
			t.Fatalf("exit code %d: %s", code, &stderr)
		}
		sums[i] = stdout.String()
		for _, function := range build.Functions {
			for _, architecture := range build.Architectures() {
				name := function + "-" + architecture + ".zip"
				data, err := os.ReadFile(filepath.Join(dir, ".build", "release", name))
				if err != nil {
					t.Fatal(err)
				}
				if line := fmt.Sprintf("%x  %s\n", sha256.Sum256(data), name); !strings.Contains(sums[i], line) {
					t.Errorf("the sums lack the line %q", line)
				}
				if !strings.Contains(stderr.String(), "building "+strings.TrimSuffix(name, ".zip")+" (") {
					t.Errorf("nothing tells that %s is being built:\n%s", name, &stderr)
				}
			}
		}
		written, err := os.ReadFile(filepath.Join(dir, ".build", "release", "SHA256SUMS"))
		if err != nil || string(written) != sums[i] {
			t.Errorf("SHA256SUMS has\n%s, printed was\n%s, error %v", written, sums[i], err)
		}
	}
	if sums[0] != sums[1] || strings.Count(sums[0], "\n") != len(build.Functions)*len(build.Architectures()) {
		t.Errorf("two builds of the same source:\n%s\n%s", sums[0], sums[1])
	}
}

// copySource copies what the functions are built from.
func copySource(t *testing.T, from, to string, mode fs.FileMode) {
	t.Helper()
	for _, part := range []string{"go.mod", "go.sum", "lambda", "ranges"} {
		err := filepath.WalkDir(filepath.Join(from, part), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				if d != nil && d.Name() == "testdata" {
					return filepath.SkipDir
				}
				return err
			}
			if strings.HasSuffix(path, "_test.go") {
				return nil
			}
			name, err := filepath.Rel(from, path)
			if err != nil {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(to, name), data, mode)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestArchive(t *testing.T) {
	dir := t.TempDir()
	content := map[string]string{"b": "second", "a": "first", "bootstrap": "\x7fELF"}
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one, err := archive(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "a"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if two, err := archive(dir); err != nil || !bytes.Equal(one, two) {
		t.Errorf("another time of a file makes another zip, error %v", err)
	}
	r, err := zip.NewReader(bytes.NewReader(one), int64(len(one)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range r.File {
		names = append(names, f.Name)
		if f.Mode() != 0o755 || !f.Modified.Equal(made) {
			t.Errorf("%s has mode %v and time %v", f.Name, f.Mode(), f.Modified)
		}
		file, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(file); err != nil || string(data) != content[f.Name] {
			t.Errorf("%s has %q, error %v", f.Name, data, err)
		}
	}
	if got := strings.Join(names, " "); got != "a b bootstrap" {
		t.Errorf("the zip has %s", got)
	}
}

// An earlier release is removed, what else lies there is not.
func TestEmpty(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"SHA256SUMS", "old-arm64.zip", "old-arm64.cdx.json", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := empty(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != "notes.txt" {
		t.Errorf("left are %v, error %v", left, err)
	}
}

func TestWrongUse(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, dir string
		ctx       context.Context
		args      []string
		code      int
		want      string
	}{
		{"help", ".", t.Context(), []string{"-h"}, 0, "usage: release [flags]"},
		{"flag", ".", t.Context(), []string{"-x"}, 2, "not defined: -x"},
		{"argument", ".", t.Context(), []string{"all"}, 2, `takes no arguments, got "all"`},
		{"elsewhere", os.TempDir(), t.Context(), nil, 1, "run this in a clone of the project"},
		{"output", ".", t.Context(), []string{"-o", blocked}, 1, "making the folder of the release"},
		{"interrupted", ".", canceled, []string{"-o", filepath.Join(t.TempDir(), "out")}, 1, "interrupted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(tt.dir)
			var stdout, stderr bytes.Buffer
			code := run(tt.ctx, tt.args, &stdout, &stderr)
			if code != tt.code || !strings.Contains(stderr.String(), tt.want) || stdout.Len() > 0 {
				t.Errorf("exit code %d, want %d; standard error %q, want %q; standard output %q", code, tt.code, &stderr, tt.want, &stdout)
			}
			if code == 1 && strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("the error is not one line: %q", &stderr)
			}
		})
	}
}
