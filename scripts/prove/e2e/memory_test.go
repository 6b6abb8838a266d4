package main

import (
	"os"
	"testing"
)

func TestParseMemory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, status string
		want         int
		invalid      bool
	}{
		{"linux", "Name:\tbootstrap\nVmPeak:\t 1234567 kB\nVmRSS:\t   12840 kB\nRssAnon:\t    1 kB\n", 12840, false},
		{"zombie", "Name:\tbootstrap\nState:\tZ (zombie)\n", 0, true},
		{"not-a-number", "VmRSS:\t many kB\n", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseMemory(tt.status, "VmRSS")
			if got != tt.want || (err != nil) != tt.invalid {
				t.Errorf("%d, error %v; want %d", got, err, tt.want)
			}
		})
	}
	if kb, err := residentMemory(os.Getpid()); err != nil || kb < 1024 {
		t.Errorf("this process has %d kB, error %v", kb, err)
	}
	now, _ := residentMemory(os.Getpid())
	if kb, err := peakMemory(os.Getpid()); err != nil || kb < now {
		t.Errorf("this process had at most %d kB, error %v, and has %d kB", kb, err, now)
	}
	if _, err := residentMemory(-1); err == nil {
		t.Error("a process that does not exist has memory")
	}
}

// steady returns a curve that warms up in its first part.
func steady(n, start, warm, end int) memoryCurve {
	c := make(memoryCurve, n)
	for i := range c {
		switch part := float64(i) / float64(n); {
		case part < 0.04:
			c[i] = start
		case part < 0.5:
			c[i] = warm
		default:
			c[i] = end
		}
	}
	return c
}

func TestFlat(t *testing.T) {
	t.Parallel()
	leak := make(memoryCurve, 200)
	for i := range leak {
		leak[i] = 12000 + i*50
	}
	spike := steady(200, 6000, 12000, 12000)
	spike[199] = 40000 // a single reading is not growth
	for _, tt := range []struct {
		name string
		c    memoryCurve
		want bool
	}{
		{"steady", steady(200, 6000, 12000, 12000), true},
		{"warming-up", steady(200, 1000, 12000, 12500), true},
		{"within-the-margin", steady(200, 6000, 12000, 12000+growth), true},
		{"above-the-margin", steady(200, 6000, 12000, 12001+growth), false},
		{"leak", leak, false},
		{"shrinks", steady(200, 6000, 12000, 8000), true},
		{"one-high-reading", spike, true},
		{"no-reading", nil, false},
		{"one-reading", memoryCurve{1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.c.flat(); got != tt.want {
				t.Errorf("flat: %v, %d kB when warm, %d kB at the end; want %v", got, tt.c.at(warmUp), tt.c.at(1), tt.want)
			}
		})
	}
}

func TestSparkline(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		values []int
		width  int
		want   string
	}{
		{"rises", []int{0, 1, 2, 3, 4, 5, 6, 7}, 8, "▁▂▃▄▅▆▇█"},
		{"fewer-than-the-width", []int{7, 0}, 60, "█▁"},
		{"more-than-the-width", []int{0, 7, 0, 0}, 2, "█▁"},
		{"zeros", []int{0, 0}, 2, "▁▁"},
		{"negative", []int{-5, 7}, 2, "▁█"},
		{"none", nil, 60, ""},
		{"no-width", []int{1}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := sparkline(tt.values, tt.width); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
