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
	"strings"
	"time"

	"archeio/infra/stage"
	"archeio/lambda/copier"
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

func (o options) prove(ctx context.Context, stdout io.Writer, progress *cli.Progress) error {
	progress.Step("calculating %d manifests", o.manifests)
	g := newGenerator(o.blobs, o.manifests, o.repositories)
	c := &counts{}
	registry, stop, err := serve(&source{g, c})
	if err != nil {
		return err
	}
	defer stop()
	s3, stop, err := serve(&storage{generator: g, counts: c, objects: map[string]map[string]*object{}, contents: map[string]*object{}})
	if err != nil {
		return err
	}
	defer stop()

	t := task{Source: registry + "/" + sourcePath, S3: "http://" + s3, Mirrors: o.mirrors, Timeout: o.timeout}
	start := time.Now().UTC().Add(-48 * time.Hour)
	var phases []phase
	var unchanged phase
	do := func(name, what string, now time.Time, hours int, messages []copier.Message) error {
		t := t
		t.Do, t.Now, t.Hours, t.Messages = what, now, hours, messages
		progress.Step("%s", name)
		out, err := t.start(ctx)
		p := phase{name: name, outcome: out}
		if what == "plan" {
			p.hours = hours
		}
		p.requests, p.toReplicas = c.take()
		phases = append(phases, p)
		progress.Note("%d MB, %.1f s", p.Memory/1e6, p.Seconds)
		return err
	}
	sent := func() []copier.Message { return phases[len(phases)-1].Messages }
	hours := fmt.Sprintf("plan, %d hours without changes", o.hours)
	err = do("plan, first", "plan", start, 1, nil)
	if err == nil {
		err = do("work, first", "work", start, 0, sent())
	}
	if err == nil {
		err = do("status", "status", start, 0, nil)
	}
	now := start.Add(time.Hour)
	if o.compare && err == nil { // the first turns begin at the same time
		err = do("plan, hours before that", "plan", now, o.hours, nil)
		now = now.Add(time.Duration(o.hours) * time.Hour)
	}
	if err == nil {
		err = do(hours, "plan", now, o.hours, nil)
		unchanged = phases[len(phases)-1]
	}
	if err == nil {
		err = do("work, without changes", "work", now.Add(time.Duration(o.hours)*time.Hour), 0, sent())
	}
	state, failed := os.MkdirTemp("", "archeio-scale-")
	if failed != nil {
		return failed
	}
	defer os.RemoveAll(state)
	t.Args = []string{"status", "-missing", "-source", t.Source, "-state", state}
	for i := range o.mirrors {
		t.Args = append(t.Args, "-bucket", mirrorName(i)+"@"+region(i))
	}
	missing := func(want int) error {
		if got := phases[len(phases)-1].Missing; got != want {
			return fmt.Errorf("%d blobs are listed as missing, want %d", got, want)
		}
		return nil
	}
	if err == nil {
		err = do("shell: status, first", "shell", start, 0, nil)
	}
	if err == nil {
		err = missing(0)
	}
	t.Args = append(t.Args, "-bucket", emptyBucket+"@"+region(o.mirrors))
	if err == nil {
		err = do("shell: status, an empty mirror", "shell", start, 0, nil)
	}
	if err == nil {
		err = missing(o.blobs)
	}
	writeTable(stdout, o, phases)
	if err != nil {
		return fmt.Errorf("%s: %w", phases[len(phases)-1].name, err)
	}
	errs := []error{o.memory(phases)}
	if o.compare {
		errs = append(errs, o.compareModel(stdout, unchanged))
	}
	return errors.Join(errs...)
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
