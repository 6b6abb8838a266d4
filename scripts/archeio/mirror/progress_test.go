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
	const bucket = "copying to archeio-sandbox-123456789012-eu-central-1-an"
	large := copier.Progress{Phase: bucket, Done: 12345, Total: 123456, Bytes: 1_200_000_000, TotalBytes: 33_400_000_000}
	for _, tt := range []struct {
		name    string
		p       copier.Progress
		rate    float64
		retries int64
		width   int
		want    string
	}{
		{"plain", copier.Progress{Phase: "reading repositories", Done: 3, Total: 7}, 0, 0, 0, "reading repositories: 3 of 7"},
		{"plain-with-bytes", copier.Progress{Phase: "hashing", Done: 1, Total: 2, Bytes: 25_000_000, TotalBytes: 100_000_000}, 5e6, 0, 0,
			"hashing: 1 of 2, 25.0 MB of 100.0 MB, 5.0 MB/s, 15s left"},
		{"plain-with-retries", copier.Progress{Phase: "reading repositories", Done: 3, Total: 7}, 0, 2, 0, "reading repositories: 3 of 7, 2 retries"},
		{"early", copier.Progress{Phase: "reading repositories", Done: 3, Total: 7, Bytes: 25_000_000, TotalBytes: 100_000_000, Growing: true}, 5e6, 1, 0,
			"reading repositories: 3 of 7, copied 25.0 MB of 100.0 MB so far, 5.0 MB/s, 1 retry"},
		{"hashing", copier.Progress{Phase: "hashing", Done: 3, Total: 7, Bytes: 25_000_000, TotalBytes: 100_000_000, Growing: true}, 5e6, 0, 0,
			"hashing: 3 of 7, 25.0 MB of 100.0 MB so far, 5.0 MB/s"},
		{"early-bar-of-repositories", copier.Progress{Phase: "reading", Done: 1, Total: 2, Bytes: 25, TotalBytes: 100, Growing: true}, 5, 0, 100,
			"[##########----------] reading: 1 of 2, copied 25 B of 100 B so far, 5 B/s"},
		{"bar", copier.Progress{Phase: "reading repositories", Done: 1, Total: 4}, 0, 0, 80, "[#####---------------] reading repositories: 1 of 4"},
		{"bar-of-bytes", copier.Progress{Phase: "copying to x", Done: 9, Total: 10, Bytes: 50, TotalBytes: 100}, 5, 0, 80,
			"[##########----------] copying to x: 9 of 10, 50 B of 100 B, 5 B/s, 10s left"},
		{"bar-at-the-beginning", copier.Progress{Phase: "hashing", Total: 2, TotalBytes: 100}, 0, 0, 80, "[--------------------] hashing: 0 of 2, 0 B of 100 B, 0 B/s"},
		{"bar-at-the-end", copier.Progress{Phase: "hashing", Done: 2, Total: 2, Bytes: 100, TotalBytes: 100}, 100, 0, 80,
			"[####################] hashing: 2 of 2, 100 B of 100 B, 100 B/s, 0s left"},
		{"bar-of-nothing", copier.Progress{Phase: "listing"}, 0, 0, 80, "[--------------------] listing: 0 of 0"},
		// A schema 1 layer has no size before it is copied.
		{"bar-beyond-the-end", copier.Progress{Phase: "x", Done: 2, Total: 2, Bytes: 120, TotalBytes: 100}, 120, 0, 80, "[####################] x: 2 of 2, 120 B of 100 B, 120 B/s, 0s left"},
		{"bar-that-just-fits", copier.Progress{Phase: "listing"}, 0, 0, 40, "[--------------------] listing: 0 of 0"},
		{"without-a-bar", copier.Progress{Phase: "listing"}, 0, 0, 38, "listing: 0 of 0"},
		{"phase-cut-off", large, 12.3e6, 3, 80, "copying: 12345 of 123456, 1.2 GB of 33.4 GB, 12.3 MB/s, 43m38s left, 3 retries"},
		{"only-numbers", large, 12.3e6, 3, 70, "12345 of 123456, 1.2 GB of 33.4 GB, 12.3 MB/s, 43m38s left, 3 retries"},
		{"cut-off", large, 12.3e6, 3, 12, "12345 of 12"},
		{"one-column", large, 12.3e6, 3, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := line(tt.p, tt.rate, tt.retries, tt.width); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestRate tests that the rate is that of the last seconds.
func TestRate(t *testing.T) {
	t.Parallel()
	var r rate
	began := time.Now()
	for _, tt := range []struct {
		name   string
		second int
		bytes  int64
		want   float64
	}{
		{"first", 0, 1000, 0},
		{"second", 1, 1100, 100},
		{"average", 5, 1900, 180},
		{"window", 20, 1900, 0},
		{"again", 22, 2020, 120.0 / 17},
		{"another-phase", 23, 0, 0},
	} {
		if got := r.add(began.Add(time.Duration(tt.second)*time.Second), tt.bytes); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		width int
		want  string
	}{
		{"terminal", 80, clearLine + "[##########----------] x: 1 of 2" + clearLine + "archeio mirror: note\n" + clearLine + "[####################] x: 2 of 2, 1 retry" + clearLine},
		{"pipe", 0, "x: 1 of 2\narcheio mirror: note\nx: 2 of 2, 1 retry\n"},
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
				p.retried()
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
