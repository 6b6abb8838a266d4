package ranges

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"archeio/infra/stage"
	"archeio/scripts/archeio/cli"
)

const stages = `{"context": {"stages": {"test": {"account": "123456789012", "mirrors": ["eu-west-1"], "redirectors": ["eu-west-1"],
	"upstream": {"endpoint": "https://us-docker.pkg.dev", "path": "project/images"}},
	"fixed": {"account": "123456789012", "mirrors": ["eu-west-1"], "redirectors": ["eu-west-1"], "rangesRefresh": "none",
	"upstream": {"endpoint": "https://us-docker.pkg.dev", "path": "project/images"}}}}}`

// The commands invoke the refresher of the stage, and print its result or its error.
func TestInvokes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(file, []byte(stages), 0o600); err != nil {
		t.Fatal(err)
	}
	response := `{"outcome":"published","id":"20261126T063000Z-k3vq","notes":["approved\u001b"],"text":"CLOUD\n"}`
	for _, tt := range []struct {
		name    string
		command func(invokeFunc) *cobra.Command
		args    []string
		err     error // of the function
		payload string
		code    int
		want    string // a part of the output
	}{
		{"refresh", refreshCommand, []string{"-stage", "test"}, nil, `{"ranges":"refresh"}`, 0, "published 20261126T063000Z-k3vq\nnote: approved\\x1b\n\nCLOUD\n"},
		{"approve", approveCommand, []string{"-stage", "test", "20261126T063000Z-k3vq"}, nil, `{"id":"20261126T063000Z-k3vq","ranges":"approve"}`, 0, "published"},
		{"approve-without-id", approveCommand, []string{"-stage", "test"}, nil, "", 2, "ID: that of the table"},
		{"approve-two", approveCommand, []string{"-stage", "test", "a", "b"}, nil, "", 2, "b"},
		{"rollback", rollbackCommand, []string{"-stage", "test"}, nil, `{"ranges":"rollback"}`, 0, "published"},
		{"rollback-to", rollbackCommand, []string{"-stage", "test", "x"}, nil, `{"id":"x","ranges":"rollback"}`, 0, "published"},
		{"json", rollbackCommand, []string{"-stage", "test", "-json"}, nil, `{"ranges":"rollback"}`, 0, response},
		{"failed", refreshCommand, []string{"-stage", "test"}, errors.New("approving \"x\": no table waits"), `{"ranges":"refresh"}`, 1, "no table waits"},
		{"no-stage", refreshCommand, nil, nil, "", 2, "missing -stage NAME"},
		{"not-refreshed", refreshCommand, []string{"-stage", "fixed"}, nil, "", 2, "rangesRefresh is none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			c := tt.command(func(_ context.Context, s *stage.Stage, payload []byte) ([]byte, error) {
				got = string(payload)
				if s.Name != "test" || s.RefreshFunction() != "archeio-test-refresh" {
					t.Errorf("stage %q, function %q", s.Name, s.RefreshFunction())
				}
				return []byte(response), tt.err
			})
			var out, errs strings.Builder
			code := cli.Run(t.Context(), c, append([]string{"-file", file}, tt.args...), strings.NewReader(""), &out, &errs)
			if all := out.String() + errs.String(); code != tt.code || got != tt.payload || !strings.Contains(all, tt.want) {
				t.Errorf("exit code %d, payload %s, output %q; want %d, %s and %q", code, got, all, tt.code, tt.payload, tt.want)
			}
		})
	}
}
