package copier

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// passing tells what may be right the next time.
func passing(resp *http.Response, err error) bool {
	if err != nil {
		return true
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// pause is how long to wait before the next try: twice as long each time, and
// never the same for all who wait.
func pause(try int) time.Duration {
	longest := 250 * time.Millisecond << min(try, 6)
	return longest/2 + rand.N(longest/2)
}

// retryAfter reads the header: seconds, or a date. RFC 9110 section 10.2.3.
func retryAfter(header string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.Atoi(header); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
