package verify

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"archeio/infra/stage"
	"archeio/lambda/testpull"
	"archeio/lambda/testpull/image"
	"archeio/scripts/archeio/cli"
)

const (
	// parallel is how many checks run at the same time.
	parallel = 8

	// pollInterval is external.poll of the command.
	pollInterval = 2 * time.Second
)

// deployment is a deployed stage that is tested. After find it is not changed, except
// by the probe.
type deployment struct {
	external
	stage *stage.Stage
	cloud cloud

	image     testpull.Image // that of the canary unless given; empty for none
	imageErr  error          // of finding it
	ofCanary  bool           // the canary pulls it
	client    netip.Addr     // public address of this machine; invalid if unknown
	write     bool
	wait      time.Duration
	skip      []string
	connectTo map[string]string // by host; "*" for all others

	nonce         string // in queries, so that no cache has the response
	edge          string // host of the distribution
	functionHosts map[string]string
	functions     map[string]function // redirectors by region
	entries       []entry
	missing       []string // what find did not find
	held          map[string]func() (blob, error)
	hash          func() (string, error)
	probe         probe

	mu         sync.Mutex
	transports map[[2]string]*http.Transport // by where to connect and network
}

// entry is a host that clients connect to.
type entry struct {
	place, host string
	connect     string // where to connect, if not to the host
	edge        bool   // a distribution
	certificate bool   // of the stage
	ipv6        bool
}

// function is a redirector.
type function struct{ name, alias string }

// blob is an object of a mirror. The digest is empty if the mirror has none.
type blob struct {
	digest string
	size   int64
}

// run makes all checks. It stops if the credentials are not for the stage's account.
func (d *deployment) run(ctx context.Context, progress cli.Progress) []cli.Check {
	progress.Show("the account")
	if o := d.credentials(ctx); o.result != cli.Pass {
		return []cli.Check{{Where: "account", Check: "credentials", Result: o.result, Details: o.details}}
	}
	defer d.closeConnections()
	progress.Show("the stacks")
	d.find(ctx)

	type task struct {
		row   row
		place string
	}
	var checks []cli.Check
	tasks := map[int]task{}
	for i := 0; i < len(rows); {
		// The checks of one scope are grouped by place.
		end := i
		for end < len(rows) && rows[end].scope == rows[i].scope {
			end++
		}
		places, none := rows[i].scope.places(d)
		for _, place := range places {
			for _, r := range rows[i:end] {
				tasks[len(checks)] = task{r, place}
				checks = append(checks, cli.Check{Where: place, Check: r.name})
			}
		}
		for _, r := range rows[i:end] {
			if len(places) == 0 {
				checks = append(checks, cli.Check{Where: r.scope.name, Check: r.name, Result: cli.Skip, Details: none})
			}
		}
		i = end
	}
	var group errgroup.Group
	group.SetLimit(parallel)
	for i := range checks {
		t, ok := tasks[i]
		if !ok {
			continue
		}
		if ctx.Err() == nil {
			progress.Show("%s: %s (%d of %d)", t.place, t.row.name, i+1, len(checks))
		}
		group.Go(func() error {
			o := skip("skipped by -skip")
			if !slices.Contains(d.skip, t.row.name) {
				o = t.row.run(d, ctx, t.place)
			}
			checks[i].Result, checks[i].Details = o.result, o.details
			return nil
		})
	}
	_ = group.Wait()
	return checks
}

func (d *deployment) credentials(ctx context.Context) outcome {
	account, err := d.cloud.account(ctx)
	switch {
	case err != nil:
		return fail("no valid AWS credentials: %s; log in, for example with aws sso login", cli.OneLine(err))
	case account != d.stage.Account:
		return fail("the credentials are for account %s, but the stage is in %s; switch to a profile for that account", account, d.stage.Account)
	}
	return pass("the credentials are for account %s", account)
}

// find looks up what the deployment has created.
func (d *deployment) find(ctx context.Context) {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	d.nonce = hex.EncodeToString(random)
	d.functionHosts, d.functions, d.held = map[string]string{}, map[string]function{}, map[string]func() (blob, error){}
	s := d.stage
	if s.HasDistribution() {
		d.edge = d.output(ctx, stage.EdgeRegion, "edge", stage.DistributionName)
		d.entries = append(d.entries, entry{place: d.edge, host: d.edge, edge: true, ipv6: true})
	}
	for _, host := range s.Hosts() {
		d.entries = append(d.entries, entry{
			place: host, host: host, edge: s.HasDistribution(), certificate: true,
			ipv6: s.HasDistribution() || slices.ContainsFunc(s.Redirectors, s.BalancerIPv6),
		})
	}
	for _, region := range s.Redirectors {
		if stage.HasFunctionURL(region) {
			d.functionHosts[region] = d.output(ctx, region, "redirector", stage.FunctionHost)
		}
		if s.HasLoadBalancers() {
			d.entries = append(d.entries, entry{
				place: s.BalancerDomain() + " " + region, host: s.BalancerDomain(), connect: d.output(ctx, region, "redirector", stage.BalancerName),
				certificate: true, ipv6: s.BalancerIPv6(region),
			})
		}
		d.functions[region] = d.function(ctx, region)
	}
	if d.ofCanary = d.image.Name == "" && s.Canary != nil; d.ofCanary {
		source := image.Source{State: d.cloud.state}
		source.Image, _ = testpull.ParseImage(s.Canary.Image)
		d.image, d.imageErr = source.Find(ctx)
	}
	for _, region := range s.Filled() {
		d.held[region] = sync.OnceValues(func() (blob, error) { return d.cloud.blob(ctx, region) })
	}
	d.hash = sync.OnceValues(func() (string, error) { return d.codeHash(ctx, s.Architecture) })
}

// output returns an output of a stack, and records what is missing.
func (d *deployment) output(ctx context.Context, region, what, key string) string {
	stack := d.stage.Stack(what, region)
	value, err := d.cloud.Output(ctx, region, stack, key)
	if err != nil {
		d.missing = append(d.missing, fmt.Sprintf("stack %s in %s: %s", stack, region, cli.OneLine(err)))
	} else if value == "" {
		d.missing = append(d.missing, fmt.Sprintf("stack %s in %s has no output %s", stack, region, key))
	}
	return value
}

func (d *deployment) function(ctx context.Context, region string) (f function) {
	stack := d.stage.Stack("redirector", region)
	name, err := d.cloud.resource(ctx, region, stack, stage.RedirectorID)
	if err == nil {
		var aliases []alias
		if aliases, err = d.cloud.aliases(ctx, region, name); err == nil && len(aliases) != 1 {
			err = fmt.Errorf("the function %s has %d aliases, want 1", name, len(aliases))
		}
		if err == nil {
			return function{name, aliases[0].name}
		}
	}
	d.missing = append(d.missing, fmt.Sprintf("stack %s in %s: %s", stack, region, cli.OneLine(err)))
	return f
}

func (d *deployment) checkHosts(context.Context, string) outcome {
	if len(d.missing) > 0 {
		return fail("%s; run make deploy STAGE=%s", strings.Join(d.missing, "; "), d.stage.Name)
	}
	return pass("every stack has its outputs")
}

func (d *deployment) entry(place string) entry {
	return d.entries[slices.IndexFunc(d.entries, func(e entry) bool { return e.place == place })]
}

// anyBlob returns a blob that the primary has, and an outcome if there is none.
func (d *deployment) anyBlob(region string) (blob, *outcome) {
	b, err := d.held[region]()
	switch {
	case err != nil:
		o := unknown(err)
		return b, &o
	case b.digest == "":
		o := pending("the mirror in %s has no blobs yet", region)
		return b, &o
	}
	return b, nil
}

func randomDigest() string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	return "sha256:" + hex.EncodeToString(random)
}

// name is a repository that no registry has, for requests that only the redirector
// responds to.
const name = "archeio-verify"

// orNone returns a text, or "none" if it is empty.
func orNone(text string) string { return cmp.Or(text, "none") }
