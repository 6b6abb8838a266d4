package main

import (
	"context"
	"fmt"
	"time"
)

// failover: the mirror of the region fails, and then the default mirror too.
func (f *atFront) failover(ctx context.Context, budget string, least, most int) (string, error) {
	l, err := f.lab(ctx, 1, map[string]string{"FAILOVER_BUDGET": budget})
	if err != nil {
		return "", err
	}
	defer l.stop()
	answer(500)(l.near)
	began := time.Now()
	one := sum(l.watch(ctx, 20*time.Millisecond, time.Minute, times(150)))
	took := time.Since(began)
	l.check.down()
	two := sum(l.watch(ctx, 20*time.Millisecond, time.Minute, times(100)))
	n := one.reasons["failover-region"]
	saw := fmt.Sprintf("150 requests in %s: %s; default mirror down too: %s; %d errors", seconds(took), amounts(one.reasons), amounts(two.reasons), one.bad+two.bad)
	if allowed := int(took.Seconds()*float64(least)) + 2*least; n < least || n > min(most, allowed) {
		return saw, fmt.Errorf("%d requests went to the next mirror, %d to %d may", n, least, min(most, allowed))
	}
	// What the function remembers of the default mirror holds for the interval.
	if one.bad > 0 || two.bad > 0 || two.reasons["mirror-unavailable"] == 0 {
		return saw, fmt.Errorf("%d failed: %v %v", one.bad+two.bad, one.err, two.err)
	}
	return saw, nil
}
