package terminal

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNotATerminal(t *testing.T) {
	t.Parallel()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if Is(file) || Is(&bytes.Buffer{}) || Colors(file) {
		t.Error("a file or a buffer is reported as a terminal")
	}
	if w := Width(file); w != 80 {
		t.Errorf("the width of a file is %d, want 80", w)
	}
}

func TestPaint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		enabled bool
		text    string
		want    string
	}{
		{"enabled", true, "FAIL", "\x1b[31mFAIL\x1b[0m"},
		{"disabled", false, "FAIL", "FAIL"},
		{"empty", true, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Paint(tt.enabled, Red, tt.text); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		inPlace bool
		width   int
		want    string
	}{
		{"lines", false, 80, "   0.0s  building\n   0.3s  starting\n"},
		{"in-place", true, 80, strings.Join([]string{
			"   0.0s  building", "   0.1s  building", "   0.2s  building", "   0.3s  starting", "   0.3s  starting", "",
		}, "\r\x1b[K")},
		{"narrow", true, 12, strings.Join([]string{
			"   0.0s  bu", "   0.1s  bu", "   0.2s  bu", "   0.3s  st", "   0.3s  st", "",
		}, "\r\x1b[K")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				p := newProgress(&out, tt.inPlace, tt.width)
				p.Step("building")
				time.Sleep(260 * time.Millisecond) // of the fake clock
				p.Step("starting")
				time.Sleep(100 * time.Millisecond)
				p.Done()
				p.Done() // has no effect
				synctest.Wait()
				time.Sleep(time.Second)
				if got := strings.TrimPrefix(out.String(), "\r\x1b[K"); got != tt.want {
					t.Errorf("printed\n%q, want\n%q", got, tt.want)
				}
			})
		})
	}
}
