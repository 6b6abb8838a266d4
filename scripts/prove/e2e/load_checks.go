package main

import (
	"context"
	"time"
)

// runLoad is the part "load": a large load, and a small one on a function with
// concurrent invocations and the race detector. It returns the result of the
// large one, or nil.
func (s *testSystem) runLoad(ctx context.Context, o *options, images *testImages) (checks []check, r *loadResult, err error) {
	const responses, memory, concurrent = "responses", "memory", "concurrent invocations, race detector"
	if o.selects("load", responses) || o.selects("load", memory) {
		s.progress.Step("load: %d requests from %d clients (some minutes)", o.load.requests, o.load.clients)
		began := time.Now()
		if r, err = s.largeLoad(ctx, o.load, images); err != nil {
			return nil, nil, err
		}
		checks = append(checks,
			newCheck("load", responses, "both", r.String(), began, r.checkResponses(o.load)),
			newCheck("load", memory, "both", r.largest(), began, r.checkMemory()))
	}
	if o.selects("load", concurrent) && ctx.Err() == nil {
		s.progress.Step("load: %s", concurrent)
		began := time.Now()
		observed, err := s.concurrentLoad(ctx, images)
		checks = append(checks, newCheck("load", concurrent, "both", observed, began, err))
	}
	return checks, r, nil
}

func (s *testSystem) largeLoad(ctx context.Context, o loadOptions, images *testImages) (*loadResult, error) {
	t, err := s.newLoadTestbed(ctx, images, o.processes, map[string]string{
		"MIRROR_CHECK_TIMEOUT": "1s", "MIRROR_HEALTH_INTERVAL": "10s", "MIRROR_INDEX_REFRESH": "10s", "MIRROR_INDEX_MAX_AGE": "24h",
	})
	if err != nil {
		return nil, err
	}
	defer t.stop()
	oracle, err := newOracle(t.env, t.sets, false)
	if err != nil {
		return nil, err
	}
	return t.run(ctx, o, t.sets.mix(ctx, oracle), s.progress.Note), nil
}
