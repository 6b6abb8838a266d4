package copier

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"archeio/lambda/config"
	"archeio/lambda/registry"
)

// TestUnchanged tests that the first run plans each blob once, although an index and its
// children are in several steps, and that a run without changes requests the listings
// only and writes nothing about repositories.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	for _, google := range []bool{false, true} {
		t.Run(map[bool]string{false: "tags", true: "google"}[google], func(t *testing.T) {
			t.Parallel()
			h := startHub(t, ggcr.WithReferrersSupport(true))
			h.google = google
			const images = chunk + 8
			var children []string
			for i := range images {
				_, blob := noise(byte(i), 10)
				data, _ := noise(byte(i), 10)
				h.blob(t, "team/app", data)
				text := manifestOf(blob)
				tag := fmt.Sprintf("v%d", i)
				if google {
					tag = blobOf([]byte(text)).Digest
				}
				digest := h.manifest(t, "team/app", tag, ociManifest, text)
				children = append(children, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, ociManifest, digest, len(text)))
			}
			h.manifest(t, "team/app", "all", "application/vnd.oci.image.index.v1+json", `{"schemaVersion":2,"manifests":[`+strings.Join(children, ",")+`]}`)
			d := deploy(t, nil, &Filler{Source: h.source(t, "team", registry.Options{})})
			state := newMemoryState()
			d.State = state
			d.fill(t)
			if n := len(d.memory.blobs(d.Buckets[1])); n != images || len(d.queue.dead) > 0 {
				t.Fatalf("%d blobs, want %d; dead letters %q\n%s", n, images, d.queue.dead, d.log)
			}
			d.memory.mu.Lock()
			for what, n := range d.memory.requests {
				if strings.HasPrefix(what, "HEAD /primary/") && n > 2 {
					t.Errorf("%d requests %s, want at most 2", n, what)
				}
			}
			d.memory.mu.Unlock()
			h.requests()
			state.takeWritten()
			d.fill(t)
			for _, r := range h.requests() {
				if r != "GET /v2/" && !strings.Contains(r, "/tags/list") && !strings.Contains(r, "_catalog") && !strings.HasPrefix(r, "HEAD /v2/team/app/manifests/") {
					t.Errorf("request %s in a run without changes", r)
				}
			}
			written := state.takeWritten()
			if slices.ContainsFunc(written, func(name string) bool {
				return name != jobName(doPlan) && name != inventoryName && name != roundName && name != config.CanaryImageName && !strings.HasPrefix(name, piecePrefix)
			}) || len(written) > 8 {
				t.Errorf("a run without changes writes %q", written)
			}
			d.fill(t)
			if written := state.takeWritten(); slices.ContainsFunc(written, func(name string) bool { return strings.HasPrefix(name, piecePrefix) }) {
				t.Errorf("a second run without changes writes %q", written)
			}
		})
	}
}

// TestWaiting tests that while messages wait, listing and index go on and no second round
// is enqueued, until the first one was received or a day has passed; and that the first
// fill is reported.
func TestWaiting(t *testing.T) {
	t.Parallel()
	f, _, _, _ := generate(2, 10)
	var metrics bytes.Buffer
	f.Metrics = &metrics
	queue := f.Queue.(*memoryQueue)
	now := time.Now().Add(-48 * time.Hour).Truncate(time.Second)
	f.Now = func() time.Time { return now }
	for _, tt := range []struct {
		name              string
		before            func()
		after             time.Duration
		messages, waiting int
		filling           bool
	}{
		{"first", func() {}, 0, 1, 0, true},
		{"all-wait", func() {}, time.Hour, 0, 2, true},
		{"received", func() {
			i := slices.IndexFunc(queue.waiting, func(d delivery) bool { return strings.Contains(d.body, `"do":"round"`) })
			if err := f.Work(t.Context(), queue.waiting[i].body); err != nil {
				t.Error(err)
			}
			queue.waiting = slices.Delete(queue.waiting, i, i+1)
		}, time.Hour, 1, 0, true},
		{"all-wait-again", func() {}, time.Hour, 0, 3, true},
		{"lost", func() {}, 24 * time.Hour, 1, 0, true},
		{"empty", func() { queue.waiting = nil }, time.Hour, 1, 0, false},
		{"wait-later", func() {}, time.Hour, 0, 2, false},
	} {
		tt.before()
		now = now.Add(tt.after)
		metrics.Reset()
		r, err := f.Plan(t.Context())
		if err != nil || !r.Done || r.Messages != tt.messages || r.Waiting != tt.waiting || strings.Contains(metrics.String(), `"FirstFill":1`) != tt.filling {
			t.Errorf("%s: %+v, error %v, want %d messages, %d waiting and FirstFill %v in %s", tt.name, r, err, tt.messages, tt.waiting, tt.filling, &metrics)
		}
		if delayed := tt.waiting > 0 && !tt.filling; strings.Contains(metrics.String(), `"WorkDelay":3600`) != delayed {
			t.Errorf("%s: metrics %s, want a WorkDelay of one hour: %v", tt.name, &metrics, delayed)
		}
		if listed := headerOf(t, f.Buckets[1]).Listed; !listed.Equal(now) {
			t.Errorf("%s: the index is of %v, want %v", tt.name, listed, now)
		}
	}
	queue.waiting = append(queue.waiting, delivery{body: "{}"})
	if r, err := f.Status(t.Context()); err != nil || !r.Done || r.Messages != 0 {
		t.Errorf("status while messages wait: %+v, error %v", r, err)
	}
}

// TestFirstFillOfNewMirror tests that the first fill of a mirror that was added lasts until
// all work for it is done, messages in flight included, and that nothing else begins one.
func TestFirstFillOfNewMirror(t *testing.T) {
	t.Parallel()
	f, _, _, _ := generate(3, 10)
	var metrics bytes.Buffer
	f.Metrics = &metrics
	queue := f.Queue.(*memoryQueue)
	now := time.Now().Add(-48 * time.Hour).Truncate(time.Second)
	f.Now = func() time.Time { return now }
	all, regions := f.Buckets, f.Regions
	buckets := func(at ...int) {
		f.Buckets, f.Regions = nil, nil
		for _, i := range at {
			f.Buckets, f.Regions = append(f.Buckets, all[i]), append(f.Regions, regions[i])
		}
	}
	done := func() { queue.waiting, queue.inFlight = nil, 0 }
	for _, tt := range []struct {
		name             string
		before           func()
		filling, delayed bool
	}{
		{"first", func() { buckets(0, 1) }, true, false},
		{"first-in-flight", func() { queue.waiting, queue.inFlight = nil, 2 }, true, false},
		{"first-done", done, false, false},
		{"delayed", func() {}, false, true},
		{"in-flight-later", func() { queue.waiting, queue.inFlight = nil, 2 }, false, false},
		{"added-while-idle", func() { done(); buckets(0, 1, 2) }, true, false},
		{"added-waits", func() {}, true, false},
		{"added-in-flight", func() { queue.waiting, queue.inFlight = nil, 1 }, true, false},
		{"added-done", done, false, false},
		{"reordered", func() { buckets(0, 2, 1) }, false, true},
		{"another-primary", func() { buckets(1, 2, 0) }, false, true},
		{"removed", func() { buckets(1, 2) }, false, true},
		{"removed-done", done, false, false},
		{"added-again-while-messages-wait", func() { buckets(1, 2, 0) }, true, false},
		{"only-the-work-before-is-done", done, true, false},
		{"added-again-done", done, false, false},
	} {
		tt.before()
		now = now.Add(time.Hour)
		metrics.Reset()
		if r, err := f.Plan(t.Context()); err != nil || !r.Done {
			t.Errorf("%s: %+v, error %v", tt.name, r, err)
		}
		filling, delayed := strings.Contains(metrics.String(), `"FirstFill":1`), strings.Contains(metrics.String(), `"WorkDelay"`)
		if filling != tt.filling || delayed != tt.delayed {
			t.Errorf("%s: FirstFill %v, WorkDelay %v, want %v and %v", tt.name, filling, delayed, tt.filling, tt.delayed)
		}
	}
}

// TestNewerRun tests that a message continues what older runs have left, looks for what
// they have missed, and that their messages are then ignored.
func TestNewerRun(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	h.push(t, "app:v1", image(t, 50, 1))
	d := deploy(t, nil, &Filler{Source: h.source(t, "", registry.Options{})})
	const older, newer = "plan-20260101T000000.000Z", "plan-20260102T000000.000Z"
	if err := d.write(t.Context(), workPrefix+"app.json", progress{Run: older, After: "zzz"}); err != nil {
		t.Fatal(err)
	}
	work := func(run string) (requests int) {
		t.Helper()
		body, err := json.Marshal(Message{Do: doRepository, Run: run, Repository: "app", Leaf: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), invocation)
		defer cancel()
		h.requests()
		if err := d.Work(ctx, string(body)); err != nil {
			t.Error(err)
		}
		return len(h.requests())
	}
	work(newer)
	if d.queue.sent != 1 || len(d.memory.blobs(d.Buckets[0])) > 0 {
		t.Errorf("%d messages, want one to begin again", d.queue.sent)
	}
	if n := work(older); n > 0 {
		t.Errorf("%d requests for a message of an older run", n)
	}
	d.work(t)
	if n := len(d.memory.blobs(d.Buckets[1])); n != 2 {
		t.Errorf("%d blobs, want 2\n%s", n, d.log)
	}
	if n := work(newer); n > 0 {
		t.Errorf("%d requests for a message that was delivered twice", n)
	}
}
