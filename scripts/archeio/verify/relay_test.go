package verify

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"archeio/scripts/archeio/cli"
)

// TestRelayingStage checks a stage that relays, and what may be wrong with its edge.
func TestRelayingStage(t *testing.T) {
	t.Parallel()
	text := strings.Replace(strings.Replace(stageJSON, `"both"`, `"cloudfront"`, 1), `"path": "images"`, `"path": "images", "access": "token"`, 1)
	for _, tt := range []struct {
		name    string
		change  func(*world)
		failed  []string
		details string
	}{
		{"right", func(*world) {}, nil, "a relayed manifest is served from a cache, whatever its query"},
		{"query-in-the-key", func(w *world) { w.keepsQuery = true }, []string{"relayed manifest"}, "five requests for one manifest were not served from a cache"},
		{"empty-HEAD", func(w *world) { w.emptyHEAD = true }, []string{"relayed HEAD"}, `has Content-Length "0" and the digest "sha256:`},
		{"upstream-fails", func(w *world) { w.upstreamStatus = http.StatusServiceUnavailable }, []string{"escaped path", "pull", "relayed HEAD", "relayed manifest"}, "a manifest returns status 502"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, text)
			tt.change(w)
			got := verify(t, t.Context(), w, text, all...)
			if failed := withResult(table(t, got.stdout), cli.Fail); !slices.Equal(failed, tt.failed) || !strings.Contains(got.stdout, tt.details) {
				t.Errorf("failed: %q, want %q, with %q in\n%s", failed, tt.failed, tt.details, got.stdout)
			}
		})
	}
}
