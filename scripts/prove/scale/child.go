package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"archeio/lambda/copier"
	"archeio/lambda/registry"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/archeio/mirror"
)

// childEnv is the environment variable that makes a process a child, which reads its
// task from standard input.
const childEnv = "ARCHEIO_SCALE_TASK"

// task is what a child does with the engine of the mirror functions.
type task struct {
	Do      string        `json:"do"` // plan, status, work, withdraw or shell
	Source  string        `json:"source"`
	S3      string        `json:"s3"`
	Mirrors int           `json:"mirrors"`
	Now     time.Time     `json:"now"`
	Hours   int           `json:"hours"` // how often plan or work runs, an hour apart
	Timeout time.Duration `json:"timeout"`
	// Args are those of archeio mirror, for shell.
	Args []string `json:"args"`
	// Messages are those of an earlier child, which work processes.
	Messages []copier.Message `json:"messages"`
	// Withdraw are the digests that are withdrawn before each hour. work then processes
	// the messages of a planner of that hour, which runs in a process of its own.
	Withdraw [][]string `json:"withdraw"`
}

// outcome is what a child prints.
type outcome struct {
	Memory      int64            `json:"memory"` // highest resident memory, in bytes
	Seconds     float64          `json:"seconds"`
	Invocations int              `json:"invocations"`
	Sent        int              `json:"sent"`
	Messages    []copier.Message `json:"messages"`
	Missing     int              `json:"missing,omitempty"` // blobs that a shell has listed
	Error       string           `json:"error,omitempty"`
}

// queue is a queue in memory. Messages that continue a run are kept apart.
type queue struct {
	messages []copier.Message
	sent     int
}

// Send implements copier.Queue.
func (q *queue) Send(_ context.Context, messages ...copier.Message) error {
	q.messages = append(q.messages, messages...)
	q.sent += len(messages)
	return nil
}

// Waiting implements copier.Queue. Workers are assumed to have received everything.
func (q *queue) Waiting(context.Context) (waiting, inFlight int, err error) { return 0, 0, nil }

// take removes the messages that continue a run and returns them.
func (q *queue) take() (continued []copier.Message) {
	var rest []copier.Message
	for _, m := range q.messages {
		if m.Do == "plan" || m.Do == "status" {
			continued = append(continued, m)
		} else {
			rest = append(rest, m)
		}
	}
	q.messages = rest
	return continued
}

// child runs a task and prints its outcome.
func child(stdin io.Reader) error {
	var t task
	if err := json.NewDecoder(stdin).Decode(&t); err != nil {
		return err
	}
	var out outcome
	began := time.Now()
	q := &queue{}
	run := t.run
	if t.Do == "shell" {
		run = t.shell
	} else {
		debug.SetGCPercent(copier.GCPercent) // as the functions do
	}
	if err := run(q, &out); err != nil {
		out.Error = err.Error()
	}
	out.Seconds = time.Since(began).Seconds()
	out.Sent, out.Messages = q.sent, q.messages
	var err error
	if out.Memory, err = highestResident(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// filler returns the engine as the functions make it.
func (t *task) filler(q *queue, now func() time.Time) (*copier.Filler, error) {
	sdk := aws.Config{
		BaseEndpoint: &t.S3, HTTPClient: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	}
	f := &copier.Filler{
		Queue: q, State: copier.StateBucket{Name: stateBucket, Client: copier.NewS3Client(sdk, region(0))},
		Referrers: true, Now: now, Metrics: io.Discard,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	var err error
	if f.Source, err = registry.New(t.Source, registry.Options{}); err != nil {
		return nil, err
	}
	for i := range t.Mirrors {
		f.Buckets = append(f.Buckets, copier.NewBucket(mirrorName(i), copier.NewS3Client(sdk, region(i))))
		f.Regions = append(f.Regions, region(i))
	}
	return f, nil
}

func (t *task) run(q *queue, out *outcome) error {
	now, began := t.Now, time.Now()
	f, err := t.filler(q, func() time.Time { return now.Add(time.Since(began)) })
	if err != nil {
		return err
	}
	// As Lambda does, each invocation gets a deadline.
	invoke := func(run func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(context.Background(), t.Timeout)
		defer cancel()
		out.Invocations++
		return run(ctx)
	}
	work := func(m copier.Message) error {
		body, err := json.Marshal(m)
		if err != nil {
			return err
		}
		return invoke(func(ctx context.Context) error { return f.Work(ctx, string(body)) })
	}
	if t.Do == "withdraw" {
		return withdraw(f, t.Withdraw[0])
	}
	for hour := range max(1, t.Hours) {
		now, began = t.Now.Add(time.Duration(hour)*time.Hour), time.Now()
		if hour < len(t.Withdraw) { // in a process of its own, as a shell
			shell := *t
			shell.Do, shell.Withdraw = "withdraw", t.Withdraw[hour:][:1]
			if _, err := shell.start(context.Background()); err != nil {
				return err
			}
		}
		if t.Do == "work" {
			if q.messages, err = t.plannedAt(now); err != nil {
				return err
			}
			for len(q.messages) > 0 {
				m := q.messages[0]
				q.messages = q.messages[1:]
				if err := work(m); err != nil {
					return err
				}
			}
			continue
		}
		q.messages = nil // those of the hour before are done
		err := invoke(func(ctx context.Context) error {
			plan := f.Plan
			if t.Do == "status" {
				plan = f.Status
			}
			_, err := plan(ctx)
			return err
		})
		for continued := q.take(); len(continued) > 0 && err == nil; continued = q.take() {
			err = work(continued[0])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// plannedAt returns the messages for work, those of a planner of that time if something
// is withdrawn before.
func (t *task) plannedAt(now time.Time) ([]copier.Message, error) {
	if len(t.Withdraw) == 0 {
		return t.Messages, nil
	}
	planner := *t
	planner.Do, planner.Now, planner.Hours, planner.Withdraw = "plan", now, 1, nil
	out, err := planner.start(context.Background())
	return out.Messages, err
}

// withdraw withdraws the first of some blobs as archeio mirror does, and lists the others
// as withdrawn, so that the planner finds them in the mirrors.
func withdraw(f *copier.Filler, digests []string) error {
	ctx := context.Background()
	r, err := copier.Withdraw(ctx, f.State, f.Buckets, digests[0])
	if err != nil {
		return err
	}
	errs := r.Errors
	for _, digest := range digests[1:] {
		errs = append(errs, f.State.Put(ctx, "withdrawn/"+digest, []byte("{}")))
	}
	return errors.Join(errs...)
}

// shell runs archeio mirror, and counts the missing blobs that it lists.
func (t *task) shell(_ *queue, out *outcome) error {
	var stderr strings.Builder
	lines := &blobLines{}
	out.Invocations++
	code := cli.Run(context.Background(), mirror.Command(), t.Args, strings.NewReader(""), lines, &stderr)
	out.Missing = lines.n
	if code != cli.ExitDone && (code != cli.ExitProblem || lines.n == 0) {
		return fmt.Errorf("exit code %d: %s", code, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// blobLines counts the lines that begin with a digest.
type blobLines struct {
	n      int
	inLine bool
}

// Write implements io.Writer. Each line is written with its beginning.
func (b *blobLines) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		if !b.inLine && bytes.HasPrefix(line, []byte("sha256:")) {
			b.n++
		}
		b.inLine = !bytes.HasSuffix(line, []byte("\n"))
	}
	return len(p), nil
}

// highestResident returns the highest resident memory of this process in bytes, see
// proc_pid_status(5). That of getrusage includes the memory of its parent.
func highestResident() (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10, nil
		}
	}
	return 0, errors.New("no VmHWM in /proc/self/status: run it on Linux")
}
