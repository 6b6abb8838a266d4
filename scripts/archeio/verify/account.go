package verify

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"archeio/infra/stage"
)

// An invocation may be late, and takes up to 15 minutes.
const runTime = time.Hour

// firstRun returns until when the first run of the planner is due, and whether it can
// still come.
func (d *deployment) firstRun(ctx context.Context) (due time.Time, ok bool) {
	created, err := d.cloud.created(ctx, d.stage.Primary, d.stage.Stack("filler", d.stage.Primary))
	if err != nil || created.IsZero() {
		return due, false
	}
	due = created.Add(period(d.stage.Filler.Schedule) + runTime)
	return due, d.now().Before(due)
}

var rate = regexp.MustCompile(`^rate\(([0-9]+) (minute|hour|day)s?\)$`)

// period returns the time between two runs of a schedule; for a cron expression, it is
// the longest that is supported here: a month.
func period(schedule string) time.Duration {
	m := rate.FindStringSubmatch(schedule)
	if m == nil {
		return 31 * 24 * time.Hour
	}
	n, _ := strconv.Atoi(m[1]) // the stage is valid
	return time.Duration(n) * map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[m[2]]
}

func (d *deployment) planner(ctx context.Context, region string) outcome {
	name, err := d.cloud.resource(ctx, region, d.stage.Stack("filler", region), stage.PlannerID)
	if err != nil {
		return unknown(err)
	}
	window := max(3*period(d.stage.Filler.Schedule), 24*time.Hour)
	runs, errs, err := d.cloud.invocations(ctx, region, name, d.now().Add(-window), d.now())
	switch {
	case err != nil:
		return unknown(err)
	case runs == 0:
		if due, ok := d.firstRun(ctx); ok {
			return pending("the planner has not run yet; its first run is due until %s", due.UTC().Format(time.DateTime+" MST"))
		}
		return fail("the planner has not run for %s, its schedule is %s; check the rule in EventBridge", window, d.stage.Filler.Schedule)
	case errs == runs:
		return fail("all %d runs of the planner within %s failed; check its log group", runs, window)
	}
	return pass("%d runs within %s, %d failed", runs, window, errs)
}

// alarms checks the alarms of all stacks in a region. Their names begin with that of the
// stack.
func (d *deployment) alarms(ctx context.Context, region string) outcome {
	total := 0
	var ringing, undecided, silent []string
	for _, st := range d.stage.Stacks() {
		if st.Region != region {
			continue
		}
		found, err := d.cloud.alarms(ctx, region, st.Name+"-")
		if err != nil {
			return unknown(err)
		}
		total += len(found)
		for _, a := range found {
			switch {
			case a.state == "ALARM":
				ringing = append(ringing, a.name)
			case a.state != "OK":
				undecided = append(undecided, a.name)
			case !a.notifies:
				silent = append(silent, a.name)
			}
		}
	}
	deployed := slices.Contains(d.stage.Mirrors, region) || slices.Contains(d.stage.Redirectors, region)
	switch {
	case len(ringing) > 0:
		return fail("in ALARM: %s; each alarm's description has what to do", strings.Join(ringing, ", "))
	case len(silent) > 0:
		return fail("notifications are disabled: %s; enable them with aws cloudwatch enable-alarm-actions", strings.Join(silent, ", "))
	case total == 0 && deployed:
		return fail("there are no alarms; run make deploy STAGE=%s", d.stage.Name)
	case total == 0:
		return skip("no stack in this region has alarms")
	case len(undecided) > 0:
		return pending("not evaluated yet: %s", strings.Join(undecided, ", "))
	}
	return pass("all %d alarms are OK", total)
}

func (d *deployment) alarmTopic(ctx context.Context, region string) outcome {
	confirmed, waiting, err := d.cloud.subscriptions(ctx, region, d.stage.AlarmTopicARN(region))
	switch {
	case err != nil:
		return unknown(err)
	case confirmed > 0:
		return pass("%d subscriptions are confirmed", confirmed)
	case waiting > 0:
		return pending("the subscription of %s is not confirmed, so the alarms of this region reach no one; confirm it in the mail from AWS", d.stage.Email)
	}
	return fail("the topic has no subscription; AWS deletes those that are not confirmed within three days: run aws sns subscribe --region %s --topic-arn %s --protocol email --notification-endpoint %s",
		region, d.stage.AlarmTopicARN(region), d.stage.Email)
}
