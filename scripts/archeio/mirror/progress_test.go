package mirror

func TestProgress(t *testing.T) {
	for _, tt := range []struct {
		name  string
		p     copier.Progress
		since time.Duration
		bar   bool
		want  string
	}{
		{"plain", copier.Progress{Phase: "reading repositories", Done: 3, Total: 7}, time.Second, false, "reading repositories: 3 of 7"},
		{"plain-with-bytes", copier.Progress{Phase: "hashing", Done: 1, Total: 2, Bytes: 25_000_000, TotalBytes: 100_000_000}, 5 * time.Second, false,
			"hashing: 1 of 2, 25.0 MB of 100.0 MB, 5.0 MB/s, 15s left"},
		{"bar", copier.Progress{Phase: "reading repositories", Done: 1, Total: 4}, time.Second, true, "[#####---------------] reading repositories: 1 of 4"},
		{"bar-of-bytes", copier.Progress{Phase: "copying to x", Done: 9, Total: 10, Bytes: 50, TotalBytes: 100}, 10 * time.Second, true,
			"[##########----------] copying to x: 9 of 10, 50 B of 100 B, 5 B/s, 10s left"},
		{"bar-at-the-beginning", copier.Progress{Phase: "hashing", Total: 2, TotalBytes: 100}, 0, true, "[--------------------] hashing: 0 of 2, 0 B of 100 B, 0 B/s"},
		{"bar-at-the-end", copier.Progress{Phase: "hashing", Done: 2, Total: 2, Bytes: 100, TotalBytes: 100}, time.Second, true,
			"[####################] hashing: 2 of 2, 100 B of 100 B, 100 B/s, 0s left"},
		{"bar-of-nothing", copier.Progress{Phase: "listing"}, 0, true, "[--------------------] listing: 0 of 0"},
		// A schema 1 layer has no size before it is copied.
		{"bar-beyond-the-end", copier.Progress{Phase: "x", Done: 2, Total: 2, Bytes: 120, TotalBytes: 100}, time.Second, true, "[####################] x: 2 of 2, 120 B of 100 B, 120 B/s, 0s left"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := line(tt.p, tt.since, tt.bar); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	t.Run("terminal", func(t *testing.T) {
		var out bytes.Buffer
		s := &show{out: &out, terminal: true}
		s.progress(copier.Progress{Phase: "x", Done: 1, Total: 2})
		s.progress(copier.Progress{Phase: "x", Done: 2, Total: 2}) // too soon
		s.clear()
		if want := "\r\x1b[K[##########----------] x: 1 of 2\r\x1b[K"; out.String() != want {
			t.Errorf("%q, want %q", &out, want)
		}
	})
	t.Run("pipe", func(t *testing.T) {
		var out bytes.Buffer
		s := newShow(&out)
		s.progress(copier.Progress{Phase: "x", Done: 0, Total: 2}) // what is quick shows nothing
		s.last = s.last.Add(-10 * time.Second)
		s.progress(copier.Progress{Phase: "x", Done: 1, Total: 2})
		s.clear()
		if want := "x: 1 of 2\n"; out.String() != want {
			t.Errorf("%q, want %q", &out, want)
		}
	})
}

