// Command e2e tests the whole system on this machine: it pulls with real
// clients through real servers, checks single HTTP requests, runs the OCI
// conformance suite, injects faults and puts the function under load.
//
//	go run ./scripts/prove/e2e
//	go run ./scripts/prove/e2e -only 'skopeo/.*tags'
//
// Clients that are missing are installed where possible. The exit codes are
// those of package cli.
package main

import (
	"context"
	"io"
	"os"

	"archeio/scripts/prove/cli"
)

func main() { cli.Main("e2e", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stdout)
	if err != nil {
		return err
	}
	log := io.Writer(io.Discard)
	if o.verbose {
		log = stderr
	}
	progress := cli.NewProgress(stderr)
	s, err := start(ctx, log, progress, o.token)
	if err != nil {
		return err
	}
	defer s.stop()
	images, err := s.publish(ctx)
	if err != nil {
		return err
	}
	r := report{Versions: map[string]string{}}
	for _, part := range o.parts {
		if err := s.runPart(ctx, part, o, images, &r); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	r.Seconds = progress.Elapsed().Seconds()
	if err := r.print(stdout, o.json); err != nil {
		return err
	}
	return r.counts().Err()
}

func (s *testSystem) runPart(ctx context.Context, part string, o *options, images *testImages, r *report) (err error) {
	var checks []check
	switch part {
	case "clients":
		r.Clients, err = s.runClients(ctx, o, images, r.Versions)
	case "contract":
		s.progress.Step("checking single HTTP requests")
		r.Checks = append(r.Checks, s.runContract(ctx, o, images)...)
	case "conformance":
		s.progress.Step("running the OCI conformance suite")
		r.Checks = append(r.Checks, s.runConformance(ctx, o, images)...)
	case "faults":
		s.progress.Step("injecting faults (two or three minutes)")
		if s.token() {
			r.TokenFaults, checks, err = s.runTokenFaults(ctx, o, images)
			r.Checks = append(r.Checks, checks...)
			break
		}
		r.Checks = append(r.Checks, s.runFaults(ctx, o, images)...)
	case "load":
		checks, r.Load, err = s.runLoad(ctx, o, images)
		r.Checks = append(r.Checks, checks...)
	}
	return err
}

// tempDir returns a new directory and the function that removes it.
func tempDir(name string) (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "archeio-"+name+"-")
	return dir, func() { os.RemoveAll(dir) }, err
}
