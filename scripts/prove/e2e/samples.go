package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// sample is one download of a blob, as the client saw it.
type sample struct {
	at      time.Time
	reason  string        // of the redirect
	latency time.Duration // of the entry point
	err     error
}

func (s sample) String() string {
	if s.err != nil {
		return "failed, " + s.err.Error()
	}
	return fmt.Sprintf("%s in %dms", s.reason, s.latency.Milliseconds())
}

// downloadTimeout is how long one download may take.
const downloadTimeout = 12 * time.Second

// download downloads one blob through the entry point.
func (t *testbed) download(ctx context.Context, digest string) (s sample) {
	s.at = time.Now()
	asking, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	resp, err := t.request(asking, t.entryPoint.url+"/v2/"+singleRepository+"/blobs/"+digest)
	s.latency = time.Since(s.at)
	if err != nil {
		s.err = err
		return s
	}
	resp.Body.Close()
	s.reason = resp.Header.Get("X-Redirect-Reason")
	to, err := resp.Location()
	if err != nil {
		s.err = fmt.Errorf("the entry point returned %s", resp.Status)
		return s
	}
	loading, cancel := context.WithTimeout(asking, t.blobTimeout)
	defer cancel()
	s.err = t.fetchBlob(loading, to.String(), digest)
	return s
}

func (t *testbed) fetchBlob(ctx context.Context, url, digest string) error {
	resp, err := t.request(ctx, url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return errors.New(resp.Status)
	}
	return checkDigest(body, digest)
}

func (t *testbed) request(ctx context.Context, url string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return t.transport.RoundTrip(r)
}

// watch downloads the blobs in turns, one every interval, until done reports
// true of the samples so far, and for limit at most. A download that this limit
// ends is no sample.
func (t *testbed) watch(ctx context.Context, interval, limit time.Duration, done func([]sample) bool) (samples []sample) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for i := 0; ; i++ {
		s := t.download(ctx, t.blobs[i%len(t.blobs)])
		if ctx.Err() != nil {
			return samples
		}
		if samples = append(samples, s); done(samples) {
			return samples
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return samples
		}
	}
}

// watchN downloads n blobs, one every interval.
func (t *testbed) watchN(ctx context.Context, interval time.Duration, n int) summary {
	return summarize(t.watch(ctx, interval, time.Minute, func(s []sample) bool { return len(s) >= n }))
}

// watchFor downloads one blob every interval, until duration has passed since
// began.
func (t *testbed) watchFor(ctx context.Context, interval time.Duration, began time.Time, duration time.Duration) summary {
	limit := max(0, duration-time.Since(began)) + 2*downloadTimeout
	return summarize(t.watch(ctx, interval, limit, func([]sample) bool { return time.Since(began) > duration }))
}

// pause waits between two requests.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// summary is a summary of samples.
type summary struct {
	ok, failed int
	reasons    map[string]int // of those that did not fail
	slowest    time.Duration
	// last is the last sample; lastFailed and err are those of the last that
	// failed.
	last       sample
	lastFailed time.Time
	err        error
}

func summarize(samples []sample) (s summary) {
	s.reasons = map[string]int{}
	for _, x := range samples {
		s.last, s.slowest = x, max(s.slowest, x.latency)
		if x.err != nil {
			s.failed++
			s.lastFailed, s.err = x.at, x.err
			continue
		}
		s.ok++
		s.reasons[x.reason]++
	}
	return s
}

// failedFor returns how long after began the last sample failed, 0 if none did.
func (s summary) failedFor(began time.Time) time.Duration {
	if s.failed == 0 {
		return 0
	}
	return s.lastFailed.Sub(began)
}

// mostly reports whether all of n samples passed for a reason, or at least nine
// of ten and the upstream served the others: on a busy machine, a check of the
// default mirror may time out.
func (s summary) mostly(reason string, n int) bool {
	return s.reasons[reason]+s.reasons["mirror-unavailable"] == n && s.reasons[reason] >= n*9/10
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }

// observed describes the samples.
func (s summary) observed() string {
	return fmt.Sprintf("%d errors, slowest response %dms, %s", s.failed, s.slowest.Milliseconds(), counted(s.reasons))
}

// want returns an error unless mostly is true.
func (s summary) want(reason string, n int) error {
	if s.mostly(reason, n) {
		return nil
	}
	return fmt.Errorf("%d of %d downloads failed (%v), reasons are %s, want %s", s.failed, n, s.err, counted(s.reasons), reason)
}
