package copier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"time"

	"archeio/lambda/metrics"
	"archeio/lambda/registry"
)

// Filler fills mirrors in many short invocations, each with a deadline: Plan and
// Status enqueue work, Work does it. Everything that must outlive an invocation
// is in State. All methods are safe for concurrent use.
type Filler struct {
	Source *registry.Client
	// Buckets are those of the mirrors, the primary first; Regions are their
	// regions, which are the names of the mirrors.
	Buckets []*Bucket
	Regions []string
	// Filling are the positions of the buckets that the index does not wait for.
	Filling []int
	State   State
	Queue   Queue
	// Filter, AllowEmpty, Referrers, Parallel and Now are as in Options.
	Filter     Filter
	AllowEmpty bool
	Referrers  bool
	Parallel   int
	Now        func() time.Time
	// Log is for operators. Metrics gets lines in the CloudWatch embedded metric
	// format.
	Log     *slog.Logger
	Metrics io.Writer

	mu   sync.Mutex
	held *holdings // the last that were loaded

	limits foundLimits // zero for the default
}

// Queue delivers messages to workers, each at least once.
type Queue interface {
	Send(ctx context.Context, messages ...Message) error
	// Waiting returns the approximate numbers of messages that no worker has received yet,
	// and of those that one has received and not processed. Delayed ones are in neither.
	Waiting(ctx context.Context) (waiting, inFlight int, err error)
}

// The values of Message.Do.
const (
	doPlan       = "plan"
	doStatus     = "status"
	doRepository = "repository"
	doBlob       = "blob"
	doRound      = "round"
	doIndex      = "index"
)

// Message is a unit of work in the queue. Work that does not fit into one
// invocation continues as a new message, so that only failures are received
// again.
type Message struct {
	// Do is the kind of work: "plan" and "status" continue a run of that kind,
	// "repository" copies the missing blobs of a repository or of one of its
	// shards, "blob" copies one blob, "round" is the last message of
	// a planner run, "index" adds to the blob index what workers have copied.
	Do string `json:"do"`
	// Run is the name of the planner run that has sent it, if it is of one. That of an
	// "index" message is the content of indexUpdateName.
	Run string `json:"run"`
	// Delay is how long the queue holds the message back, in whole seconds, at most
	// 15 minutes.
	Delay time.Duration `json:"-"`

	Repository string `json:"repository,omitempty"`
	// Leaf reports that other messages have the repositories below this one.
	Leaf bool `json:"leaf,omitempty"`
	// Shard is the number of one of Of shards of a repository; Of is 0 or 1 for
	// a whole repository.
	Shard int `json:"shard,omitempty"`
	Of    int `json:"of,omitempty"`

	Blob  *registry.Blob `json:"blob,omitempty"`
	Image string         `json:"image,omitempty"`
	// Requeues is how often the blob, or the update of the index, has been sent again as a
	// new message.
	Requeues int `json:"requeues,omitempty"`
	// Failures is how many updates of the index in a row have failed.
	Failures int `json:"failures,omitempty"`
}

// Work processes a message. After an error the message must be received again.
func (f *Filler) Work(ctx context.Context, body string) error {
	var m Message
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return fmt.Errorf("invalid message %q: %w", cut(body), err)
	}
	switch {
	case (m.Do == doPlan || m.Do == doStatus) && m.Run != "":
		_, err := f.run(ctx, m.Do, m.Run)
		return err
	case m.Do == doRepository && m.Repository != "" && m.Shard >= 0 && m.Shard < max(m.Of, 1):
		return f.repository(ctx, m)
	case m.Do == doRound && m.Run != "":
		return f.State.Put(ctx, roundName, []byte(m.Run))
	case m.Do == doIndex:
		return f.index(ctx, m)
	case m.Do == doBlob && m.Repository != "" && m.Blob != nil:
		return f.blob(ctx, m)
	}
	return fmt.Errorf("invalid message %q: unknown or incomplete kind of work", cut(body))
}

// cut keeps log lines short.
func cut(text string) string {
	if len(text) > 200 {
		return text[:200] + "..."
	}
	return text
}

// clock has the end of one invocation. Lambda ends a process at its deadline
// without warning, so new work stops at stop, and requests in flight end at end.
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

// read decodes JSON of the state into a value; false if it does not exist, or is
// damaged: then it is rebuilt.
func (f *Filler) read(ctx context.Context, name string, into any) (bool, error) {
	data, err := f.State.Get(ctx, name)
	if err != nil || data == nil {
		return false, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		reflect.ValueOf(into).Elem().SetZero() // it may be partly decoded
		f.logDamaged(name, err)
		return false, nil
	}
	return true, nil
}

// logDamaged logs that a piece of the state is rebuilt.
func (f *Filler) logDamaged(name string, err error) {
	f.Log.Warn("state is damaged, rebuilding it", "state", name, "error", err.Error())
}

func (f *Filler) write(ctx context.Context, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.State.Put(ctx, name, data)
}

// now returns the time of the clock.
func (f *Filler) now() time.Time {
	if f.Now == nil {
		return time.Now()
	}
	return f.Now()
}

func (f *Filler) count(dimension, value string, counts ...metrics.Datum) {
	metrics.Write(f.Metrics, f.now(), dimension, value, counts...)
}

func (f *Filler) countCopied(blobs int, bytes int64) {
	if blobs > 0 {
		f.count("", "", metrics.Datum{Name: metrics.Copied, Unit: "Count", Value: blobs}, metrics.Datum{Name: metrics.CopiedBytes, Unit: "Bytes", Value: bytes})
	}
}

func (f *Filler) countNeedsCopy(n int) {
	f.count("", "", metrics.Datum{Name: metrics.NeedsMirrorCopy, Unit: "Count", Value: n})
}

func (f *Filler) countAbsent(n int) {
	if n > 0 {
		f.count("", "", metrics.Datum{Name: metrics.AbsentContent, Unit: "Count", Value: n})
	}
}

// logFailure logs an error of a plan or of a copy.
func (f *Filler) logFailure(repository string, err error) {
	failed := &ItemError{Repository: repository}
	errors.As(err, &failed)
	f.Log.Error("copying failed", "repository", failed.Repository, "image", failed.Image, "digest", failed.Digest, "error", err.Error())
}

// logAbsent logs what the source does not have.
func (f *Filler) logAbsent(repository string, err error) {
	gone := &ItemError{Repository: repository}
	errors.As(err, &gone)
	f.Log.Warn("not in the source", "repository", gone.Repository, "image", gone.Image, "digest", gone.Digest, "reason", err.Error())
}

func (f *Filler) logWarnings(warnings []string) {
	for _, text := range warnings {
		f.Log.Warn("blob of another size than in its manifest", "blob", text)
	}
}
