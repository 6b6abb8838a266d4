package mirror

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"archeio/lambda/copier"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		p     copier.Progress
		since time.Duration
		width int
		want  string
	}{
		{"plain", copier.Progress{Phase: "reading repositories", Done: 3, Total: 7}, time.Second, 0, "reading repositories: 3 of 7"},
		{"plain-with-bytes", copier.Progress{Phase: "hashing", Done: 1, Total: 2, Bytes: 25_000_000, TotalBytes: 100_000_000}, 5 * time.Second, 0,
			"hashing: 1 of 2, 25.0 MB of 100.0 MB, 5.0 MB/s, 15s left"},
		{"bar", copier.Progress{Phase: "reading repositories", Done: 1, Total: 4}, time.Second, 80, "[#####---------------] reading repositories: 1 of 4"},
		{"bar-of-bytes", copier.Progress{Phase: "copying to x", Done: 9, Total: 10, Bytes: 50, TotalBytes: 100}, 10 * time.Second, 80,
			"[##########----------] copying to x: 9 of 10, 50 B of 100 B, 5 B/s, 10s left"},
		{"bar-at-the-beginning", copier.Progress{Phase: "hashing", Total: 2, TotalBytes: 100}, 0, 80, "[--------------------] hashing: 0 of 2, 0 B of 100 B, 0 B/s"},
		{"bar-at-the-end", copier.Progress{Phase: "hashing", Done: 2, Total: 2, Bytes: 100, TotalBytes: 100}, time.Second, 80,
			"[####################] hashing: 2 of 2, 100 B of 100 B, 100 B/s, 0s left"},
		{"bar-of-nothing", copier.Progress{Phase: "listing"}, 0, 80, "[--------------------] listing: 0 of 0"},
		// A schema 1 layer has no size before it is copied.
		{"bar-beyond-the-end", copier.Progress{Phase: "x", Done: 2, Total: 2, Bytes: 120, TotalBytes: 100}, time.Second, 80, "[####################] x: 2 of 2, 120 B of 100 B, 120 B/s, 0s left"},
		{"bar-that-just-fits", copier.Progress{Phase: "listing"}, 0, 40, "[--------------------] listing: 0 of 0"},
		{"without-a-bar", copier.Progress{Phase: "listing"}, 0, 38, "listing: 0 of 0"},
		{"cut-off", copier.Progress{Phase: "reading repositories", Done: 1, Total: 4}, 0, 12, "reading rep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := line(tt.p, tt.since, tt.width); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		width int
		want  string
	}{
		{"terminal", 80, clearLine + "[##########----------] x: 1 of 2" + clearLine + "archeio mirror: note\n" + clearLine + "[####################] x: 2 of 2" + clearLine},
		{"pipe", 0, "x: 1 of 2\narcheio mirror: note\nx: 2 of 2\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				p := newProgress(&out, "archeio mirror")
				p.width = tt.width
				p.show(copier.Progress{Phase: "x", Total: 2}) // a quick command shows nothing
				time.Sleep(10 * time.Second)                  // of the bubble's clock
				p.show(copier.Progress{Phase: "x", Done: 1, Total: 2})
				p.show(copier.Progress{Phase: "x", Done: 2, Total: 2}) // too soon
				p.note("note")
				time.Sleep(10 * time.Second)
				p.show(copier.Progress{Phase: "x", Done: 2, Total: 2})
				p.clear()
				p.clear()
				if out.String() != tt.want {
					t.Errorf("%q, want %q", out.String(), tt.want)
				}
			})
		})
	}
}
