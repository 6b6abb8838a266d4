package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"archeio/scripts/prove/cli"
)

// crowd is the number of requests that wait for a token at the same time, and leastCrowd
// that on a machine which is too busy to send so many within crowdTime.
const (
	crowd, leastCrowd = 1000, 100
	crowdTime         = 1500 * time.Millisecond
)

// tokenCrowd sends requests to one process with as many concurrent invocations, while it
// has no token and the token server needs a second, or fails after a second.
type tokenCrowd struct {
	fails bool
}

func (c tokenCrowd) run(f *faultTest, ctx context.Context) (string, error) {
	t, err := f.testbed(ctx, map[string]string{"AWS_LAMBDA_MAX_CONCURRENCY": strconv.Itoa(crowd), "UPSTREAM_RATE": "100000"})
	if err != nil {
		return "", err
	}
	defer t.stop()
	t.transport.MaxIdleConnsPerHost = crowd
	const manifest = `{"schemaVersion":2}`
	challenge := fmt.Sprintf(`Bearer realm="%s/token",service="archeio-test-registry"`, t.tokens.url)
	t.upstream.inject(func(w http.ResponseWriter, r *http.Request) { // the registry itself would be too slow
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = io.WriteString(w, manifest)
	})
	t.tokens.inject(func(w http.ResponseWriter, r *http.Request) {
		pause(r.Context(), time.Second)
		if c.fails {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		t.tokens.handler.ServeHTTP(w, r)
	})
	n, err := t.largestCrowd(ctx)
	if err != nil {
		return "", err
	}
	seen, took := t.crowd(ctx, n, func(i int) string { return fmt.Sprintf("/v2/%s/manifests/t%d", singleRepository, i) })
	observed := fmt.Sprintf("%s; %d requests for a token; all within %s", counted(seen), t.tokens.issued.Load(), seconds(took))
	expected := "200 " + manifest
	if c.fails {
		expected = "502 upstream-failed"
	}
	switch {
	case seen[expected] != n:
		return observed, fmt.Errorf("want %d with %s", n, expected)
	case t.tokens.issued.Load() != 1:
		return observed, fmt.Errorf("%d requests for a token, want one", t.tokens.issued.Load())
	case took > relayTimeout:
		return observed, fmt.Errorf("took %s, want at most %s", seconds(took), seconds(relayTimeout))
	}
	return observed, nil
}

// largestCrowd returns how many requests can be sent within crowdTime. It opens their
// connections, with requests that need neither a mirror nor the upstream.
func (t *testbed) largestCrowd(ctx context.Context) (int, error) {
	for n := crowd; n >= leastCrowd; n /= 2 {
		var took time.Duration
		for range 2 {
			_, took = t.crowd(ctx, n, func(int) string { return "/v2/" })
		}
		if took <= crowdTime {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: this machine is too busy to send %d requests within %s", cli.ErrSkipped, leastCrowd, crowdTime)
}

// crowd sends n requests at the same time, and returns how many got which response, and
// how long it took.
func (t *testbed) crowd(ctx context.Context, n int, path func(i int) string) (seen map[string]int, took time.Duration) {
	began := time.Now()
	responses := make([]string, n)
	var all sync.WaitGroup
	for i := range responses {
		all.Go(func() { responses[i] = t.ask(ctx, path(i)) })
	}
	all.Wait()
	seen = map[string]int{}
	for _, r := range responses {
		seen[r]++
	}
	return seen, time.Since(began)
}

// ask requests a path, and returns the status, with the body of a 200 or the reason of
// another response.
func (t *testbed) ask(ctx context.Context, path string) string {
	resp, err := t.request(ctx, t.entryPoint.url+path)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err.Error()
	case resp.StatusCode == http.StatusOK:
		return "200 " + strings.TrimSpace(string(body))
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, resp.Header.Get("X-Redirect-Reason"))
}
