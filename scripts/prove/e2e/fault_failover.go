package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// failoverBudget is a FAILOVER_BUDGET, with how many of 150 requests may fail
// over to the next mirror.
type failoverBudget struct {
	budget          string
	atLeast, atMost int
}

// run makes the nearest mirror fail, and then the default mirror too.
func (b failoverBudget) run(f *faultTest, ctx context.Context) (string, error) {
	t, err := f.testbed(ctx, map[string]string{"FAILOVER_BUDGET": b.budget})
	if err != nil {
		return "", err
	}
	defer t.stop()
	t.near.injectStatus(http.StatusInternalServerError)
	began := time.Now()
	one := t.watchN(ctx, 20*time.Millisecond, 150)
	took := time.Since(began)
	t.bucket.close()
	two := t.watchN(ctx, 20*time.Millisecond, 100)
	observed := fmt.Sprintf("150 requests in %s: %s; default mirror down too: %s; %d errors",
		seconds(took), counted(one.reasons), counted(two.reasons), one.failed+two.failed)
	// The budget is per second and process, with a burst of twice as much.
	atMost := min(b.atMost, int(took.Seconds()*float64(b.atLeast))+2*b.atLeast)
	switch n := one.reasons["failover-region"]; {
	case n < b.atLeast || n > atMost:
		return observed, fmt.Errorf("%d requests failed over to the next mirror, want %d to %d", n, b.atLeast, atMost)
	case one.failed+two.failed > 0:
		return observed, fmt.Errorf("%d downloads failed: %v %v", one.failed+two.failed, one.err, two.err)
	case two.reasons["mirror-unavailable"] == 0: // once the cached state of the default mirror has expired
		return observed, fmt.Errorf("no request had the reason mirror-unavailable")
	}
	return observed, nil
}
