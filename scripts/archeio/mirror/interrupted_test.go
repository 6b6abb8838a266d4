package mirror

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"archeio/lambda/copier"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/lab/system"
)

// A command that is interrupted exits with 130, what it did stays, and the next run
// continues from there.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := start(t, "interrupted", "interrupted", "interrupted-state")
	for i := range 4 {
		s.push(t, fmt.Sprintf("image-%d:v1", i), 20_000, 4)
	}
	registry := &gate{next: passing(t, s.Upstream)}
	source := strings.Replace(s.source, strings.TrimPrefix(s.Upstream, "http://"), strings.TrimPrefix(serveHTTP(t, registry), "http://"), 1)
	args := []string{"copy", "-source", source, "-bucket", "interrupted", "-state", "s3://interrupted-state", "-parallel", "2", "-json"}

	for _, tt := range []struct {
		name string
		arm  func(do func())
	}{
		{"within-the-plan", func(do func()) {
			registry.set(3, func(r *http.Request) bool {
				return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/")
			}, do)
		}},
		{"within-the-sixth-blob", func(do func()) { registry.set(6, isBlob, do) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd, stdout, stderr := child(t, nil, args...)
			started, ended := make(chan struct{}), make(chan struct{})
			// The request is held until the program has ended, so that it does
			// not end by itself.
			tt.arm(func() {
				<-started
				cmd.Process.Signal(os.Interrupt)
				<-ended
			})
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			close(started)
			err := cmd.Wait()
			close(ended)
			if got := code(t, err); got != cli.ExitInterrupted {
				t.Errorf("exit code %d, want %d: %s", got, cli.ExitInterrupted, stderr)
			}
			if stdout.Len() > 0 || stderr.String() != "what was done stays; run it again to continue\narcheio mirror copy: interrupted\n" {
				t.Errorf("stdout %q, stderr %q", stdout, stderr)
			}
			saved, err := copier.StateBucket{Name: "interrupted-state", Client: s.client}.Names(t.Context(), cacheFolder+"/")
			if err != nil || len(saved) == 0 {
				t.Errorf("the manifest cache was not saved: %q, error %v", saved, err)
			}
		})
	}

	cmd, stdout, stderr := child(t, nil, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	var got copyReport
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if missing := got.Buckets[0].Missing; got.Fetched > 1 || missing != got.Copied.Blobs || missing == 0 || missing > len(s.blobs)-4 {
		t.Errorf("the next run reports %+v, copied %+v; want it to continue", got, got.Copied)
	}
}

// After the first interrupt the manifest cache is saved; the second one does not
// wait for that.
func TestInterruptedTwice(t *testing.T) {
	t.Parallel()
	s := start(t, "twice", "twice")
	s.push(t, "one:v1", 1000, 1)
	mirror := &gate{next: passing(t, endpoint(s.System, system.Regions[0]))}
	cmd, _, stderr := child(t, []string{"AWS_ENDPOINT_URL_S3=" + serveHTTP(t, mirror)}, "plan", "-source", s.source, "-bucket", "twice", "-state", "s3://twice")
	started, ended := make(chan struct{}), make(chan struct{})
	mirror.set(1, isStatePut, func() {
		<-started
		for range 1000 {
			cmd.Process.Signal(os.Interrupt)
			select {
			case <-ended:
				return
			case <-time.After(10 * time.Millisecond): // until the process has seen one
			}
		}
	})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	err := cmd.Wait()
	close(ended)
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("the second interrupt did not end it at once: %v, %s", err, stderr)
	}
}
