package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"archeio/infra/stage"
	"archeio/lambda/metrics"
)

// checkCanary invokes the canary as its schedule does, with all entry points and with a
// broken one. The upstream must be one that redirectors relay from: the canary follows no
// redirect to the registry of this machine, which has no TLS.
func (c *checks) checkCanary(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Step("the canary pulls through the entry points")
	run, err := c.scheduledCanary(ctx)
	if err != nil {
		c.check("the canary is invoked on a schedule", err)
		return
	}
	c.check("the canary pulls through both entry points, the blob from the default mirror",
		c.countsPulls(ctx, run, map[string]float64{stage.DistributionEntry: 0, stage.BalancerEntry: 0}, 2))
	target, err := c.target(ctx)
	if err == nil {
		err = c.aws(ctx, regions[0], nil, append([]string{"elbv2", "deregister-targets"}, target...)...)
	}
	err = cmp.Or(err, c.countsPulls(ctx, run, map[string]float64{stage.DistributionEntry: 0, stage.BalancerEntry: 1}, 1))
	c.check("the canary counts a failure of the load balancer without a target", cmp.Or(err, c.registerTarget(ctx)))
}

// canaryRule returns the name of the canary and of the rule that invokes it.
func (c *checks) canaryRule(ctx context.Context) (function, rule string, err error) {
	if function, err = c.resource(ctx, "canary", stage.CanaryID); err != nil {
		return "", "", err
	}
	arn := "arn:aws:lambda:" + regions[0] + ":" + account + ":function:" + function
	var rules struct{ RuleNames []string }
	if err := c.aws(ctx, regions[0], &rules, "events", "list-rule-names-by-target", "--target-arn", arn); err != nil {
		return "", "", err
	}
	if len(rules.RuleNames) != 1 {
		return "", "", fmt.Errorf("the rules %q have the target %s, want one", rules.RuleNames, function)
	}
	return function, rules.RuleNames[0], nil
}

// pauseCanary ends the canary's pulls on schedule, which checks would count.
func (c *checks) pauseCanary(ctx context.Context) error {
	_, rule, err := c.canaryRule(ctx)
	if err != nil {
		return err
	}
	return c.aws(ctx, regions[0], nil, "events", "disable-rule", "--name", rule)
}

// scheduledCanary returns a function that invokes the canary with the event of its
// schedule. The schedule itself is disabled.
func (c *checks) scheduledCanary(ctx context.Context) (run func() error, err error) {
	function, name, err := c.canaryRule(ctx)
	if err != nil {
		return nil, err
	}
	var rule struct{ ScheduleExpression, State string }
	if err := c.aws(ctx, regions[0], &rule, "events", "describe-rule", "--name", name); err != nil {
		return nil, err
	}
	if want := fmt.Sprintf("rate(%d minutes)", stage.CanaryMinutes); rule.ScheduleExpression != want || rule.State != "ENABLED" {
		return nil, fmt.Errorf("the schedule is %q and %s, want %q and ENABLED", rule.ScheduleExpression, rule.State, want)
	}
	if err := c.pauseCanary(ctx); err != nil {
		return nil, err
	}
	var targets struct{ Targets []struct{ Input string } }
	if err := c.aws(ctx, regions[0], &targets, "events", "list-targets-by-rule", "--rule", name); err != nil {
		return nil, err
	}
	if len(targets.Targets) != 1 {
		return nil, fmt.Errorf("the rule has %d targets, want 1", len(targets.Targets))
	}
	return func() error {
		_, err := c.invoke(ctx, regions[0], function, targets.Targets[0].Input)
		return err
	}, nil
}

// countsPulls runs the canary and compares the failures by entry point that it adds to its
// log, and the number of blobs from the default mirror.
func (c *checks) countsPulls(ctx context.Context, run func() error, failures map[string]float64, blobs int) error {
	before, _, err := c.canaryMetrics(ctx)
	if err != nil {
		return err
	}
	seen := len(before[stage.DistributionEntry])
	blobsBefore := len(before[blobsOf])
	if err := run(); err != nil {
		return err
	}
	return waitUntil(ctx, time.Minute, "the canary's log has its metrics", func() (bool, error) {
		now, log, err := c.canaryMetrics(ctx)
		if err != nil || len(now[stage.DistributionEntry]) == seen || len(now[stage.BalancerEntry]) == seen {
			return false, err
		}
		last := map[string]float64{}
		for _, name := range slices.Sorted(maps.Keys(failures)) {
			last[name] = now[name][len(now[name])-1]
		}
		got := len(now[blobsOf]) - blobsBefore
		return true, want(maps.Equal(last, failures) && got == blobs, "failures %v and %d blobs from the default mirror, want %v and %d; the log is\n%s", last, got, failures, blobs, tail(log))
	})
}

// blobsOf is the key of canaryMetrics for blobs of the default mirror.
const blobsOf = "blobs"

// canaryMetrics returns all values of CanaryFailures in the canary's log by entry point, and
// those of CanaryBlobs for the default mirror.
func (c *checks) canaryMetrics(ctx context.Context) (values map[string][]float64, log string, err error) {
	function, err := c.resource(ctx, "canary", stage.CanaryID)
	if err != nil {
		return nil, "", err
	}
	group, err := c.logGroup(ctx, function)
	if err != nil {
		return nil, "", err
	}
	var output struct{ Events []struct{ Message string } }
	if err := c.aws(ctx, regions[0], &output, "logs", "filter-log-events", "--log-group-name", group); err != nil {
		return nil, "", err
	}
	values = map[string][]float64{}
	for _, e := range output.Events {
		log += e.Message + "\n"
		all, err := decodeEMF([]byte(e.Message))
		if err != nil {
			return nil, log, err
		}
		for _, datum := range all[metrics.Namespace] {
			if len(datum.Dimensions) != 1 {
				continue
			}
			switch name, of := *datum.MetricName, *datum.Dimensions[0].Value; {
			case name == metrics.CanaryFailures:
				values[of] = append(values[of], datum.Values...)
			case name == metrics.CanaryBlobs && of == "default-mirror":
				values[blobsOf] = append(values[blobsOf], datum.Values...)
			}
		}
	}
	return values, log, nil
}
