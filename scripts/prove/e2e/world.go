package main

import (
	"context"
	"io"
	"log"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"

	"archeio/lambda/build"
	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/system"
)

// pageSize is the most tags that the upstream lists at once, as registries
// have a limit of their own.
const pageSize = 5

// The shapes of fronts.
const (
	loadBalancer = "load balancer"
	distribution = "distribution"
)

// door is a front that takes everybody for a client at one address.
type door struct {
	front  string
	client system.Client
	base   string
	// apart: signatures and referrers are at another upstream.
	apart bool
}

func (d door) host() string { return strings.TrimPrefix(d.base, "http://") }

// world is the local stack with a recorder before every server, and a front
// for each kind of client.
type world struct {
	stack    *system.Stack
	recorder *recorder
	log      io.Writer

	upstream, signatures, edge *server
	mirrors                    map[string]*server // by region
	check                      *server            // where the default mirror's blobs are looked for
	doors                      []door
	bucket                     *url.URL // the default mirror's
	function                   string   // the binary
	servers                    []*server
	closers                    []func()
}

func start(ctx context.Context, out io.Writer, say func(string)) (_ *world, err error) {
	w := &world{recorder: &recorder{}, log: out, mirrors: map[string]*server{}}
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	before := func(name string) (*server, *proxy, error) {
		p := &proxy{}
		s, err := listenAs(name, w.recorder, p)
		if err == nil {
			w.servers = append(w.servers, s)
		}
		return s, p, err
	}
	targets := map[*proxy]func() string{}
	var p *proxy
	if w.upstream, p, err = before("upstream"); err != nil {
		return nil, err
	}
	p.change = limitPage
	targets[p] = func() string { return w.stack.Upstream }
	for _, region := range system.Regions {
		if w.mirrors[region], p, err = before("mirror " + region); err != nil {
			return nil, err
		}
		targets[p] = func() string { return strings.TrimSuffix(w.stack.MirrorURL(region), "/mirror-"+region) }
	}
	if w.check, p, err = before("default mirror's bucket"); err != nil {
		return nil, err
	}
	defaultBucket := func() string {
		return strings.TrimSuffix(w.stack.MirrorURL(system.Regions[0]), "/"+system.Buckets[0]) + "/" + system.Buckets[1]
	}
	targets[p] = defaultBucket
	if w.edge, p, err = before(distribution); err != nil {
		return nil, err
	}
	targets[p] = func() string { return w.stack.Distribution }
	// This registry has the referrers API, which the upstream's lacks.
	signatures, err := listenAs("signature upstream", w.recorder, registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	if err != nil {
		return nil, err
	}
	w.signatures, w.servers = signatures, append(w.servers, signatures)

	w.stack, err = system.Start(ctx, system.Options{Log: out, Progress: say, Env: map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": w.upstream.base,
		"DEFAULT_AWS_BASE_URL":       w.edge.base,
		"DEFAULT_MIRROR_CHECK_URL":   w.check.base,
		"MIRROR_URL_TEMPLATE":        w.mirrors[system.Regions[0]].base + "/mirror-{region}",
		"MIRROR_URL_OVERRIDES":       system.Regions[1] + "=" + w.mirrors[system.Regions[1]].base + "/mirror-" + system.Regions[1],
	}})
	if err != nil {
		return nil, err
	}
	for p, target := range targets {
		if err := p.to(target()); err != nil {
			return nil, err
		}
	}
	if w.bucket, err = url.Parse(defaultBucket()); err != nil {
		return nil, err
	}
	if w.function, err = build.Bootstrap(ctx, "redirector"); err != nil {
		return nil, err
	}
	return w, w.openDoors(ctx)
}

// openDoors opens both fronts for every client. A distribution's clients get
// their default mirror from the host that they asked, as deployed.
func (w *world) openDoors(ctx context.Context) error {
	same := map[string]string{"DEFAULT_AWS_BASE_URL": "/"}
	apart := map[string]string{"SIGNATURE_UPSTREAM_ENDPOINT": w.signatures.base}
	behind := map[string]entrypoint.Invoke{loadBalancer: w.stack.API.Invoke}
	api, _, err := w.functions(ctx, 1, same)
	if err != nil {
		return err
	}
	behind[distribution] = api.Invoke
	for _, shape := range []string{loadBalancer, distribution} {
		for _, c := range system.Clients() {
			if err := w.open(shape, c, behind[shape], false); err != nil {
				return err
			}
		}
	}
	maps.Copy(same, apart)
	for shape, env := range map[string]map[string]string{loadBalancer: apart, distribution: same} {
		api, _, err := w.functions(ctx, 1, env)
		if err != nil {
			return err
		}
		clients := system.Clients()
		if err := w.open(shape, clients[len(clients)-1], api.Invoke, true); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) open(shape string, c system.Client, invoke entrypoint.Invoke, apart bool) error {
	s, err := listenAs(shape, w.recorder, w.front(shape, invoke, c.Addr))
	if err != nil {
		return err
	}
	w.servers = append(w.servers, s)
	w.doors = append(w.doors, door{front: shape, client: c, base: s.base, apart: apart})
	return nil
}

// front is the handler of one shape. A valid address is the client's, whoever
// asks.
func (w *world) front(shape string, invoke entrypoint.Invoke, client netip.Addr) http.Handler {
	h := entrypoint.CloudFront(invoke, w.bucket)
	if shape == loadBalancer {
		h = entrypoint.ALB(invoke, true)
	}
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if client.IsValid() {
			r.Header.Set(entrypoint.PlayAddress, client.String())
		}
		h.ServeHTTP(out, r)
	})
}

// functions starts processes of the function under an API of their own, with
// env laid over the stack's. They are stopped with the world.
func (w *world) functions(ctx context.Context, n int, env map[string]string) (*runtimeapi.API, []*runtimeapi.Process, error) {
	api, processes, stop, err := w.ownFunctions(ctx, n, env)
	if err == nil {
		w.closers = append(w.closers, stop)
	}
	return api, processes, err
}

// ownFunctions are stopped by their user.
func (w *world) ownFunctions(ctx context.Context, n int, env map[string]string) (*runtimeapi.API, []*runtimeapi.Process, func(), error) {
	api, err := runtimeapi.Listen()
	if err != nil {
		return nil, nil, nil, err
	}
	all := maps.Clone(w.stack.Env)
	maps.Copy(all, env)
	var processes []*runtimeapi.Process
	stop := func() {
		for _, p := range processes {
			p.Stop()
		}
		api.Close()
	}
	for range n {
		p, err := api.Start(w.function, all, w.log)
		if err != nil {
			stop()
			return nil, nil, nil, err
		}
		processes = append(processes, p)
	}
	select {
	case <-api.Ready():
		return api, processes, stop, nil
	case <-processes[0].Exited():
		err = processes[0].Err()
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	stop()
	return nil, nil, nil, err
}

func (w *world) stop() {
	for i := len(w.closers) - 1; i >= 0; i-- {
		w.closers[i]()
	}
	closeAll(w.servers)
	if w.stack != nil {
		w.stack.Stop()
	}
}

// limitPage makes the upstream list pageSize tags at once, whoever asks for
// more or does not say.
func limitPage(r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/tags/list") {
		return
	}
	q := r.URL.Query()
	if n, err := strconv.Atoi(q.Get("n")); err != nil || n > pageSize {
		q.Set("n", strconv.Itoa(pageSize))
		r.URL.RawQuery = q.Encode()
	}
}
