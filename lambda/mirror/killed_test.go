package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	"archeio/lambda/copier"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/system"
)

// killer is a proxy that kills the process of a function with SIGKILL at one of its
// requests, before or after the request has had its effect. It is safe for concurrent
// use.
type killer struct {
	next http.Handler

	mu     sync.Mutex
	pid    int
	left   int // requests until the process is killed
	before bool
}

// never is a number of requests that no invocation sends.
const never = 1 << 30

func (k *killer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.left--
	now, pid, before := k.left == 0, k.pid, k.before
	k.mu.Unlock()
	if now && before {
		syscall.Kill(pid, syscall.SIGKILL)
		return
	}
	if now {
		w = httptest.NewRecorder() // the response is lost
	}
	k.next.ServeHTTP(w, r)
	if now {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// aim chooses the process, and the request at which it is killed.
func (k *killer) aim(pid, left int, before bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pid, k.left, k.before = pid, left, before
}

// hourLater lets an unfinished run of the planner seem an hour older, so that the next
// invocation does not take it to be in progress.
func (d *deployment) hourLater(t *testing.T) {
	t.Helper()
	const job = "plan.json"
	data, err := d.state.Get(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if data == nil {
		return
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	touched, err := time.Parse(time.RFC3339, fmt.Sprint(fields["touched"]))
	if err != nil {
		t.Fatal(err)
	}
	fields["touched"] = touched.Add(-time.Hour)
	if data, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	if err := d.state.Put(t.Context(), job, data); err != nil {
		t.Fatal(err)
	}
}

// TestKilledFunctions kills planner and workers at any of their requests to S3, the
// writes of their state among them. The next run must go on, with nothing lost and no
// blob left out.
func TestKilledFunctions(t *testing.T) {
	t.Parallel()
	own, err := system.Start(t.Context(), system.Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Stop)
	d := deployIn(t, own, "killed", 30*time.Second, "", nil)
	d.process.Stop() // each invocation has a process of its own
	d.Queue.MaxReceiveCount = 100
	for i := range 4 {
		d.push(t, fmt.Sprintf("team-%d/app:v1", i), 1000, 3)
	}

	endpoint, err := url.Parse(d.env["AWS_ENDPOINT_URL_S3"])
	if err != nil {
		t.Fatal(err)
	}
	k := &killer{next: &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = endpoint.Scheme, endpoint.Host },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	env := maps.Clone(d.env)
	env["AWS_ENDPOINT_URL_S3"] = server.URL

	random := rand.New(rand.NewPCG(1, 2))
	kills := 0
	invoke := func(ctx context.Context, payload []byte, left int) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, d.limit)
		defer cancel()
		api, err := runtimeapi.Listen()
		if err != nil {
			return nil, err
		}
		defer api.Close()
		p, err := api.Start(d.bootstrap, env, d.log)
		if err != nil {
			return nil, err
		}
		defer p.Stop()
		k.aim(p.Pid(), left, random.IntN(2) == 0)
		ctx, ended := context.WithCancelCause(ctx)
		go func() {
			<-p.Exited()
			ended(p.Err())
		}()
		result, err := api.Invoke(ctx, payload)
		if err != nil {
			kills++
			return nil, context.Cause(ctx)
		}
		return result, nil
	}
	plan := func(left int) (done bool) {
		d.hourLater(t)
		result, err := invoke(t.Context(), []byte(`{"mirror":"plan"}`), left)
		var r copier.PlanResult
		if err == nil {
			if err := json.Unmarshal(result, &r); err != nil {
				t.Fatal(err)
			}
		}
		return r.Done
	}
	for left := 1; !plan(left); left++ {
		if left == 200 {
			t.Fatalf("the planner is not done after it was killed %d times\n%s", kills, d.log)
		}
	}
	workers := kills + 10
	if err := d.Queue.Drain(t.Context(), 1, func(ctx context.Context, payload []byte) ([]byte, error) {
		if kills < workers {
			return invoke(ctx, payload, 1+random.IntN(30))
		}
		return invoke(ctx, payload, never)
	}); err != nil {
		t.Fatal(err)
	}
	d.whole(t)
	// A worker may have been killed before it requested an update of the index, or in it.
	if !plan(never) {
		t.Error("the last run is not done")
	}
	d.indexed(t)
	if dead := d.Queue.DeadLetters(); len(dead) != 0 {
		t.Errorf("dead letters %q", dead)
	}
	t.Logf("%d kills", kills)
	if kills < 20 {
		t.Errorf("%d kills, want 20 or more", kills)
	}
}
