package copier

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"archeio/lambda/registry"
)

func init() { maxBelow = 1500 }

// TestQueueGrowth tests that the queue grows with what a source has, and not with what
// its listings name.
func TestQueueGrowth(t *testing.T) {
	t.Parallel()
	many := make([]string, 400)
	for i := range many {
		many[i] = fmt.Sprintf(`"child-%d"`, i)
	}
	for _, tt := range []struct {
		name string
		list func(repository string) string // JSON, empty for 404
		sent int                            // messages at most
		dead int
	}{
		{"many-that-do-not-exist", func(repository string) string {
			if repository == "team" {
				return `{"child":[` + strings.Join(many, ",") + `],"manifest":{},"tags":[]}`
			}
			return ""
		}, 1, 0},
		{"the-same-again-and-again", func(repository string) string {
			if repository == "team" {
				return `{"child":["a"` + strings.Repeat(`,"a"`, 5000) + `],"manifest":{},"tags":[]}`
			}
			return ""
		}, 1, 0},
		// Each has itself as a child: names get longer and longer.
		{"cycle", func(string) string { return `{"child":["x"],"manifest":{},"tags":[]}` }, 1, 1},
		{"tree", func(string) string { return `{"child":["a","b","c","d"],"manifest":{},"tags":[]}` }, 5, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := startHub(t)
			h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				repository, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v2/"), "/tags/list")
				if !ok {
					return false
				}
				text := tt.list(repository)
				if text == "" {
					w.WriteHeader(http.StatusNotFound)
					text = `{"errors":[{"code":"NAME_UNKNOWN"}]}`
				}
				fmt.Fprint(w, text)
				return true
			})
			d := deploy(t, nil, &Filler{Source: h.source(t, "team", registry.Options{})})
			d.fill(t)
			// The end of the round is one more message.
			if d.queue.sent > tt.sent+1 || len(d.queue.dead) != tt.dead {
				t.Errorf("%d messages, want at most %d; dead letters %q, want %d", d.queue.sent, tt.sent, d.queue.dead, tt.dead)
			}
			if n := len(h.requests()); n > 6*(maxBelow+10) {
				t.Errorf("%d requests", n)
			}
		})
	}
}
