package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"
)

// measureRelay compares manifests that the redirector's handler relays, in a net/http
// server, with those of a net/http reverse proxy with the same caches. The upstream
// requires a token.
func measureRelay(ctx context.Context, b *bench) error {
	peer, err := b.compile(ctx, peerProgram)
	if err != nil {
		return err
	}
	env, stop, err := serveTokenUpstream()
	if err != nil {
		return err
	}
	defer stop()
	var servers []*server
	for _, name := range []string{"relay-server", "reverse-proxy"} {
		s, err := serve(ctx, peer, name, env)
		if err != nil {
			return err
		}
		defer s.stop()
		servers = append(servers, s)
	}
	const against = "net/http reverse proxy with the same caches"
	turn := b.pick(256, turn)
	for _, from := range []struct {
		what string
		tags int // how many are requested; 0 for a new one each time
	}{{"from memory", 16}, {"from the upstream", 0}} {
		var times, cpu []side
		for _, s := range servers {
			next := 1000
			work := func(ctx context.Context) (float64, error) {
				var all []float64
				for range turn {
					next++
					tag := next
					if from.tags > 0 {
						tag = next % from.tags // below those from the upstream
					}
					began := time.Now()
					if err := s.getManifest(ctx, tag); err != nil {
						return 0, err
					}
					all = append(all, float64(time.Since(began)))
				}
				return median(all), nil
			}
			times = append(times, work)
			cpu = append(cpu, cpuOf(s.cmd.Process.Pid, func(ctx context.Context) (int, error) {
				_, err := work(ctx)
				return turn, err
			}))
		}
		what := "relayed manifest " + from.what
		if b.hasCPUTime() {
			v, err := b.interleave(ctx, 31, 2, cpu...)
			if err != nil {
				return err
			}
			b.report.compare(what+", CPU time", against, ns, v[0], v[1], budget{})
		}
		v, err := b.interleave(ctx, 31, 2, times...)
		if err != nil {
			return err
		}
		b.report.compare(what+", p50", against, ns, v[0], v[1], budget{})
	}
	return nil
}

// benchManifest is what the upstream responds to every request for a manifest.
var benchManifest = `{"schemaVersion":2,"layers":[` + strings.Repeat(`{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"`+digestOf(1)+`","size":31457280},`, 11) + `{}]}`

// serveTokenUpstream starts an upstream that requires a token, and returns the
// environment of a redirector that relays it.
func serveTokenUpstream() (env map[string]string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	base := "http://" + l.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			io.WriteString(w, `{"token":"bench","expires_in":3600}`)
		case r.Header.Get("Authorization") != "Bearer bench":
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+base+`/token",service="bench"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			io.WriteString(w, benchManifest)
		}
	})}
	go server.Serve(l)
	env = maps.Clone(environment)
	env["UPSTREAM_REGISTRY_ENDPOINT"], env["UPSTREAM_ACCESS"], env["UPSTREAM_RATE"] = base, "token", "1000000"
	env["TAG_MAX_AGE"] = "1h" // longer than the measurement
	return withoutIndex(env), func() { server.Close() }, nil
}

// getManifest requests the manifest with the number of a tag, and reads it.
func (s *server) getManifest(ctx context.Context, tag int) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/v2/pause/manifests/v%d", s.url, tag), nil)
	if err != nil {
		return err
	}
	r.Header.Set("X-Forwarded-For", clientOf(0))
	resp, err := s.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || n != int64(len(benchManifest))) {
		err = fmt.Errorf("status %d and %d bytes: want a manifest of %d bytes", resp.StatusCode, n, len(benchManifest))
	}
	return err
}
