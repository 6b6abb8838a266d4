package main

import (
	"os"
	"testing"
)

func TestResidentIn(t *testing.T) {
	for _, tt := range []struct {
		name, status string
		want         int
		fails        bool
	}{
		{"as-linux-writes-it", "Name:\tbootstrap\nVmPeak:\t 1234567 kB\nVmRSS:\t   12840 kB\nRssAnon:\t    1 kB\n", 12840, false},
		{"a-zombie-has-none", "Name:\tbootstrap\nState:\tZ (zombie)\n", 0, true},
		{"no-number", "VmRSS:\t many kB\n", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := residentIn(tt.status)
			if got != tt.want || (err != nil) != tt.fails {
				t.Errorf("%d, %v", got, err)
			}
		})
	}
	if kb, err := resident(os.Getpid()); err != nil || kb < 1024 {
		t.Errorf("this process has %d kB, %v", kb, err)
	}
	if _, err := resident(-1); err == nil {
		t.Error("a process that is not there has memory")
	}
}

// steady is a curve that warms up in its first part.
func steady(n, start, warm, end int) curve {
	c := make(curve, n)
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
	leak := make(curve, 200)
	for i := range leak {
		leak[i] = 12000 + i*50
	}
	spike := steady(200, 6000, 12000, 12000)
	spike[199] = 40000 // one reading is no growth
	for _, tt := range []struct {
		name string
		c    curve
		want bool
	}{
		{"steady", steady(200, 6000, 12000, 12000), true},
		{"warming-up-is-no-growth", steady(200, 1000, 12000, 12500), true},
		{"within-the-margin", steady(200, 6000, 12000, 12000+growth), true},
		{"above-the-margin", steady(200, 6000, 12000, 12001+growth), false},
		{"leak", leak, false},
		{"shrinks", steady(200, 6000, 12000, 8000), true},
		{"one-high-reading", spike, true},
		{"nothing-read", nil, false},
		{"read-once", curve{1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.c.flat(); got != tt.want {
				t.Errorf("flat: %v, %d kB when warm, %d kB at the end", got, tt.c.at(warmUp), tt.c.at(1))
			}
		})
	}
}

func TestSparkline(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []int
		width  int
		want   string
	}{
		{"rises", []int{0, 1, 2, 3, 4, 5, 6, 7}, 8, "▁▂▃▄▅▆▇█"},
		{"fewer-than-it-is-wide", []int{7, 0}, 60, "█▁"},
		{"more-than-it-is-wide-shows-the-highest", []int{0, 7, 0, 0}, 2, "█▁"},
		{"nothing-but-zeros", []int{0, 0}, 2, "▁▁"},
		{"below-zero", []int{-5, 7}, 2, "▁█"},
		{"none", nil, 60, ""},
		{"no-width", []int{1}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := sparkline(tt.values, tt.width); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
