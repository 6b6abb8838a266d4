package pace

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// drip delivers some bytes after each pause.
type drip struct {
	pause time.Duration
	bytes int
}

func (d drip) Read(p []byte) (int, error) {
	time.Sleep(d.pause)
	return min(d.bytes, len(p)), nil
}

func (drip) Close() error { return nil }

// TestReaderSlow tests that a stream of next to no bytes ends, and a slow one
// does not.
func TestReaderSlow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		bytes int // every 50 seconds
		want  error
		after time.Duration
	}{
		{"trickle", 1, ErrSlow, 650 * time.Second},
		{"slow", 50 * slowest, io.EOF, 2 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				r := NewReader(ctx, cancel, drip{50 * time.Second, tt.bytes}, Limiter(0, Burst))
				defer r.Close()
				began := time.Now()
				var err error
				for err == nil && time.Since(began) < 2*time.Hour {
					_, err = r.Read(make([]byte, Burst))
				}
				if tt.want == io.EOF && err != nil || tt.want == ErrSlow && (!errors.Is(err, ErrSlow) || time.Since(began) != tt.after) {
					t.Errorf("error %v after %v, want %v after %v", err, time.Since(began), tt.want, tt.after)
				}
			})
		})
	}
}
