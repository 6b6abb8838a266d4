package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConnsPerHost:    16,
		MaxIdleConns:           64,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    timeout,
		ResponseHeaderTimeout:  timeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
	}
}

// result is what a server sent.
type result struct {
	status int // 0 without a whole response
	header http.Header
	body   []byte // of a 200 to GET
	// tooLarge is whether the body is larger than allowed.
	tooLarge bool
	// interrupted is whether there was less time than usual.
	interrupted bool
}

// drained limits how much of a body that does not count is read, so that the connection
// can be used again, in bytes.
const drained = 4 << 10

// send sends one request, without following a redirect.
func (r *Relay) send(ctx context.Context, method, url string, header http.Header, most int64) result {
	start := r.options.Now()
	short := false
	if end, ok := ctx.Deadline(); ok {
		short = end.Sub(start) < timeout/4
	}
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return result{}
	}
	header.Set("User-Agent", "archeio")
	header.Set("Accept-Encoding", "identity")
	req.Header = header
	resp, err := r.options.Transport.RoundTrip(req)
	if err != nil {
		return result{interrupted: short || errors.Is(context.Cause(ctx), context.Canceled)}
	}
	defer resp.Body.Close()
	got := result{status: resp.StatusCode, header: resp.Header}
	switch {
	case resp.StatusCode != http.StatusOK || method == http.MethodHead:
		if resp.ContentLength >= 0 && resp.ContentLength <= drained {
			_, _ = io.CopyN(io.Discard, resp.Body, drained)
		}
	case resp.ContentLength > most:
		got.tooLarge = true
	default:
		got.body, err = io.ReadAll(io.LimitReader(resp.Body, most+1))
		if int64(len(got.body)) > most {
			got.body, got.tooLarge = nil, true
		} else if err != nil {
			return result{interrupted: short || errors.Is(context.Cause(ctx), context.Canceled)}
		}
	}
	return got
}

// maxRetryAfter limits what a client is told to wait, in seconds.
const maxRetryAfter = 6 * 60 * 60

// retryAfter returns the seconds that a server asks to wait, 0 if it does not say so. A
// date is measured by the clock of the server. RFC 9110, section 10.2.3.
func retryAfter(header http.Header) int {
	text := header.Get("Retry-After")
	seconds, err := strconv.Atoi(text)
	if err != nil {
		end, wrongEnd := http.ParseTime(text)
		now, wrongNow := http.ParseTime(header.Get("Date"))
		if wrongEnd != nil || wrongNow != nil {
			return 0
		}
		seconds = int(min(end.Sub(now), maxRetryAfter*time.Second) / time.Second)
	}
	return max(0, min(seconds, maxRetryAfter))
}
