package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/copier"
	"archeio/lambda/index"
	"archeio/scripts/archeio/capacity"
	"archeio/scripts/prove/cli"
)

// places are the regions of the mirrors, the primary first; further mirrors are in
// the regions from the beginning again.
var places = capacity.Production()

func region(mirror int) string { return places[mirror%len(places)] }

// phase is a process that has ended, and the requests of it.
type phase struct {
	name  string
	hours int // of plans, 0 for other phases
	outcome
	requests   [kinds]count
	toReplicas int64 // bytes
}

// proof is a run of the program.
type proof struct {
	options
	progress *cli.Progress
	counts   *counts
	phases   []phase
}

func (o options) prove(ctx context.Context, stdout io.Writer, progress *cli.Progress) error {
	p := &proof{options: o, progress: progress, counts: &counts{}}
	var unchanged phase
	var err error
	if o.blobs > 0 {
		unchanged, err = p.full(ctx)
	}
	if o.fill > 0 && err == nil {
		err = p.fillEmpty(ctx)
	}
	writeTable(stdout, o, p.phases)
	if err != nil {
		return fmt.Errorf("%s: %w", p.last().name, err)
	}
	errs := []error{o.memory(p.phases)}
	if o.compare && o.blobs > 0 {
		errs = append(errs, o.compareModel(stdout, unchanged))
	}
	return errors.Join(errs...)
}

// last returns the last phase, one without a name before the first.
func (p *proof) last() *phase {
	if len(p.phases) == 0 {
		return &phase{name: "starting"}
	}
	return &p.phases[len(p.phases)-1]
}

// do runs a phase. hours is that of a plan.
func (p *proof) do(ctx context.Context, name string, t task) error {
	p.progress.Step("%s", name)
	out, err := t.start(ctx)
	ended := phase{name: name, outcome: out}
	if t.Do == "plan" {
		ended.hours = t.Hours
	}
	ended.requests, ended.toReplicas = p.counts.take()
	p.phases = append(p.phases, ended)
	p.progress.Note("%d MB, %.1f s", out.Memory/1e6, out.Seconds)
	return err
}

// serveRegistry serves a source and the buckets until stop is called, and returns a task
// with them.
func (p *proof) serveRegistry(s *source, b *storage) (t task, stop func(), err error) {
	s.counts, b.counts = p.counts, p.counts
	b.objects, b.contents = map[string]map[string]*object{}, map[string]*object{}
	registry, stopSource, err := serve(s)
	if err != nil {
		return t, nil, err
	}
	s3, stopS3, err := serve(b)
	if err != nil {
		stopSource()
		return t, nil, err
	}
	t = task{Source: registry + "/" + sourcePath, S3: "http://" + s3, Mirrors: p.mirrors, Timeout: p.timeout}
	return t, func() { stopSource(); stopS3() }, nil
}

// shellArgs returns the arguments of a command of archeio mirror.
func (t *task) shellArgs(state, command string, flags ...string) []string {
	args := append([]string{command, "-source", t.Source, "-state", state}, flags...)
	for i := range t.Mirrors {
		args = append(args, "-bucket", mirrorName(i)+"@"+region(i))
	}
	return args
}

// full runs the engine with mirrors that have everything, and returns the phase of hours
// without changes.
func (p *proof) full(ctx context.Context) (unchanged phase, err error) {
	p.progress.Step("calculating %d manifests", p.manifests)
	g := newGenerator(p.blobs, p.manifests, p.repositories)
	b := &storage{generator: g}
	t, stop, err := p.serveRegistry(&source{generator: g}, b)
	if err != nil {
		return unchanged, err
	}
	defer stop()
	start := time.Now().UTC().Add(-48 * time.Hour)
	do := func(name, what string, now time.Time, hours int, messages []copier.Message) {
		t := t
		t.Do, t.Now, t.Hours, t.Messages = what, now, hours, messages
		if err == nil {
			err = p.do(ctx, name, t)
		}
	}
	do("plan, first", "plan", start, 1, nil)
	do("work, first", "work", start, 0, p.last().Messages)
	do("status", "status", start, 0, nil)
	now := start.Add(time.Hour)
	if p.compare { // the first turns begin at the same time
		do("plan, hours before that", "plan", now, p.hours, nil)
		now = now.Add(time.Duration(p.hours) * time.Hour)
	}
	do(fmt.Sprintf("plan, %d hours without changes", p.hours), "plan", now, p.hours, nil)
	unchanged = *p.last()
	do("work, without changes", "work", now.Add(time.Duration(p.hours)*time.Hour), 0, unchanged.Messages)

	state, failed := os.MkdirTemp("", "archeio-scale-")
	if failed != nil {
		return unchanged, failed
	}
	defer os.RemoveAll(state)
	missing := func(want int) {
		if got := p.last().Missing; err == nil && got != want {
			err = fmt.Errorf("%d blobs are listed as missing, want %d", got, want)
		}
	}
	t.Args = t.shellArgs(state, "status", "-missing")
	do("shell: status, first", "shell", start, 0, nil)
	missing(0)
	t.Args = append(t.Args, "-bucket", emptyBucket+"@"+region(p.mirrors))
	do("shell: status, an empty mirror", "shell", start, 0, nil)
	missing(p.blobs)

	// Each part of the inventory changes each hour, and is read again by processes that
	// hold it already.
	planned, worked := g.spread(0, withdrawHours), g.spread(withdrawHours, withdrawHours)
	t.Withdraw = planned
	now = now.Add(time.Duration(p.hours) * time.Hour)
	do(fmt.Sprintf("plan, %d hours with withdrawals", withdrawHours), "plan", now, withdrawHours, nil)
	t.Withdraw = worked
	do(fmt.Sprintf("work, %d hours with withdrawals", withdrawHours), "work", now.Add(withdrawHours*time.Hour), withdrawHours, nil)
	if err == nil {
		err = p.checkIndex(b, p.blobs-len(slices.Concat(slices.Concat(planned, worked)...)))
	}
	return unchanged, err
}

// withdrawHours is the number of hours with withdrawals: one to hold what the mirrors
// have, one to read it again.
const withdrawHours = 2

// checkIndex returns an error unless the index in the primary has a number of blobs.
func (p *proof) checkIndex(b *storage, want int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.objects[mirrorName(0)][config.BlobPrefix+index.Name]
	if o == nil {
		return errors.New("the primary has no index")
	}
	h, err := index.ParseHeader(o.data)
	if err == nil && h.Entries != want {
		err = fmt.Errorf("the index has %d blobs, want %d", h.Entries, want)
	}
	return err
}

// memory returns an error for the first process that needed too much memory.
func (o options) memory(phases []phase) error {
	for _, p := range phases {
		if o.maxMemory > 0 && p.Memory > int64(o.maxMemory)*1e6 {
			return fmt.Errorf("%s needs %d MB of memory, want at most %d", p.name, p.Memory/1e6, o.maxMemory)
		}
	}
	return nil
}

// serve serves on loopback until stop is called.
func serve(h http.Handler) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go s.Serve(l)
	return l.Addr().String(), func() { s.Close() }, nil
}

// start runs the task in a process of its own, that of a function with its limits.
func (t *task) start(ctx context.Context) (out outcome, err error) {
	text, err := json.Marshal(t)
	if err != nil {
		return out, err
	}
	self, err := os.Executable()
	if err != nil {
		return out, err
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, self)
	cmd.Stdin = bytes.NewReader(text)
	cmd.Env = append(os.Environ(), childEnv+"=1", "AWS_ENDPOINT_URL_S3="+t.S3)
	if t.Do == "shell" {
		cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true")
	} else {
		cmd.Env = append(cmd.Env, fmt.Sprintf("GOMEMLIMIT=%dMiB", stage.FillerMemory*stage.GoMemoryShare/100))
	}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return out, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		return out, fmt.Errorf("reading the outcome: %w", err)
	}
	if out.Error != "" {
		return out, errors.New(out.Error)
	}
	return out, nil
}
