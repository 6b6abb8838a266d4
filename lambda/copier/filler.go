package copier

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"archeio/lambda/config"
	"archeio/lambda/metrics"
)

// Filler do the copying in many short runs, each with a deadline: Plan and
// Status hand out work, and Work does it. What must outlive a run is in State.
// All methods are safe for concurrent use.
type Filler struct {
	Source *Source
	// Buckets are the mirrors', the primary first; Regions are theirs, as names
	// of the mirrors.
	Buckets []*Bucket
	Regions []string
	// Filling are the buckets, by their place, that the index does not wait for.
	Filling []int
	State   State
	Queue   Queue
	// Referrers is as in Options.
	Referrers bool
	// Parallel is as in Options.
	Parallel int
	// Log gets what an operator wants to know, Metrics lines in CloudWatch's
	// embedded metric format.
	Log     *slog.Logger
	Metrics io.Writer

	mu      sync.Mutex
	held    snapshot
	heldRun string
}

// Queue hands messages on to workers, each at least once.
type Queue interface {
	Send(ctx context.Context, messages ...Message) error
	// Waiting is about how many messages no worker has taken yet.
	Waiting(ctx context.Context) (int, error)
}

// What a message asks for.
const (
	doPlan       = "plan"
	doStatus     = "status"
	doRepository = "repository"
	doBlob       = "blob"
)

// Message is a piece of work on the queue. A message that does not fit into one
// run goes on as a fresh one, so that only what fails is received again.
type Message struct {
	// Do is what is asked for: "plan" and "status" go on with a run of that
	// kind, "repository" copies what a share of a repository lacks, "blob" one
	// blob.
	Do string `json:"do"`
	// Run names the listing of the buckets that it is about.
	Run string `json:"run"`

	Repository string `json:"repository,omitempty"`
	// Shard of Of shares of a repository; Of is 0 or 1 for the whole of it.
	Shard int `json:"shard,omitempty"`
	Of    int `json:"of,omitempty"`

	Blob  *Blob  `json:"blob,omitempty"`
	Image string `json:"image,omitempty"`
	// Requeues is how often the blob has gone on as a fresh message.
	Requeues int `json:"rounds,omitempty"`
}

// Work does what a message asks for. After an error the message is to be
// received again.
func (f *Filler) Work(ctx context.Context, body string) error {
	var m Message
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return fmt.Errorf("the message %q is none of ours: %w", cut(body), err)
	}
	switch {
	case (m.Do == doPlan || m.Do == doStatus) && m.Run != "":
		_, err := f.run(ctx, m.Do, m.Run)
		return err
	case m.Do == doRepository && m.Repository != "" && m.Shard >= 0 && m.Shard < max(m.Of, 1):
		return f.repository(ctx, m)
	case m.Do == doBlob && m.Repository != "" && m.Blob != nil:
		return f.blob(ctx, m)
	}
	return fmt.Errorf("the message %q asks for nothing that is known", cut(body))
}

// cut keeps lines of the log short.
func cut(text string) string {
	if len(text) > 200 {
		return text[:200] + "..."
	}
	return text
}

// clock is the time of one run. Lambda ends a process at its deadline without a
// word, so work stops a while before, and what waits for others a bit later.
type clock struct{ stop, end time.Time }

func clockOf(ctx context.Context) clock {
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(24 * time.Hour)
	}
	reserve := min(time.Until(end)/5, 30*time.Second)
	return clock{stop: end.Add(-reserve), end: end.Add(-reserve / 2)}
}

func (c clock) over() bool { return time.Now().After(c.stop) }

// read reads JSON of the state; false if it is not there.
func (f *Filler) read(ctx context.Context, name string, into any) (bool, error) {
	data, err := f.State.Get(ctx, name)
	if err != nil || data == nil {
		return false, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return false, fmt.Errorf("reading %q of the state: %w; remove it to begin anew", name, err)
	}
	return true, nil
}

func (f *Filler) write(ctx context.Context, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.State.Put(ctx, name, data)
}

func (f *Filler) count(dimension, value string, counts ...metrics.Datum) {
	metrics.Write(f.Metrics, time.Now(), dimension, value, counts...)
}

func snapshotName(run string) string { return config.RunPrefix + run + "/held" }

// snapshotOf is what the buckets had when a run listed them.
func (f *Filler) snapshotOf(ctx context.Context, run string) (snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held != nil && f.heldRun == run {
		return f.held, nil
	}
	f.held = nil // two at once may be too large
	data, err := f.State.Get(ctx, snapshotName(run))
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fmt.Errorf("the run %q has no listing of the buckets any more", run)
	}
	if f.held, err = parseSnapshot(data); err != nil {
		return nil, err
	}
	f.heldRun = run
	return f.held, nil
}
