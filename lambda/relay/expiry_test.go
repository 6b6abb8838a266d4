package relay

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

// TestRemaining tests how long a signed address is passed on. The upstream's clock is an
// hour behind ours.
func TestRemaining(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	ours := now.Add(time.Hour)
	for query, want := range map[string]time.Duration{
		"":                      0,
		"a=b":                   0,
		"verify=1764158400-abc": 0,
		"X-Amz-Expires=300":     0, // from when?
		"X-Amz-Expires=300&X-Amz-Date=20261126T120000Z":                    4 * time.Minute,
		"X-Amz-Expires=300&X-Amz-Date=20261126T115800Z":                    2 * time.Minute,
		"X-Amz-Expires=300&X-Amz-Date=20261126T115500Z":                    0,
		"X-Amz-Expires=300&X-Amz-Date=20261126T130000Z":                    4 * time.Minute,
		"X-Amz-Expires=-1&X-Amz-Date=20261126T120000Z":                     0,
		"X-Amz-Expires=9e9&X-Amz-Date=20261126T120000Z":                    0,
		"X-Amz-Expires=604800&X-Amz-Date=20261126T120000Z":                 time.Hour,
		"X-Amz-Expires=300&X-Amz-Expires=9999&X-Amz-Date=20261126T120000Z": 0,
		"X-Goog-Expires=900&X-Goog-Date=20261126T120000Z":                  14 * time.Minute,
		"Expires=1795694700":                                               4 * time.Minute,
		"Expires=1795694400":                                               0,
		"Expires=soon":                                                     0,
		"se=2026-11-26T12:10:00Z&sig=x":                                    9 * time.Minute,
		"se=2026-11-26T12%3A10%3A00Z":                                      9 * time.Minute,
		"se=tomorrow":                                                      0,
		"Expires=1795694700&se=2026-11-26T12:03:00Z":                       2 * time.Minute,
	} {
		u := &url.URL{RawQuery: query}
		if got := remaining(u, http.Header{"Date": {now.Format(http.TimeFormat)}}, ours); got != want {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
	u := &url.URL{RawQuery: "X-Amz-Expires=300&X-Amz-Date=20261126T130000Z"}
	if got := remaining(u, nil, ours); got != 4*time.Minute {
		t.Errorf("without the upstream's clock: %v", got)
	}
}
