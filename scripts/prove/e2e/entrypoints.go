package main

import (
	"context"
	"maps"
	"net/http"
	"net/netip"
	"strings"

	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/system"
)

// The kinds of entry points.
const (
	loadBalancer = "load balancer"
	distribution = "distribution"
)

var kinds = []string{loadBalancer, distribution}

// entryPoint is a load balancer or a distribution for which every request comes
// from the same client address.
type entryPoint struct {
	kind   string
	client system.Client
	url    string
	// separateSignatures is set if signatures and referrers have an upstream of
	// their own.
	separateSignatures bool
	// singleHost is set if clients must not be sent to another host.
	singleHost bool
}

func (e entryPoint) host() string { return strings.TrimPrefix(e.url, "http://") }

// openEntryPoints opens both kinds for every client, and both again with separate
// signatures for the last client. If the upstream requires a token, it also opens a
// distribution with SINGLE_HOST for the first client, which any other sends to a mirror.
// As in a deployment, the default mirror of the distribution's clients is the host of
// their request.
func (s *testSystem) openEntryPoints(ctx context.Context) error {
	sameHost := map[string]string{"DEFAULT_AWS_BASE_URL": "/"}
	separate := map[string]string{"SIGNATURE_UPSTREAM_ENDPOINT": s.signatures.url}
	both := maps.Clone(sameHost)
	maps.Copy(both, separate)
	clients := s.local.Clients()
	last := clients[len(clients)-1:]
	type opening struct {
		entryPoint                   // without client and url
		env        map[string]string // nil for the function of the local system
		clients    []system.Client
	}
	all := []opening{
		{entryPoint{kind: loadBalancer}, nil, clients},
		{entryPoint{kind: distribution}, sameHost, clients},
	}
	if s.token() {
		c := clients[0]
		c.Want = pull.Want{Present: distribution, PresentReason: "default-mirror", Missing: distribution, MissingReason: "mirror-absent"}
		env := map[string]string{"SINGLE_HOST": "true", "DEFAULT_AWS_BASE_URL": "/", "INFO_URL": ""}
		all = append(all, opening{entryPoint{kind: distribution, singleHost: true}, env, []system.Client{c}})
	}
	all = append(all,
		opening{entryPoint{kind: loadBalancer, separateSignatures: true}, separate, last},
		opening{entryPoint{kind: distribution, separateSignatures: true}, both, last},
	)
	for _, x := range all {
		invoke := s.local.API.Invoke
		if x.env != nil {
			f, err := s.startFunctions(ctx, 1, x.env)
			if err != nil {
				return err
			}
			s.closers = append(s.closers, f.stop)
			invoke = f.api.Invoke
		}
		for _, c := range x.clients {
			opened, err := s.listen(x.kind, s.entryPointHandler(x.kind, invoke, c.Addr))
			if err != nil {
				return err
			}
			e := x.entryPoint
			e.client, e.url = c, opened.url
			s.entryPoints = append(s.entryPoints, e)
		}
	}
	return nil
}

// entryPointHandler returns the handler of an entry point. If client is valid,
// it is the client address of every request.
func (s *testSystem) entryPointHandler(kind string, invoke entrypoint.Invoke, client netip.Addr) http.Handler {
	h := entrypoint.CloudFront(invoke, s.defaultMirror)
	if kind == loadBalancer {
		h = entrypoint.ALB(invoke, true)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client.IsValid() {
			r.Header.Set(entrypoint.ClientAddressHeader, client.String())
		}
		h.ServeHTTP(w, r)
	})
}
