package copier

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/lambda/registry"
)

// filled is a deployment with a source of one image that was copied and listed.
type filled struct {
	*deployed
	hub   *hub
	blobs []string // of the source
	// late has the messages that update the index, while they are held back.
	late []delivery
}

func newFilled(t *testing.T, buckets int, filling ...int) *filled {
	t.Helper()
	h := startHub(t)
	x := &filled{hub: h, deployed: deploy(t, nil, &Filler{Source: h.source(t, "", registry.Options{}), Filling: filling})}
	x.Buckets, x.Regions, x.State = x.Buckets[:buckets], x.Regions[:buckets], newMemoryState()
	x.push(t)
	x.fill(t)
	x.plan(t)
	x.work(t)
	x.queue.sent = 0
	return x
}

// push adds an image to the source, and returns its blob.
func (x *filled) push(t *testing.T) (digest string) {
	t.Helper()
	data, blob := noise(byte(len(x.blobs)), 100)
	x.hub.blob(t, "app", data)
	x.hub.manifest(t, "app", fmt.Sprintf("v%d", len(x.blobs)), ociManifest, manifestOf(blob))
	x.blobs = append(x.blobs, blob.Digest)
	return blob.Digest
}

func (x *filled) plan(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), invocation)
	defer cancel()
	if r, err := x.Plan(ctx); err != nil || !r.Done {
		t.Errorf("%+v, error %v", r, err)
	}
}

// copyNew copies a new image, and holds back the message that updates the index.
func (x *filled) copyNew(t *testing.T) (digest string) {
	t.Helper()
	digest = x.push(t)
	x.plan(t)
	x.hold(t)
	return digest
}

// hold processes all messages but those that update the index.
func (x *filled) hold(t *testing.T) {
	t.Helper()
	for {
		m, ok := x.queue.next()
		if !ok {
			return
		}
		if m.delay > 0 {
			x.late = append(x.late, m)
			continue
		}
		x.deliver(t, m)
	}
}

// update processes the messages that were held back.
func (x *filled) update(t *testing.T) {
	t.Helper()
	for _, m := range x.late {
		x.deliver(t, m)
	}
	x.late = nil
}

func (x *filled) deliver(t *testing.T, m delivery) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), invocation)
	defer cancel()
	if err := x.Work(ctx, m.body); err != nil {
		t.Errorf("message %s: %v", m.body, err)
	}
}

// found notes that some buckets have a blob, as a worker does.
func (x *filled) found(t *testing.T, digest string, buckets ...int) {
	t.Helper()
	x.foundUntil(t.Context(), t, digest, buckets...)
}

// foundUntil is found with the deadline of a worker.
func (x *filled) foundUntil(ctx context.Context, t *testing.T, digest string, buckets ...int) {
	t.Helper()
	var f found
	for _, i := range buckets {
		f.add(i, digest)
	}
	if err := x.saveFound(ctx, clockOf(ctx), &f); err != nil {
		t.Fatal(err)
	}
}

// indexed checks that the index in each bucket has exactly some blobs, and the date of
// the inventory.
func (x *filled) indexed(t *testing.T, digests ...string) {
	t.Helper()
	inv, err := x.loadInventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range x.Buckets {
		i := indexOf(t, b)
		if i.Len() != len(digests) || slices.ContainsFunc(digests, func(d string) bool { return !i.Has(d) }) {
			t.Errorf("bucket %q: the index has %d blobs, want %q\n%s", b.Name, i.Len(), digests, x.log)
		}
		if want := inv.listed().Truncate(time.Millisecond); !i.Listed.Equal(want) {
			t.Errorf("bucket %q: the index is of %v, want the date of the inventory, %v", b.Name, i.Listed, want)
		}
	}
}

// TestIndexUpdate tests that the index has what workers have copied without another run of
// the planner, and nothing else.
func TestIndexUpdate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		buckets int
		filling []int
		between func(t *testing.T, x *filled, digest string) // after the copy
		want    func(x *filled) []string
	}{
		{name: "copied", want: func(x *filled) []string { return x.blobs }},
		{name: "one-bucket", buckets: 1, want: func(x *filled) []string { return x.blobs }},
		{name: "filling", filling: []int{1}, want: func(x *filled) []string { return x.blobs }},
		{name: "withdrawn", between: func(t *testing.T, x *filled, digest string) {
			if _, err := Withdraw(t.Context(), x.State, x.Buckets, digest); err != nil {
				t.Fatal(err)
			}
		}, want: func(x *filled) []string { return x.blobs[:1] }},
		{name: "pruned", between: func(t *testing.T, x *filled, digest string) {
			d, _ := ParseDigest(digest)
			savePruned(t, x.State, pruneEntry{d, time.Now().Unix(), 0, time.Now().Add(time.Hour).Unix()})
		}, want: func(x *filled) []string { return x.blobs[:1] }},
		{name: "taken-out", between: func(t *testing.T, x *filled, _ string) {
			for _, b := range x.Buckets {
				if err := b.takeOut(t.Context(), []uint64{entryOf(x.blobs[0])}); err != nil {
					t.Fatal(err)
				}
			}
		}, want: func(x *filled) []string { return x.blobs[1:] }},
		{name: "in-one-mirror", between: func(t *testing.T, x *filled, _ string) {
			x.found(t, putBlob(t, "stray", x.Buckets[0]), 0)
		}, want: func(x *filled) []string { return x.blobs }},
		{name: "found-apart", between: func(t *testing.T, x *filled, _ string) {
			stray := putBlob(t, "stray", x.Buckets...)
			for i := range x.Buckets {
				x.found(t, stray, i)
			}
			x.blobs = append(x.blobs, stray)
		}, want: func(x *filled) []string { return x.blobs }},
		{name: "planner-first", between: func(t *testing.T, x *filled, _ string) { x.plan(t) }, want: func(x *filled) []string { return x.blobs }},
		{name: "other-buckets", between: func(t *testing.T, x *filled, _ string) {
			for _, b := range x.Buckets {
				if err := b.takeOut(t.Context(), []uint64{entryOf(x.blobs[0])}); err != nil {
					t.Fatal(err)
				}
			}
			// The planner has not listed this one.
			x.Buckets[1] = x.memory.bucket("other", "eu-central-1")
			x.memory.objects["other/"+*indexKey] = x.memory.objects["replica/"+*indexKey]
			x.found(t, x.blobs[0], 0)
		}, want: func(x *filled) []string { return nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newFilled(t, max(tt.buckets, 2-tt.buckets), tt.filling...)
			digest := x.copyNew(t)
			x.indexed(t, x.blobs[0])
			if tt.between != nil {
				tt.between(t, x, digest)
			}
			if len(x.late) != 1 {
				t.Fatalf("%d messages that update the index, want one", len(x.late))
			}
			x.update(t)
			x.hold(t)
			x.indexed(t, tt.want(x)...)
			if log := x.log.String(); strings.Contains(log, "level=ERROR") {
				t.Error(log)
			}
		})
	}
}

// TestIndexUpdateRequests tests that one message at a time updates the index, that none is
// sent if nothing was copied, and that a lost one is replaced.
func TestIndexUpdateRequests(t *testing.T) {
	t.Parallel()
	x := newFilled(t, 2)
	x.plan(t)
	x.hold(t)
	if len(x.late) > 0 {
		t.Error("a run without changes updates the index")
	}
	ctx, n := t.Context(), 0
	findNext := func() (digest string) {
		t.Helper()
		n++
		digest = putBlob(t, fmt.Sprint("stray", n), x.Buckets...)
		x.foundUntil(ctx, t, digest, 0, 1)
		return digest
	}
	check := func(what string, messages int, has bool, digest string) {
		t.Helper()
		x.hold(t)
		if got := indexOf(t, x.Buckets[1]).Has(digest); len(x.late) != messages || got != has {
			t.Errorf("%s: %d messages that update the index, it has the last blob: %v; want %d, %v", what, len(x.late), got, messages, has)
		}
	}
	requested := func() bool {
		data, _ := x.State.Get(ctx, indexUpdateName)
		return data != nil
	}

	findNext()
	findNext()
	digest := findNext()
	check("three-at-once", 1, false, digest)
	x.update(t)
	check("updated", 0, true, digest)
	x.found(t, digest, 0, 1)
	check("found-again", 0, true, digest)
	check("after-an-update", 1, false, findNext())
	x.update(t)

	queue := x.Queue
	x.Queue = full{}
	digest = findNext()
	if x.Queue = queue; requested() || !strings.Contains(x.log.String(), "the queue is full") {
		t.Errorf("an update is requested without a message\n%s", x.log)
	}
	check("next-after-a-full-queue", 1, false, findNext())
	x.update(t)
	check("update-after-a-full-queue", 0, true, digest)

	// Killed before the message was sent.
	if _, err := x.State.Create(ctx, indexUpdateName, []byte(time.Now().UTC().Format(time.RFC3339))); err != nil {
		t.Fatal(err)
	}
	digest = findNext()
	check("killed", 0, false, digest)
	x.plan(t)
	x.hold(t)
	check("planner-after-a-kill", 0, true, digest)
	if requested() {
		t.Error("the planner leaves the request of an update")
	}
	check("sent-after-a-kill", 1, false, findNext())

	// That message does not arrive, and a worker notices it.
	x.Now = func() time.Time { return time.Now().Add(indexOverdue + 2*time.Second) }
	short, cancel := context.WithTimeout(ctx, indexTime)
	defer cancel()
	whole := ctx
	ctx = short
	check("too-late-for-a-worker", 1, false, findNext())
	ctx = whole
	check("overdue", 1, true, findNext())
}

// TestIndexUpdateReplication tests that the index has a blob once S3 has replicated it, if
// that does not take too long.
func TestIndexUpdateReplication(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		arrives  int // before which update
		routed   bool
		messages int
	}{
		{"at-once", 1, true, 1},
		{"later", 3, true, 3},
		{"too-late", 10, true, 1 + maxRechecks},
		{"to-a-mirror-that-is-being-filled", 10, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newFilled(t, 2)
			if !tt.routed {
				x.Filling = []int{1}
				x.plan(t)
				x.hold(t)
			}
			blob := putBlob(t, "replicated", x.Buckets[0])
			x.found(t, blob, 0)
			messages := 0
			for x.hold(t); len(x.late) > 0; x.hold(t) {
				if len(x.late) > 1 {
					t.Fatalf("%d messages at the same time", len(x.late))
				}
				if messages++; messages == tt.arrives {
					putBlob(t, "replicated", x.Buckets[1])
				}
				x.update(t)
			}
			if messages != tt.messages {
				t.Errorf("%d messages, want %d", messages, tt.messages)
			}
			if want := messages >= tt.arrives || !tt.routed; want {
				x.indexed(t, x.blobs[0], blob)
			} else {
				x.indexed(t, x.blobs[0])
			}
			if messages < tt.arrives {
				putBlob(t, "replicated", x.Buckets[1])
				return
			}
			// The planner knows it too.
			x.plan(t)
			x.indexed(t, x.blobs[0], blob)
		})
	}
}

// TestIndexUpdateBehindMissing tests that the index has the blobs that S3 has replicated,
// although more than one update checks are missing and sorted before them.
func TestIndexUpdateBehindMissing(t *testing.T) {
	t.Parallel()
	x := newFilled(t, 2)
	var f found
	var last, content string
	for i := range maxChecks + 10 {
		digest := putBlob(t, fmt.Sprint(i)) // its digest only
		f.add(0, digest)
		if digest > last {
			last, content = digest, fmt.Sprint(i)
		}
	}
	putBlob(t, content, x.Buckets[1])
	if err := x.saveFound(t.Context(), clockOf(t.Context()), &f); err != nil {
		t.Fatal(err)
	}
	x.hold(t)
	x.update(t)
	x.indexed(t, x.blobs[0])
	x.hold(t)
	x.update(t)
	x.indexed(t, x.blobs[0], last)
}
