package stage

import (
	"math"
	"testing"
	"time"
)

// TestSchedule tests how often a schedule starts a run, and how old the blob index becomes
// between its runs.
func TestSchedule(t *testing.T) {
	t.Parallel()
	for schedule, want := range map[string]struct {
		perHour float64
		age     time.Duration // 0 if it does not run every day
	}{
		"rate(1 minute)":               {60, 631 * time.Minute},
		"rate(30 minutes)":             {2, 11 * time.Hour},
		"rate(57 minutes)":             {60. / 57, 684 * time.Minute},
		"rate(1 hour)":                 {1, 11 * time.Hour},
		"rate(4 hours)":                {0.25, 8 * time.Hour},
		"rate(11 hours)":               {1. / 11, 11 * time.Hour},
		"rate(2 days)":                 {1. / 48, 48 * time.Hour},
		"cron(0 6 * * ? *)":            {1. / 24, 24 * time.Hour},
		"cron(0,30 * * * ? *)":         {2, 11 * time.Hour},
		"cron(0,20 * * * ? *)":         {2, 11 * time.Hour},
		"cron(5 0/6 * * ? *)":          {4. / 24, 6 * time.Hour},
		"cron(0 0,5,10,15,20 ? * * *)": {5. / 24, 10 * time.Hour},
		"cron(0 8-17 * * ? *)":         {10. / 24, 24 * time.Hour},
		"cron(0/15 8-17 ? * 2-6 *)":    {40. / 24, 0},
		"cron(0 0/6 * * ? 2030)":       {4. / 24, 0},
		"cron(10-20/5 1,13 * * ? *)":   {6. / 24, 12 * time.Hour},
	} {
		f := &Filler{Schedule: schedule}
		if got := f.RunsPerHour(); math.Abs(got-want.perHour) > 1e-9 || !validSchedule(schedule) {
			t.Errorf("%s: %v runs per hour, want %v", schedule, got, want.perHour)
		}
		if got := indexAge(f.intervals()); got != want.age {
			t.Errorf("%s: the index is %s old, want %s", schedule, got, want.age)
		}
	}
}
