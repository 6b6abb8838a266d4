package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"archeio/ranges"
	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/system"
	"archeio/scripts/lab/terminal"
)

const (
	distribution = "distribution"
	loadBalancer = "load balancer"
)

// pulls publishes an image, fills the mirrors with the deployed functions, publishes
// another image, and pulls that from every location.
func (c *checks) pulls(ctx context.Context) (err error) {
	c.progress.Step("publishing an image")
	c.image, err = pull.Publish(ctx, strings.TrimPrefix(c.upstream, "http://")+"/"+system.Prefix+"/"+pull.Repository, c.fill)
	if err != nil {
		return err
	}
	c.checkFilled(ctx)
	c.progress.Step("pulling")
	c.report = pull.Report{Out: c.out, ServerName: c.serverName, Color: terminal.Colors(c.out)}
	fromMirror := func(region string) pull.Want {
		return pull.Want{Present: "mirror " + region, PresentReason: "aws-region", Missing: "upstream", MissingReason: "mirror-absent"}
	}
	fromDefault := pull.Want{Present: distribution, PresentReason: "default-mirror", Missing: "upstream", MissingReason: "mirror-absent"}
	for _, client := range []struct {
		name string
		addr netip.Addr
		want pull.Want
	}{
		{"AWS " + regions[0], system.Address(ranges.AWS, regions[0]), fromMirror(regions[0])},
		{"AWS " + regions[1], system.Address(ranges.AWS, regions[1]), fromMirror(regions[1])},
		{"Google europe-west9", system.Address(ranges.GCP, "europe-west9"), pull.Want{Present: "upstream", PresentReason: "upstream-cloud", Missing: "upstream", MissingReason: "upstream-cloud"}},
		{"home", homeClient, fromDefault},
	} {
		c.pull(ctx, distribution, fmt.Sprintf("%s (%s)", client.name, client.addr), c.distribution, client.want, viewer(client.addr))
	}
	c.pull(ctx, loadBalancer, "this machine (127.0.0.1)", c.stage.BalancerDomain(), fromDefault, nil)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fmt.Fprintln(c.out, "Hosts")
	for _, host := range []string{"https://" + c.distribution, "https://" + domain, "https://" + c.stage.BalancerDomain(), c.upstream, c.stage.MirrorURL(regions[0]), c.stage.MirrorURL(regions[1])} {
		fmt.Fprintf(c.out, "  %-20s  %s\n", c.serverName(host), host)
	}
	c.report.Hops(distribution, loadBalancer)
	return nil
}

func (c *checks) pull(ctx context.Context, entryPoint, name, registry string, want pull.Want, setAddress func(*http.Request)) {
	p, err := c.client(registry, setAddress).Pull(ctx, c.image)
	c.report.Rows = append(c.report.Rows, pull.Row{EntryPoint: entryPoint, Client: name, Pull: p, Verdict: pull.Verdict(p, err, want, c.image, c.serverName)})
}

// client returns a client of a host of the stage.
func (d *deployed) client(registry string, setAddress func(*http.Request)) pull.Client {
	return pull.Client{Registry: registry, Secure: true, Transport: d.network, SetAddress: setAddress}
}

// homeClient is in no cloud; newRegionClient is in AWS, in the region that is added.
var homeClient = netip.MustParseAddr("203.0.113.7")

func newRegionClient() netip.Addr { return system.Address(ranges.AWS, newRegion) }

// viewer sends the address of a viewer, which the emulator's CloudFront forwards and
// the real one sets itself.
func viewer(addr netip.Addr) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("CloudFront-Viewer-Address", addr.String()+":4711") }
}
