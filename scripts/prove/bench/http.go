package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// connections is how many connections send requests to a server at the same time.
const connections = 8

// measureHTTP compares the redirector's handler in a net/http server with one like that
// of archeio, the server of registry.k8s.io. All blobs are cached.
func measureHTTP(ctx context.Context, b *bench) error {
	peer, err := b.compile(ctx, peerProgram)
	if err != nil {
		return err
	}
	env, stop, err := serveMirrors(nil)
	if err != nil {
		return err
	}
	defer stop()
	n := b.pick(4096, 256)
	var servers []*server
	for _, name := range []string{"redirector-server", "reference-server"} {
		s, err := serve(ctx, peer, name, env)
		if err != nil {
			return err
		}
		defer s.stop()
		servers = append(servers, s)
	}
	for i := range n {
		var locations [2]string
		for j, s := range servers {
			if locations[j], err = s.get(ctx, i); err != nil {
				return err
			}
		}
		if locations[0] != locations[1] {
			return fmt.Errorf("the handlers redirect to %q and to %q", locations[0], locations[1])
		}
	}
	turn := b.pick(512, 256)
	var times, cpu []side
	for _, s := range servers {
		next := 0
		work := func(ctx context.Context) (int, error) {
			first := next
			next = (next + turn) % n
			return turn, s.getAll(ctx, first, turn)
		}
		cpu = append(cpu, cpuOf(s.cmd.Process.Pid, work))
		times = append(times, func(ctx context.Context) (float64, error) {
			began := time.Now()
			_, err := work(ctx)
			return float64(time.Since(began)) / float64(turn), err
		})
	}
	what, against := fmt.Sprintf("net/http server, %d connections", connections), "handler like registry.k8s.io's"
	if b.hasCPUTime() {
		v, err := b.interleave(ctx, 31, 2, cpu...)
		if err != nil {
			return err
		}
		b.report.compare(what+", CPU time of a request", against, ns, v[0], v[1], budget{})
	}
	v, err := b.interleave(ctx, 31, 2, times...)
	if err != nil {
		return err
	}
	b.report.compare(what+", time between responses", against, ns, v[0], v[1], budget{})
	return nil
}

// server is a process with a net/http server.
type server struct {
	cmd       *exec.Cmd
	url       string
	transport *http.Transport
}

// serve starts a server and waits until it listens.
func serve(ctx context.Context, binary, name string, env map[string]string) (*server, error) {
	cmd := exec.CommandContext(ctx, binary)
	env = maps.Clone(env)
	env["PEER"] = name
	for key, value := range env {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	s := &server{cmd: cmd, transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("waiting for the address of the server: %w", err)
	}
	s.url = "http://" + strings.TrimSpace(address)
	return s, nil
}

func (s *server) stop() {
	s.transport.CloseIdleConnections()
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// get requests the blob of a payload and returns the location.
func (s *server) get(ctx context.Context, i int) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/v2/team-%d/pause/blobs/%s", s.url, i, blobOf(i)), nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("X-Forwarded-For", clientOf(i))
	resp, err := s.transport.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	location := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusTemporaryRedirect || location == "" {
		return "", fmt.Errorf("status %d, location %q: want a temporary redirect", resp.StatusCode, location)
	}
	return location, nil
}

// getAll requests n blobs over all connections.
func (s *server) getAll(ctx context.Context, first, n int) error {
	g, ctx := errgroup.WithContext(ctx)
	for c := range connections {
		g.Go(func() error {
			for i := c; i < n; i += connections {
				if _, err := s.get(ctx, first+i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}
