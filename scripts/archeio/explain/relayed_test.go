package explain

import (
	"bytes"
	"strings"
	"testing"

	"archeio/scripts/archeio/cli"
)

// TestRelayed tests what is said of an upstream that requires a token.
func TestRelayed(t *testing.T) {
	env := func(name string) string {
		return map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://registry-1.docker.io", "UPSTREAM_ACCESS": "token", "UPSTREAM_CLOUDS": "none"}[name]
	}
	for _, tt := range []struct{ path, want string }{
		{"/v2/nginx/manifests/1", "answer      200, relayed from https://registry-1.docker.io/v2/library/nginx/manifests/1\n"},
		{"/v2/nginx/blobs/" + digest, "answer      307 to the storage of the upstream, relayed from https://registry-1.docker.io/v2/library/nginx/blobs/" + digest + "\n"},
	} {
		var out, errs bytes.Buffer
		if code := cli.Run(t.Context(), command(env), []string{"-ip", "192.0.2.1", tt.path}, nil, &out, &errs); code != cli.ExitDone {
			t.Fatalf("exit code %d: %s", code, errs.String())
		}
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s:\n%s\nwant the line\n%s", tt.path, out.String(), tt.want)
		}
	}
}
