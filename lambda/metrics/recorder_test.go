package metrics

import (
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a clock that a test sets.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func (c *clock) advance(d time.Duration) { c.Time = c.Add(d) }

// writes records each write separately.
type writes struct{ texts []string }

func (w *writes) Write(p []byte) (int, error) {
	w.texts = append(w.texts, string(p))
	return len(p), nil
}

// take returns what was written since the last call.
func (w *writes) take() string {
	text := strings.Join(w.texts, "")
	w.texts = nil
	return text
}

func newRecorder() (*Recorder, *writes, *clock) {
	out, c := &writes{}, &clock{time.UnixMilli(1_700_000_000_123)}
	return NewRecorder(out, c.now), out, c
}

// request records an event that ends now.
func request(r *Recorder, kind, cloud, reason string, took time.Duration) {
	now := r.now()
	r.Request(kind, cloud, reason, now.Add(-took), now)
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, tt := range []struct {
		name  string
		count func(r *Recorder)
		want  map[string][]float64
	}{
		{"nothing", func(*Recorder) {}, map[string][]float64{}},
		{"request", func(r *Recorder) { request(r, "blob", "AWS", "aws-region", 1500*time.Microsecond) }, map[string][]float64{
			"Requests Kind=blob": {1}, "Requests Cloud=AWS": {1}, "Requests Reason=aws-region": {1}, "TotalLatency": {1.5},
		}},
		{"request-unknown", func(r *Recorder) { request(r, "", "", "refused", 0) }, map[string][]float64{
			"Requests Kind=unknown": {1}, "Requests Cloud=unknown": {1}, "Requests Reason=refused": {1}, "TotalLatency": {0},
		}},
		{"several", func(r *Recorder) {
			request(r, "blob", "AWS", "aws-region", ms)
			request(r, "blob", "GCP", "upstream-cloud", 2*ms)
			request(r, "manifest", "AWS", "manifest", 3*ms)
		}, map[string][]float64{
			"Requests Kind=blob": {2}, "Requests Kind=manifest": {1},
			"Requests Cloud=AWS": {2}, "Requests Cloud=GCP": {1},
			"Requests Reason=aws-region": {1}, "Requests Reason=upstream-cloud": {1}, "Requests Reason=manifest": {1},
			"TotalLatency": {1, 2, 3},
		}},
		{"checks", func(r *Recorder) {
			r.Check("eu-west-3", "present", 7*ms)
			r.Check("eu-west-3", "absent", 8*ms)
			r.Check("default", "absent", 9*ms)
			r.Check("eu-west-3", "absent", 1000*ms)
		}, map[string][]float64{
			"Checks Check=eu-west-3 present": {1}, "Checks Check=eu-west-3 absent": {2}, "Checks Check=default absent": {1},
			"CheckLatency": {7, 8, 9, 1000},
		}},
		{"index-contradicted", func(r *Recorder) {
			r.IndexContradicted("eu-west-3")
			r.IndexContradicted("default")
			r.IndexContradicted("eu-west-3")
			r.IndexDisabled("eu-west-3")
		}, map[string][]float64{
			"IndexContradicted Mirror=eu-west-3": {2}, "IndexContradicted Mirror=default": {1}, "IndexDisabled Mirror=eu-west-3": {1},
		}},
		{"unknown-clients", func(r *Recorder) { r.UnknownClient(); r.UnknownClient() }, map[string][]float64{"UnknownClients": {2}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, out, c := newRecorder()
			tt.count(r)
			r.Close()
			tt.want["ColdStarts"] = []float64{1}
			compare(t, c.Time, out.take(), tt.want)

			// Counts start from 0 after a write. A cold start is counted once.
			tt.count(r)
			c.advance(time.Hour)
			r.Close()
			delete(tt.want, "ColdStarts")
			compare(t, c.Time, out.take(), tt.want)

			r.Close()
			compare(t, c.Time, out.take(), nil)
		})
	}
}

// Lambda makes a log event of each write, so a line must not be split.
func TestLinesAreInOneWrite(t *testing.T) {
	t.Parallel()
	r, out, _ := newRecorder()
	request(r, "blob", "AWS", "aws-region", time.Millisecond)
	r.Check("default", "present", time.Millisecond)
	r.Flush()
	if len(out.texts) != 1 {
		t.Errorf("%d writes, want 1: %q", len(out.texts), out.texts)
	}
}

func TestInterval(t *testing.T) {
	t.Parallel()
	r, out, c := newRecorder()
	for _, step := range []struct {
		name string
		wait time.Duration
		want float64 // requests written, 0 for no output
	}{
		{"first", 0, 1},
		{"immediately", 0, 0},
		{"just-before", Interval - 1, 0},
		{"interval", 1, 3},
		{"since-the-last-write", Interval - 1, 0},
		{"long-after", time.Hour, 2},
	} {
		c.advance(step.wait)
		request(r, "blob", "AWS", "aws-region", time.Millisecond)
		r.Flush()
		text := out.take()
		var got float64
		if v := read(t, c.Time, text)["Requests Kind=blob"]; len(v) == 1 {
			got = v[0]
		}
		if got != step.want || (text == "") != (step.want == 0) {
			t.Errorf("%s: %v requests written, want %v; output %q", step.name, got, step.want, text)
		}
	}
	// Close writes at any time.
	request(r, "blob", "AWS", "aws-region", time.Millisecond)
	r.Close()
	if got := read(t, c.Time, out.take())["Requests Kind=blob"]; !slices.Equal(got, []float64{1}) {
		t.Errorf("Close wrote %v requests, want 1", got)
	}
}

func TestManyRequestsAreFewLines(t *testing.T) {
	t.Parallel()
	r, out, c := newRecorder()
	for _, run := range []string{"first", "second"} {
		t.Run(run, func(t *testing.T) {
			c.advance(Interval)
			for i := range 10_000 {
				request(r, "blob", "AWS", "aws-region", time.Duration(i)*time.Millisecond)
				r.Check("default", "present", time.Duration(i)*time.Millisecond)
			}
			r.Flush()
			text := out.take()
			if n := strings.Count(text, "\n"); n != 5 {
				t.Errorf("%d lines, want 3 for requests, 1 for checks and 1 for the rest", n)
			}
			all := read(t, c.Time, text)
			if n := all["Requests Kind=blob"]; !slices.Equal(n, []float64{10_000}) {
				t.Errorf("%v requests, want 10000", n)
			}
			for _, name := range []string{"CheckLatency", "TotalLatency"} {
				values := slices.Sorted(slices.Values(all[name]))
				if len(values) != 100 || len(slices.Compact(slices.Clone(values))) != 100 {
					t.Fatalf("%d values of %s, want 100 distinct ones", len(values), name)
				}
				// Within five standard deviations for a uniform sample; the first
				// or last hundred values are far outside.
				if median := values[50]; median < 2_500 || median > 7_500 {
					t.Errorf("median of %s is %v, want 2500 to 7500", name, median)
				}
			}
		})
	}
	// Few values are all kept, also after many.
	c.advance(Interval)
	request(r, "blob", "AWS", "aws-region", time.Second)
	r.Flush()
	if got := read(t, c.Time, out.take())["TotalLatency"]; !slices.Equal(got, []float64{1000}) {
		t.Errorf("TotalLatency %v, want 1000", got)
	}
}

func TestNilRecorder(t *testing.T) {
	t.Parallel()
	var r *Recorder
	r.Request("blob", "AWS", "aws-region", time.Time{}, time.Time{})
	r.UnknownClient()
	r.Check("default", "present", time.Second)
	r.Flush()
	r.Close()
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	const workers, each = 8, 500
	out := &writes{} // protected by the recorder's lock only
	var seconds atomic.Int64
	r := NewRecorder(out, func() time.Time { return time.Unix(seconds.Add(1), 0) })
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				request(r, "blob", "AWS", "aws-region", time.Millisecond)
				r.Check("default", "present", time.Millisecond)
				r.UnknownClient()
				r.Flush()
			}
		})
	}
	wg.Wait()
	r.Close()
	sums := map[string]float64{}
	for _, text := range out.texts {
		if text == "" {
			continue
		}
		var first struct {
			AWS struct{ Timestamp int64 } `json:"_aws"`
		}
		value(t, []byte(text[:strings.Index(text, "\n")]), &first)
		for name, values := range read(t, time.UnixMilli(first.AWS.Timestamp), text) {
			sums[name] += values[0]
		}
	}
	for name, want := range map[string]float64{
		"Requests Kind=blob": workers * each, "Requests Cloud=AWS": workers * each, "Requests Reason=aws-region": workers * each,
		"Checks Check=default present": workers * each, "UnknownClients": workers * each, "ColdStarts": 1,
	} {
		if sums[name] != want {
			t.Errorf("%s: %v in total, want %v", name, sums[name], want)
		}
	}
}

// A failed write loses only what it would have written.
func TestFailedWrite(t *testing.T) {
	t.Parallel()
	file, err := os.Create(t.TempDir() + "/closed")
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	reader, pipe := io.Pipe()
	reader.Close()
	for name, out := range map[string]io.Writer{"file": file, "pipe": pipe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good, c := &writes{}, &clock{time.UnixMilli(1)}
			r := NewRecorder(out, c.now)
			request(r, "blob", "AWS", "aws-region", time.Millisecond)
			r.Flush()
			r.out = good
			request(r, "manifest", "GCP", "manifest", time.Millisecond)
			r.Close()
			compare(t, c.Time, good.take(), map[string][]float64{
				"Requests Kind=manifest": {1}, "Requests Cloud=GCP": {1}, "Requests Reason=manifest": {1}, "TotalLatency": {1},
			})
		})
	}
}
