package bucket

import (
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	for _, tt := range []struct {
		name        string
		rate, burst float64
		owed        int
		after       []time.Duration // of each call of Take, since start
		want        string          // 1 for a token
	}{
		{"off", 0, 5, 0, []time.Duration{0, time.Hour}, "00"},
		{"one-second", 2, 0, 0, []time.Duration{0, 0, 0, time.Second, time.Second, time.Second}, "110110"},
		{"less-than-one", 0.5, 0, 0, []time.Duration{0, time.Second, 2 * time.Second}, "101"},
		{"burst", 1, 3, 0, []time.Duration{0, 0, 0, 0, time.Minute, time.Minute, time.Minute, time.Minute}, "11101110"},
		{"owed", 1, 1, 2, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}, "1001"},
		{"backwards", 1, 1, 0, []time.Duration{time.Minute, 0, time.Second}, "100"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := Bucket{Rate: tt.rate, Burst: tt.burst}
			got := ""
			for i, after := range tt.after {
				if b.Take(start.Add(after)) {
					got += "1"
				} else {
					got += "0"
				}
				for range tt.owed * (1 - min(i, 1)) {
					b.Owe()
				}
			}
			if got != tt.want {
				t.Errorf("tokens %s, want %s", got, tt.want)
			}
		})
	}
}

func TestPutBack(t *testing.T) {
	t.Parallel()
	b := Bucket{Rate: 1}
	now := time.Unix(1000, 0)
	if !b.Take(now) {
		t.Fatal("no token")
	}
	b.PutBack()
	if !b.Take(now) {
		t.Error("no token after PutBack")
	}
}
