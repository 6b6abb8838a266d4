package mirror

import (
	"net/http"
	"runtime/debug"
	"strings"
	"testing"

	"archeio/scripts/archeio/cli"
)

// TestMemoryLimit tests that the commands that read a whole source limit their memory,
// unless the environment does. It changes that of the process, so it is not parallel.
func TestMemoryLimit(t *testing.T) {
	// Nothing may be read, so that the commands end at once.
	server := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_S3": server, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"} {
		t.Setenv(name, value)
	}
	const unlimited = 1 << 40
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	for _, command := range []string{"plan", "copy", "status", "prune"} {
		for environment, want := range map[string]int64{"": 340 << 20, "500MiB": unlimited} {
			t.Setenv("GOMEMLIMIT", environment)
			debug.SetMemoryLimit(unlimited)
			code, _, stderr := run(t, command, "-source", strings.TrimPrefix(server, "http://"), "-bucket", "a@us-east-1", "-state", t.TempDir())
			// The bucket and the source are read at the same time.
			denied := strings.Contains(stderr, "access denied") || strings.Contains(stderr, "insufficient credentials")
			if got := debug.SetMemoryLimit(-1); code != cli.ExitProblem || !denied || got != want {
				t.Errorf("%s with GOMEMLIMIT=%q: limit %d, want %d; exit code %d, %q", command, environment, got, want, code, stderr)
			}
		}
	}
}
