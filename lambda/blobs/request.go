package blobs

import (
	"context"
	"net/http"
)

// Do calls send, which sends one request that is not a check to the origin and returns
// the status of the response, 0 without one, and whether its time was too short for
// that to count. What it means for the health of the origin is recorded as for a check:
// its path was chosen by a client. Do reports whether send was called, which it is not
// while the breaker is open. After a failure Do may wait for a check of what always
// works, until the deadline of ctx.
func (o *Origin) Do(ctx context.Context, send func() (status int, interrupted bool)) bool {
	c := o.checker
	start := c.options.Now()
	c.wake(start)
	if o.open(start) || !o.admit(start) {
		return false
	}
	o.accompany(ctx, start)
	status, interrupted := send()
	end := c.options.Now()
	switch {
	case status != 0 && !trouble(status):
		o.responded(end)
	case status == 0 && interrupted:
		o.cancel(requested)
		return true
	default:
		o.failed(end, requested, status == 0)
	}
	if status != 0 { // else a check may take as long again: the next request has one
		o.accompany(ctx, end)
	}
	if deadline, ok := ctx.Deadline(); ok {
		o.awaitReference(ctx, deadline)
	}
	return true
}

// trouble reports whether a status shows trouble at a server.
func trouble(status int) bool { return status >= 500 || status == http.StatusTooManyRequests }
