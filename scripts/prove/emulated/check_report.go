package main

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// countedPulls is how many pulls the report must count.
const countedPulls = 12

// The widgets of the report that are compared.
const kindsWidget, reasonsWidget = "Requests", "Redirects by reason"

// checkReport pulls a number of times, and checks that the report counts every
// request.
func (c *checks) checkReport(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Step("archeio report")
	c.progress.Note("log groups have no metrics: those of the functions' log lines are put by PutMetricData, as CloudWatch does")
	c.check(fmt.Sprintf("the report counts every request of %d pulls, by kind and by reason", countedPulls), c.compareReport(ctx))
}

func (c *checks) compareReport(ctx context.Context) error {
	if err := c.writeStages(c.settings.json()); err != nil {
		return err
	}
	if err := c.pauseCanary(ctx); err != nil {
		return err
	}
	x, err := c.newExtractor(ctx)
	if err != nil {
		return err
	}
	before, err := c.settledReport(ctx, x)
	if err != nil {
		return err
	}
	kinds, reasons, err := c.countPulls(ctx)
	if err != nil {
		return err
	}
	var after widgets
	err = waitUntil(ctx, time.Minute, "the function has written its counters", func() (bool, error) {
		after, err = c.nextReport(ctx, x)
		return err == nil && after.since(before, kindsWidget)["manifests"] >= countedPulls, err
	})
	if err != nil {
		return err
	}
	gotKinds, gotReasons := after.since(before, kindsWidget), after.since(before, reasonsWidget)
	c.progress.Note("the report counts %v, by reason %v", gotKinds, gotReasons)
	delete(gotReasons, "ping")
	if !maps.Equal(gotReasons, reasons) {
		return fmt.Errorf("the report counts the reasons %v, want %v", gotReasons, reasons)
	}
	return want(maps.Equal(gotKinds, kinds), "the report counts the kinds %v, want %v", gotKinds, kinds)
}

// settledReport returns the report once the function has written all counters of
// earlier requests.
func (c *checks) settledReport(ctx context.Context, x *extractor) (report widgets, err error) {
	unchanged := 0
	err = waitUntil(ctx, 2*time.Minute, "the function has written the counters of earlier requests", func() (bool, error) {
		now, err := c.nextReport(ctx, x)
		if err != nil {
			return false, err
		}
		switch {
		case len(now.since(report, kindsWidget)) > 0:
			unchanged = 0
		case now[reasonsWidget]["ping"] > report[reasonsWidget]["ping"]:
			unchanged++
		}
		report = now
		return unchanged >= 2, nil
	})
	return report, err
}

// nextReport returns the report after some pings. A process writes its counters at
// the end of the first invocation that is ten seconds after the last time; pings make
// it do so without changing the kinds that are compared. There may be two processes,
// so several are sent at the same time.
func (c *checks) nextReport(ctx context.Context, x *extractor) (widgets, error) {
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			_, _, err := c.get(ctx, "https://"+c.distribution+"/v2/", nil)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := x.extract(ctx); err != nil {
		return nil, err
	}
	return c.readReport(ctx)
}

// countPulls pulls through both entry points, and returns the requests by kind and by
// reason.
func (c *checks) countPulls(ctx context.Context) (kinds, reasons map[string]int, err error) {
	kinds, reasons = map[string]int{}, map[string]int{}
	for i := range countedPulls {
		client := c.client(c.distribution, viewer(newRegionClient()))
		if i%2 == 1 {
			client = c.client(c.stage.BalancerDomain(), nil)
		}
		p, err := client.Pull(ctx, c.image)
		if err != nil {
			return nil, nil, err
		}
		for _, hop := range p.Hops {
			if hop.Reason == "" || hop.Reason == "ping" {
				continue
			}
			kind := "manifests"
			if strings.Contains(hop.URL, "/blobs/") {
				kind = "blobs"
			}
			kinds[kind]++
			reasons[hop.Reason]++
		}
	}
	return kinds, reasons, nil
}

// widgets are the values of a report by title and label.
type widgets map[string]map[string]float64

// readReport runs archeio report.
func (d *deployed) readReport(ctx context.Context) (widgets, error) {
	var report struct {
		Widgets []struct {
			Title  string
			Values []struct {
				Label string
				Value *float64
			}
		}
	}
	if err := d.archeioJSON(ctx, &report, "report", "-stage", stageName, "-file", d.stagesFile(), "-last", "1h", "-json"); err != nil {
		return nil, err
	}
	all := widgets{}
	for _, w := range report.Widgets {
		all[w.Title] = map[string]float64{}
		for _, v := range w.Values {
			if v.Value != nil {
				all[w.Title][v.Label] = *v.Value
			}
		}
	}
	for _, title := range []string{kindsWidget, reasonsWidget} {
		if all[title] == nil {
			return nil, fmt.Errorf("archeio report: no widget %q", title)
		}
	}
	return all, nil
}

// since returns by how much the values of a widget have grown.
func (w widgets) since(before widgets, title string) map[string]int {
	grown := map[string]int{}
	for label, v := range w[title] {
		if n := int(v - before[title][label]); n != 0 {
			grown[label] = n
		}
	}
	return grown
}
