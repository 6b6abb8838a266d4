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

// crowd is the number of requests that wait for a token at the same time.
const crowd = 1000

// crowdTime is how long this machine may need for as many requests that do not wait.
const crowdTime = 2 * time.Second

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
	// The same without the upstream opens the connections, and shows whether this machine
	// is fast enough.
	took := crowdTime + 1
	for attempt := 0; took > crowdTime && attempt < 5; attempt++ {
		_, took = t.crowd(ctx, func(int) string { return "/blobs/" + t.blobs[0] })
	}
	if took > crowdTime {
		return "", fmt.Errorf("%w: %d redirects to a mirror took %s, want at most %s", cli.ErrSkipped, crowd, seconds(took), seconds(crowdTime))
	}
	var seen map[string]int
	seen, took = t.crowd(ctx, func(i int) string { return fmt.Sprintf("/manifests/t%d", i) })
	observed := fmt.Sprintf("%s; %d requests for a token; all within %s", counted(seen), t.tokens.issued.Load(), seconds(took))
	expected := "200 " + manifest
	if c.fails {
		expected = "502 upstream-failed"
	}
	switch {
	case seen[expected] != crowd:
		return observed, fmt.Errorf("want %d with %s", crowd, expected)
	case t.tokens.issued.Load() != 1:
		return observed, fmt.Errorf("%d requests for a token, want one", t.tokens.issued.Load())
	case took > relayTimeout:
		return observed, fmt.Errorf("took %s, want at most %s", seconds(took), seconds(relayTimeout))
	}
	return observed, nil
}

// crowd sends all requests at the same time, and returns how many got which response, and
// how long it took.
func (t *testbed) crowd(ctx context.Context, path func(i int) string) (seen map[string]int, took time.Duration) {
	began := time.Now()
	responses := make([]string, crowd)
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

// ask requests a path of the single image's repository, and returns the status, with the
// body of a 200 or the reason of another response.
func (t *testbed) ask(ctx context.Context, path string) string {
	resp, err := t.request(ctx, t.entryPoint.url+"/v2/"+singleRepository+path)
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
