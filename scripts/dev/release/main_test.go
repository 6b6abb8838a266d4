package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"archeio/lambda/build"
)

// fresh is the variable with which TestReproducible builds everything.
const fresh = "RELEASE_TEST_FRESH"

// TestReproducible builds a release from two copies of the source in different
// folders and with different environments: the archives must be the same to the
// byte. It builds one function, from what is already compiled. With
// RELEASE_TEST_FRESH set it builds everything, and compiles it again for the second
// release, which takes minutes: "make prove-all" does.
func TestReproducible(t *testing.T) {
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	first, second := filepath.Join(base, "a"), filepath.Join(base, "another", "folder")
	copySource(t, root, first, 0o644)
	copySource(t, first, second, 0o600)
	here := target{runtime.GOOS, runtime.GOARCH}
	all := items()
	if os.Getenv(fresh) == "" {
		one := slices.IndexFunc(all, func(x item) bool { return x.target == target{"linux", here.goarch} })
		t.Logf("%d of %d archives are left out, and nothing is compiled twice: make prove-all sets %s=1", len(all)-1, len(all), fresh)
		all = all[one : one+1]
	}
	sums := make([]string, 2)
	for i, dir := range []string{first, second} {
		t.Chdir(dir)
		if i == 1 {
			t.Setenv("GOAMD64", "v3")
			t.Setenv("GOARM64", "v9.0")
			t.Setenv("GOFLAGS", "-tags=other")
			t.Setenv("GOENV", "")
			t.Setenv("TZ", "Asia/Kathmandu")
			if os.Getenv(fresh) != "" {
				t.Setenv("GOCACHE", t.TempDir())
			}
		}
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"-bom=false", "-commit", "0123abcd"}, all, &stdout, &stderr); code != 0 {
			t.Fatalf("exit code %d: %s", code, &stderr)
		}
		sums[i] = stdout.String()
		for _, x := range all {
			name := x.name + x.ending
			data, err := os.ReadFile(filepath.Join(dir, ".build", "release", name))
			if err != nil {
				t.Fatal(err)
			}
			if line := fmt.Sprintf("%x  %s\n", sha256.Sum256(data), name); !strings.Contains(sums[i], line) {
				t.Errorf("the sums have no line %q", line)
			}
			if step := fmt.Sprintf("building %s (", x.name); !strings.Contains(stderr.String(), step) {
				t.Errorf("no progress %q in\n%s", step, &stderr)
			}
			if x.pkg == programPackage && x.target == here {
				checkProgram(t, data)
			}
		}
		written, err := os.ReadFile(filepath.Join(dir, ".build", "release", "SHA256SUMS"))
		if err != nil || string(written) != sums[i] {
			t.Errorf("SHA256SUMS has\n%s, printed was\n%s, error %v", written, sums[i], err)
		}
	}
	if sums[0] != sums[1] || strings.Count(sums[0], "\n") != len(all) {
		t.Errorf("two builds of the same source:\n%s\n%s", sums[0], sums[1])
	}
}

// checkProgram runs the program in an archive, which must report its commit.
func checkProgram(t *testing.T, archive []byte) {
	t.Helper()
	files, err := readTar(archive)
	if err != nil || len(files) != 1 || files[0].name != "archeio" {
		t.Fatalf("%d files, error %v; want archeio only", len(files), err)
	}
	file := filepath.Join(t.TempDir(), "archeio")
	if err := os.WriteFile(file, []byte(files[0].data), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(file, "version", "-json").CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"commit": "0123abcd"`) {
		t.Errorf("archeio version -json: %s, error %v; want the commit 0123abcd", out, err)
	}
}

// copySource copies what a release is built from.
func copySource(t *testing.T, from, to string, mode fs.FileMode) {
	t.Helper()
	for _, part := range []string{"go.mod", "go.sum", "lambda", "ranges", "infra", "scripts"} {
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

// TestItems holds what a release consists of.
func TestItems(t *testing.T) {
	t.Parallel()
	var names []string
	for _, x := range items() {
		names = append(names, x.name+x.ending)
	}
	want := "archeio-linux-amd64.tar.gz archeio-linux-arm64.tar.gz archeio-darwin-amd64.tar.gz archeio-darwin-arm64.tar.gz"
	for _, function := range slices.Backward(build.Functions[:]) {
		want = function + "-arm64.zip " + function + "-x86_64.zip " + want
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("the release has %s, want %s", got, want)
	}
}

// TestEmpty checks that an earlier release is removed, and nothing else.
func TestEmpty(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"SHA256SUMS", "old-arm64.zip", "old-arm64.cdx.json", "old-linux-arm64.tar.gz", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := empty(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != "notes.txt" {
		t.Errorf("left are %v, error %v; want notes.txt", left, err)
	}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	file := filepath.Join(dir, "file")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := commit(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "use -commit") {
		t.Errorf("error %v outside of a git clone, want one that says what to do", err)
	}
	git("init", "-q")
	write("1")
	git("add", "file")
	git("commit", "-q", "-m", "one")
	git("tag", "v1.0.0")
	head := git("rev-parse", "HEAD")
	if got, err := commit(t.Context(), dir); err != nil || got != head {
		t.Errorf("commit %q, error %v; want %q", got, err, head)
	}
	write("2")
	if got, err := commit(t.Context(), dir); err != nil || got != head+"-modified" {
		t.Errorf("commit %q, error %v; want %q", got, err, head+"-modified")
	}
}

func TestUsage(t *testing.T) {
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, dir string
		ctx       context.Context
		args      []string
		code      int
		stdout    string // a part of it
		stderr    string
	}{
		{"help", ".", t.Context(), []string{"-h"}, 0, "Usage: go run ./scripts/dev/release [flags]", ""},
		{"flag", ".", t.Context(), []string{"-x"}, 2, "", "not defined: -x; see -h"},
		{"argument", ".", t.Context(), []string{"all"}, 2, "", `unexpected argument "all"`},
		{"elsewhere", os.TempDir(), t.Context(), nil, 1, "", "run this in a clone of the project"},
		{"output", ".", t.Context(), []string{"-o", file}, 1, "", "creating the folder of the release"},
		{"interrupted", ".", interrupted, []string{"-o", filepath.Join(t.TempDir(), "out")}, 130, "", "interrupted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(tt.dir)
			var stdout, stderr bytes.Buffer
			code := run(tt.ctx, tt.args, items(), &stdout, &stderr)
			if code != tt.code || !strings.Contains(stderr.String(), tt.stderr) || !strings.Contains(stdout.String(), tt.stdout) {
				t.Errorf("exit code %d, want %d; standard error %q, want %q; standard output %q, want %q", code, tt.code, &stderr, tt.stderr, &stdout, tt.stdout)
			}
			if code != 0 && (strings.Count(stderr.String(), "\n") != 1 || stdout.Len() > 0) {
				t.Errorf("standard error %q, standard output %q; want one line and nothing", &stderr, &stdout)
			}
		})
	}
}
