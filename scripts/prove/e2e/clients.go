package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"archeio/scripts/prove/cli"
	"archeio/scripts/prove/clients"
)

// client is a program that pulls images. Every pull starts without the image in
// local storage.
type client struct {
	name string
	// allPlatforms: it pulls every platform of an index. onePlatform: of an
	// index it keeps only the image for this machine. artifacts: it pulls
	// artifacts that are not images. charts: it pulls Helm charts only.
	allPlatforms, onePlatform, artifacts, charts bool
	// start starts what the client needs, stop ends it; both may be nil.
	start func(ctx context.Context, log io.Writer) error
	stop  func()
	// pull pulls a reference and returns the digests that the client reports; nil if the
	// client does not pull.
	pull func(ctx context.Context, ref string) (digests string, err error)
	// run runs a container of the pulled image and returns its output; nil if
	// the client runs no containers.
	run func(ctx context.Context, ref string) (string, error)
	// remove removes the pulled image; it may be nil.
	remove func(ctx context.Context, ref string) error
	// tags lists all tags of HOST/REPOSITORY; nil if the client cannot.
	tags func(ctx context.Context, repository string) (string, error)
	// pageError is the error of a client that cannot follow a link to another
	// page; empty if it can.
	pageError string
	// referrers lists the referrers of an image; nil if the client cannot.
	referrers func(ctx context.Context, ref string) (string, error)
	// sign signs an image and stores the signature in a repository, verify verifies the
	// signature, which is a referrer if referrer is set; nil if the client cannot.
	sign   func(ctx context.Context, ref, repository string, referrer bool) error
	verify func(ctx context.Context, ref string, referrer bool) error
	// version are the arguments that print the version.
	version []string
}

// clients returns all clients, in the order of the report.
func (t tools) clients() []*client {
	return []*client{t.crane(), t.oras(), t.regctl(), t.skopeo(), t.podman(), t.ctr(), t.docker(), t.helm(), t.cosign()}
}

func (t tools) crane() *client {
	layout := t.layout()
	return &client{
		name: "crane", allPlatforms: true, artifacts: true, version: []string{"version"},
		pull: func(ctx context.Context, ref string) (string, error) {
			if _, err := t.command(ctx, "crane", "pull", "--format", "oci", ref, layout); err != nil {
				return "", err
			}
			return checkLayout(layout)
		},
		remove: removeFiles(layout),
		tags: func(ctx context.Context, repository string) (string, error) {
			return t.command(ctx, "crane", "ls", repository)
		},
		pageError: "pagination URL host does not match registry host",
	}
}

func (t tools) oras() *client {
	layout := t.layout()
	return &client{
		name: "oras", allPlatforms: true, artifacts: true, version: []string{"version"},
		pull: func(ctx context.Context, ref string) (string, error) {
			if _, err := t.command(ctx, "oras", "cp", "--no-tty", "--from-plain-http", ref, "--to-oci-layout", layout+":pulled"); err != nil {
				return "", err
			}
			return checkLayout(layout)
		},
		remove: removeFiles(layout),
		tags: func(ctx context.Context, repository string) (string, error) {
			return t.command(ctx, "oras", "repo", "tags", "--plain-http", repository)
		},
		referrers: func(ctx context.Context, ref string) (string, error) {
			return t.command(ctx, "oras", "discover", "--plain-http", "--format", "json", ref)
		},
	}
}

func (t tools) regctl() *client {
	layout := t.layout()
	regctl := func(ctx context.Context, ref string, args ...string) (string, error) {
		host, _, _ := strings.Cut(ref, "/")
		return t.command(ctx, "regctl", append([]string{"--host", "reg=" + host + ",tls=disabled"}, args...)...)
	}
	return &client{
		name: "regctl", allPlatforms: true, artifacts: true, version: []string{"version", "--format", "{{.VCSTag}}"},
		pull: func(ctx context.Context, ref string) (string, error) {
			if _, err := regctl(ctx, ref, "image", "copy", ref, "ocidir://"+layout+":pulled"); err != nil {
				return "", err
			}
			return checkLayout(layout)
		},
		remove: removeFiles(layout),
		tags: func(ctx context.Context, repository string) (string, error) {
			return regctl(ctx, repository, "tag", "ls", repository)
		},
		referrers: func(ctx context.Context, ref string) (string, error) {
			return regctl(ctx, ref, "artifact", "list", "--format", "{{jsonPretty .}}", ref)
		},
	}
}

func (t tools) skopeo() *client {
	layout := t.layout()
	return &client{
		name: "skopeo", onePlatform: true, artifacts: true, version: []string{"--version"},
		pull: func(ctx context.Context, ref string) (string, error) {
			// Not --all: Debian's version writes a new index, with another digest.
			if _, err := t.command(ctx, "skopeo", "--policy", t.policy(), "copy", "--src-tls-verify=false", "docker://"+ref, "dir:"+layout); err != nil {
				return "", err
			}
			return checkDir(layout)
		},
		remove: removeFiles(layout),
		tags: func(ctx context.Context, repository string) (string, error) {
			return t.command(ctx, "skopeo", "list-tags", "--tls-verify=false", "docker://"+repository)
		},
	}
}

func removeFiles(dir string) func(context.Context, string) error {
	return func(context.Context, string) error { return os.RemoveAll(dir) }
}

// runClients runs the selected operations of every client. A client that cannot be
// installed or started is one skipped row.
func (s *testSystem) runClients(ctx context.Context, o *options, images *testImages, versions map[string]string) (rows []clientResult, err error) {
	t, remove, err := newTools()
	if err != nil {
		return nil, err
	}
	defer remove()
	operations := map[*client][]operation{}
	var chosen []*client
	var names []string
	for _, c := range t.clients() {
		operations[c] = slices.DeleteFunc(s.operations(c, images), func(op operation) bool {
			return !o.selects(c.name, op.at.kind, op.at.client.Name, op.name)
		})
		if len(operations[c]) > 0 {
			chosen, names = append(chosen, c), append(names, c.name)
		}
	}
	missing, err := clients.Install(ctx, names, s.progress)
	if err != nil {
		return nil, err
	}
	for _, c := range chosen {
		if ctx.Err() != nil {
			return rows, nil
		}
		err := missing[c.name]
		if err == nil && c.start != nil {
			err = c.start(ctx, s.log)
		}
		if err == nil && c.sign != nil {
			if err := s.signImages(ctx, c, images); err != nil {
				return nil, err
			}
		}
		if err != nil {
			rows = append(rows, skippedClient(c, err))
			continue
		}
		versions[c.name] = t.versionOf(ctx, c)
		rows = append(rows, s.runClient(ctx, c, operations[c])...)
		if c.stop != nil {
			c.stop()
		}
	}
	return rows, nil
}

// versionOf returns the first line of a client's version that has a number.
func (t tools) versionOf(ctx context.Context, c *client) string {
	out, err := t.command(ctx, c.name, c.version...)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(out) {
		if strings.ContainsAny(line, "0123456789") {
			return strings.Trim(line, " ,\n")
		}
	}
	return "unknown"
}

// runClient runs operations of a client that is installed and started.
func (s *testSystem) runClient(ctx context.Context, c *client, operations []operation) (rows []clientResult) {
	s.progress.Step("%s: %d operations", c.name, len(operations))
	for _, op := range operations {
		if ctx.Err() != nil {
			return rows
		}
		rows = append(rows, s.operate(ctx, c, op))
	}
	return rows
}

// operate runs one operation of a client.
func (s *testSystem) operate(ctx context.Context, c *client, op operation) clientResult {
	r := clientResult{
		Client: c.name, EntryPoint: op.at.kind, Location: op.at.client.Name, Operation: op.name,
		Requests: map[string]int{}, Blobs: map[string]int{},
	}
	s.recorder.drain()
	began := time.Now()
	r.Result = cli.ResultOf(op.run(ctx, &r))
	r.Seconds = time.Since(began).Seconds()
	return r
}

// layout is the directory that clients without storage of their own pull to.
func (t tools) layout() string { return filepath.Join(t.dir, "layout") }

func skippedClient(c *client, why error) clientResult {
	return clientResult{Client: c.name, EntryPoint: "-", Location: "-", Operation: "-", Result: cli.ResultOf(fmt.Errorf("%w: %w", cli.ErrSkipped, why))}
}
