package copier

import (
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name, header string
		want         time.Duration
		ok           bool
	}{
		{"seconds", "7", 7 * time.Second, true},
		{"zero", "0", 0, true},
		{"date", "Fri, 02 Jan 2026 03:04:35 GMT", 30 * time.Second, true},
		{"past", "Fri, 02 Jan 2026 03:04:00 GMT", 0, true},
		{"negative", "-1", 0, false},
		{"none", "", 0, false},
		{"nonsense", "soon", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := retryAfter(tt.header, now); got != tt.want || ok != tt.ok {
				t.Errorf("%v, %v, want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}
