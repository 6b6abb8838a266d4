package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"archeio/scripts/archeio/cli"
)

// TestMain makes the program available as archeio: to scripts, and in PATH.
func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"archeio": main}) }

// TestScripts runs testdata/*.txtar. The scripts have no AWS credentials. They may
// use the command "exits CODE COMMAND …", which runs a command and checks its exit
// code.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGS]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code, err := exitCode(ts.Exec(args[1], args[2:]...))
	ts.Check(err)
	if code != want {
		ts.Fatalf("exit code %d, want %d\n[stdout]\n%s[stderr]\n%s", code, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// exitCode returns the exit code of a command that returned err.
func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	}
	return 0, err
}

// A command that is interrupted while it waits exits with 130.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	requested := make(chan struct{}, 1)
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requested <- struct{}{}
		<-r.Context().Done()
	}))
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "cdk.json")
	stages := `{"context": {"stages": {"test": {"account": "123456789012", "mirrors": ["eu-west-1"], "redirectors": ["eu-west-1"], "upstream": {"endpoint": "` + upstream.URL + `"}}}}}`
	if err := os.WriteFile(file, []byte(stages), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	c := exec.CommandContext(t.Context(), "archeio", "preflight", "-file", file, "-stage", "test")
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	<-requested
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	code, err := exitCode(c.Wait())
	if err != nil || code != cli.ExitInterrupted || stdout.String() != "" || stderr.String() != "archeio preflight: interrupted\n" {
		t.Errorf("%v, exit code %d, stdout %q, stderr %q", err, code, &stdout, &stderr)
	}
}

// Each command has a description and an example for its help, and each flag a usage
// that does not repeat its placeholder.
func TestCommandsAreDocumented(t *testing.T) {
	t.Parallel()
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		if first, _ := utf8.DecodeRuneInString(c.Short); !unicode.IsLower(first) {
			t.Errorf("%s: short description %q, want one in lower case", c.CommandPath(), c.Short)
		}
		if first, _ := utf8.DecodeRuneInString(c.Long); c.HasParent() && !unicode.IsUpper(first) {
			t.Errorf("%s: description %q, want a sentence", c.CommandPath(), c.Long)
		}
		if c.Example == "" {
			t.Errorf("the help of %s has no example", c.CommandPath())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			placeholder := strings.Join(f.Annotations["placeholder"], "")
			switch {
			case strings.Contains(f.Usage, "`"):
				t.Errorf("%s -%s: back-quote in %q", c.CommandPath(), f.Name, f.Usage)
			case placeholder == "" && f.Value.Type() != "bool":
				t.Errorf("%s -%s: no placeholder in %q", c.CommandPath(), f.Name, f.Usage)
			case placeholder != "" && placeholder != "GB" && placeholder != "MB" && slices.Contains(strings.Fields(f.Usage), placeholder):
				t.Errorf("%s -%s: %q repeats the placeholder %s", c.CommandPath(), f.Name, f.Usage, placeholder)
			}
		})
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	r := root()
	cli.Prepare(r)
	check(r)
}
