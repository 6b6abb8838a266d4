package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"archeio/lambda/config"
	"archeio/lambda/copier"
	"archeio/scripts/lab/system"
)

// create makes fresh buckets on the same S3 server.
func (s *servers) create(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := s.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *servers) anyBlob() string {
	for digest := range s.blobs {
		return digest
	}
	return ""
}

// TestCommands goes through all commands, in the order in which a person may
// need them, for people and for machines.
func TestCommands(t *testing.T) {
	s := start(t)
	s.push(t, "one:v1", 1000, 2)
	s.push(t, "team/two:v1", 1000, 2)
	digest := s.anyBlob()
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			primary, replica := format+"-primary", format+"-replica"
			s.create(t, primary, replica)
			spoil := func(bucket string) {
				if _, err := s.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(config.BlobPrefix + digest), Body: strings.NewReader("spoilt")}); err != nil {
					t.Fatal(err)
				}
			}
			both := []string{"-bucket", primary, "-bucket", replica}
			from := append([]string{"-source", s.source, "-state", t.TempDir()}, both...)
			for _, tt := range []struct {
				name       string
				before     func()
				args       []string
				incomplete bool
				text, json []string
			}{
				{"plan", nil, append([]string{"plan"}, from...), false,
					[]string{"2 repositories, 2 manifests (2 fetched), 6 blobs of ", primary + "  6 blobs", "IMAGE ", "/one:v1 "},
					[]string{`"repositories":2,"manifests":2,"fetched":2,"blobs":6,`, `{"name":"` + replica + `","missing":6,`, `/one:v1","missing":3,`, `"errors":[]`}},
				{"status-of-nothing", nil, append([]string{"status"}, from...), true,
					[]string{"(0 fetched)", "MIRROR ", primary + "  0 blobs  6 blobs ", "  no\n"},
					[]string{`{"name":"` + primary + `","missing":6,`, `"has":0,"full":false}`, `"needsCopy":[]`}},
				{"copy", nil, append([]string{"copy"}, from...), false,
					[]string{"LACKED", "copied 12 blobs, ", "of which 6 from bucket to bucket; 0 were there already"},
					[]string{`"copied":{"blobs":12,"fromBucket":6,"existed":0,"pending":0,`}},
				{"copy-again", nil, append([]string{"copy"}, from...), false,
					[]string{"(0 fetched)", "copied 0 blobs, 0 B"}, []string{`"copied":{"blobs":0,"fromBucket":0,"existed":0,"pending":0,"bytes":0}`}},
				{"status", nil, append([]string{"status"}, from...), false,
					[]string{primary + "  6 blobs  0 blobs  0 B  yes\n", replica + "  6 blobs  0 blobs  0 B  yes\n"},
					[]string{`"has":6,"full":true}`}},
				{"verify", nil, append([]string{"verify"}, both...), false,
					[]string{"hashed 12 of 12 blobs, ", ": 0 are not what their keys say\n"}, []string{`"checked":12,"of":12,`, `"wrong":[],"errors":[]`}},
				{"verify-what-is-spoilt", func() { spoil(primary); spoil(replica) }, append([]string{"verify"}, both...), true,
					[]string{": 2 are not what their keys say\n", primary + "  " + digest + "  no\n"},
					[]string{`{"bucket":"` + primary + `","digest":"` + digest + `","found":"`, `"replaced":false}`}},
				// The size is another one too.
				{"copy-says-it", nil, append([]string{"copy"}, from...), true,
					[]string{"error: bucket \"" + primary + "\": " + digest + " has 6 bytes, "}, []string{digest + " has 6 bytes, "}},
				{"verify-replace", nil, append([]string{"verify", "-replace"}, from...), false,
					[]string{": 2 are not what their keys say\n", replica + "  " + digest + "  yes\n"}, []string{`"replaced":true}`}},
				{"verify-again", nil, append([]string{"verify", "-sample", "100%", "-bandwidth", "1G"}, both...), false,
					[]string{"hashed 12 of 12 blobs, ", ": 0 are not"}, []string{`"wrong":[],"errors":[]`}},
				{"withdraw", nil, append(append([]string{"withdraw"}, from...), digest), false,
					[]string{primary + "  1 version", digest + " is listed as withdrawn", "name the distribution with -distribution"},
					[]string{`{"digest":"` + digest + `","buckets":[{"name":"` + primary + `","versions":1},{"name":"` + replica + `","versions":1}],"until":"`}},
				{"copy-leaves-out-what-was-withdrawn", nil, append([]string{"copy"}, from...), false,
					[]string{", 1 withdrawn\n", "copied 0 blobs"}, []string{`"withdrawn":1`, `"copied":{"blobs":0,`}},
				{"status-without-what-was-withdrawn", nil, append([]string{"status"}, from...), false,
					[]string{primary + "  5 blobs  0 blobs  0 B  yes\n"}, []string{`"has":5,"full":true}`}},
			} {
				t.Run(tt.name, func(t *testing.T) {
					if tt.before != nil {
						tt.before()
					}
					args, want := tt.args, tt.text
					if format == "json" {
						args, want = append([]string{args[0], "-json"}, args[1:]...), tt.json
					}
					var out bytes.Buffer
					complete, err := run(t.Context(), args, &out, io.Discard)
					if err != nil || complete == tt.incomplete {
						t.Errorf("complete %v, error %v", complete, err)
					}
					for _, want := range want {
						if !strings.Contains(out.String(), want) {
							t.Errorf("%q is missing in\n%s", want, &out)
						}
					}
					if lines := strings.Count(out.String(), "\n"); format == "json" && (lines != 1 || !json.Valid(out.Bytes())) {
						t.Errorf("not one JSON object on one line: %s", &out)
					}
				})
			}
		})
	}
}

// TestFlags: what is wrong with a command line is one line, and nothing is done.
func TestFlags(t *testing.T) {
	// Nobody is there, should one of them be taken for a right one.
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	t.Setenv("AWS_DEFAULT_REGION", "")
	digest := "sha256:" + strings.Repeat("a", 64)
	copies := func(more ...string) []string {
		return append([]string{"copy", "-source", "127.0.0.1:1", "-bucket", "x"}, more...)
	}
	for _, tt := range []struct {
		name   string
		region string
		args   []string
		want   string
	}{
		{"no-command", "x", nil, "name a command: plan, copy, status, verify or withdraw"},
		{"unknown-command", "x", []string{"cpoy", "-source", "x"}, `"cpoy" is no command`},
		{"flag-before-the-command", "x", []string{"-json", "copy"}, `"-json" is no command; name one first`},
		{"unknown-flag", "x", copies("-paralel", "3"), "flag provided but not defined: -paralel; see -h"},
		{"no-source", "x", []string{"status", "-bucket", "x"}, "status takes -source"},
		{"no-source-to-replace-from", "x", []string{"verify", "-replace", "-bucket", "x"}, "verify takes -source"},
		{"no-bucket", "x", []string{"verify"}, "verify takes at least one -bucket"},
		{"no-bucket-to-withdraw-from", "x", []string{"withdraw", "-state", os.DevNull, digest}, "withdraw takes at least one -bucket"},
		{"no-state", "x", []string{"withdraw", "-bucket", "x", digest}, "withdraw takes -state"},
		{"no-digest", "x", []string{"withdraw", "-bucket", "x", "-state", os.DevNull}, "withdraw takes one digest"},
		{"two-digests", "x", []string{"withdraw", "-bucket", "x", "-state", os.DevNull, digest, digest}, "withdraw takes one digest"},
		{"digest-before-the-flags", "x", []string{"withdraw", digest, "-bucket", "x", "-state", os.DevNull}, "withdraw takes one digest behind the flags"},
		{"bad-digest", "x", []string{"withdraw", "-bucket", "x", "-state", t.TempDir(), "sha256:abc"}, `"sha256:abc": takes a digest`},
		{"other-argument", "x", copies("everything"), `there is "everything" behind the flags`},
		{"bad-bandwidth", "x", copies("-bandwidth", "20MB"), `invalid value "20MB" for flag -bandwidth: takes bytes per second, as 500k, 20M or 1G; see -h`},
		{"no-bandwidth", "x", copies("-bandwidth", "0"), "takes bytes per second"},
		{"bandwidth-that-is-no-number", "x", copies("-bandwidth", "NaN"), "takes bytes per second"},
		{"bad-sample", "x", []string{"verify", "-bucket", "x", "-sample", "5"}, `invalid value "5" for flag -sample: takes a share, as 5% or 0.05; see -h`},
		{"no-sample", "x", []string{"verify", "-bucket", "x", "-sample", "0%"}, "takes a share"},
		{"sample-that-is-no-number", "x", []string{"verify", "-bucket", "x", "-sample", "NaN"}, "takes a share"},
		{"negative-rate", "x", copies("-rate", "-1"), "-rate takes a number"},
		{"rate-that-is-no-number", "x", copies("-rate", "NaN"), "-rate takes a number"},
		{"no-parallel", "x", copies("-parallel", "0"), "-parallel takes a number from 1 on"},
		{"withdraw-dry-run", "x", []string{"withdraw", "-dry-run", "-bucket", "x", "-state", os.DevNull, digest}, "-dry-run is a flag of copy, not of withdraw"},
		{"verify-dry-run", "x", []string{"verify", "-replace", "-dry-run", "-bucket", "x", "-source", "x"}, "-dry-run is a flag of copy, not of verify"},
		{"copy-sample", "x", copies("-sample", "5%"), "-sample is a flag of verify, not of copy"},
		{"bucket-without-a-name", "x", copies("-bucket", "@us-east-1"), `-bucket "@us-east-1": takes a bucket's NAME`},
		{"bucket-as-a-URL", "x", copies("-bucket", "s3://other"), `-bucket "s3://other": takes a bucket's NAME`},
		{"no-region", "", []string{"copy", "-source", "127.0.0.1:1", "-bucket", "x@us-east-1", "-bucket", "other"}, `-bucket "other": its region is not known; name it as other@eu-central-1`},
		{"no-region-of-the-state", "", []string{"copy", "-source", "127.0.0.1:1", "-bucket", "x@us-east-1", "-state", "s3://kept"}, `-state "s3://kept": its region is not known`},
		{"state-without-a-name", "x", copies("-state", "s3://"), `-state "s3://": takes a bucket's NAME`},
		{"state-below-a-prefix", "x", copies("-state", "s3://kept/below"), `-state "s3://kept/below": takes a bucket's NAME`},
		{"no-such-list", "x", copies("-repositories", filepath.Join(t.TempDir(), "none")), "reading the repositories: "},
		{"source-as-a-URL", "x", []string{"plan", "-source", "https://registry.example/images", "-bucket", "x"}, `source "https://registry.example/images": takes REGISTRY`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("AWS_REGION", tt.region)
			var stdout, stderr bytes.Buffer
			_, err := run(t.Context(), tt.args, &stdout, &stderr)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
			// Who names nothing is told everything.
			if stdout.Len() > 0 || stderr.Len() > 0 && tt.args != nil {
				t.Errorf("it also says %s%s", &stdout, &stderr)
			}
		})
	}
	for _, args := range [][]string{{"-h"}, {"--help"}, {"copy", "-h"}} {
		t.Run("help/"+strings.Join(args, ""), func(t *testing.T) {
			var stderr bytes.Buffer
			_, err := run(t.Context(), args, io.Discard, &stderr)
			if !errors.Is(err, flag.ErrHelp) || strings.Count(stderr.String(), usage) != 1 || !strings.Contains(stderr.String(), "-bandwidth bytes") {
				t.Errorf("error %v, %s", err, &stderr)
			}
		})
	}
}

// TestExitCodes are those of the built program.
func TestExitCodes(t *testing.T) {
	s := start(t)
	s.push(t, "one:v1", 1000, 2)
	s.create(t, "codes")
	common := []string{"-source", s.source, "-bucket", "codes"}
	for _, tt := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string // the beginnings of single lines; stderr has no other
	}{
		{"help", []string{"-h"}, 0, "", "Usage: "},
		{"no-command", nil, 2, "", "mirror: name a command"},
		{"unknown-command", []string{"cpoy"}, 2, "", `mirror: "cpoy" is no command`},
		{"bad-flag", append([]string{"copy", "-bandwidth", "much"}, common...), 2, "", `mirror: invalid value "much"`},
		{"no-such-bucket", []string{"copy", "-source", s.source, "-bucket", "nobody-has-it"}, 2, "", `mirror: bucket "nobody-has-it": listing: there is no such bucket`},
		{"no-such-registry", []string{"copy", "-source", "127.0.0.1:1", "-bucket", "codes", "-repositories", os.DevNull}, 2, "", "mirror: reading the repositories"},
		{"plan", append([]string{"plan"}, common...), 0, "1 repository", ""},
		{"missing", append([]string{"status"}, common...), 1, "codes ", ""},
		{"copy", append([]string{"copy"}, common...), 0, "copied 3 blobs", ""},
		{"whole", append([]string{"status"}, common...), 0, "codes ", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd, stdout, stderr := child(t, tt.args...)
			if got := code(t, cmd.Run()); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			if !strings.Contains("\n"+stdout.String(), "\n"+tt.stdout) || tt.stdout == "" && stdout.Len() > 0 {
				t.Errorf("says %q, want a line with %q", stdout, tt.stdout)
			}
			if !strings.Contains("\n"+stderr.String(), "\n"+tt.stderr) {
				t.Errorf("says %q on stderr, want a line with %q", stderr, tt.stderr)
			}
			// On a pipe progress is lines.
			if strings.ContainsAny(stderr.String(), "\r\x1b") {
				t.Errorf("moves the cursor: %q", stderr)
			}
			if lines := strings.Split(stderr.String(), "\n"); tt.stderr != "" && tt.args != nil && tt.code != 0 {
				if last := lines[len(lines)-2]; !strings.HasPrefix(last, "mirror: ") || strings.Count(stderr.String(), "mirror: ") != 1 {
					t.Errorf("says %q on stderr, want one line", stderr)
				}
			}
		})
	}
}

// TestInterrupted: Ctrl-C ends a run, what it did stays, and the next one goes
// on from there.
func TestInterrupted(t *testing.T) {
	s := start(t)
	for i := range 4 {
		s.push(t, fmt.Sprintf("image-%d:v1", i), 20_000, 4)
	}
	s.create(t, "interrupted", "interrupted-state")
	registry := &gate{next: passing(t, s.Upstream)}
	mirror := &gate{next: passing(t, endpoint(s.System, system.Regions[0]))}
	t.Setenv("AWS_ENDPOINT_URL_S3", serveHTTP(t, mirror))
	source := strings.TrimPrefix(serveHTTP(t, registry), "http://") + "/" + system.Prefix
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
			cmd, stdout, stderr := child(t, args...)
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
			if got := code(t, err); got != 130 {
				t.Errorf("exit code %d, want 130: %s", got, stderr)
			}
			if stdout.Len() > 0 || stderr.String() != "mirror: stopped; what was done stays, start it again to go on\n" {
				t.Errorf("says %q and %q, want one line", stdout, stderr)
			}
			kept, err := copier.StateBucket{Name: "interrupted-state", Client: s.client}.Names(t.Context(), "memory/")
			if err != nil || len(kept) != 1 {
				t.Errorf("what was learnt is not kept: %q, error %v", kept, err)
			}
		})
	}

	cmd, stdout, stderr := child(t, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	var got copyReport
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if missing := got.Buckets[0].Missing; got.Fetched > 1 || missing != got.Copied.Blobs || missing == 0 || missing > len(s.blobs)-4 {
		t.Errorf("the next run says %+v, copied %+v; want it to go on", got, got.Copied)
	}
}

// TestInterruptedTwice: what the first Ctrl-C still waits for, here for what was
// learnt to be saved, the second one does not.
func TestInterruptedTwice(t *testing.T) {
	s := start(t)
	s.push(t, "one:v1", 1000, 1)
	s.create(t, "twice")
	mirror := &gate{next: passing(t, endpoint(s.System, system.Regions[0]))}
	t.Setenv("AWS_ENDPOINT_URL_S3", serveHTTP(t, mirror))
	cmd, _, stderr := child(t, "plan", "-source", s.source, "-bucket", "twice", "-state", "s3://twice")
	started, ended := make(chan struct{}), make(chan struct{})
	mirror.set(1, isStatePut, func() {
		<-started
		for range 1000 {
			cmd.Process.Signal(os.Interrupt)
			select {
			case <-ended:
				return
			case <-time.After(10 * time.Millisecond): // it takes a moment to see one
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
		t.Errorf("the second one did not end it at once: %v, %s", err, stderr)
	}
}

func TestProgress(t *testing.T) {
	for _, tt := range []struct {
		name  string
		p     copier.Progress
		since time.Duration
		bar   bool
		want  string
	}{
		{"plain", copier.Progress{Doing: "reading repositories", Done: 3, Total: 7}, time.Second, false, "reading repositories: 3 of 7"},
		{"plain-with-bytes", copier.Progress{Doing: "hashing", Done: 1, Total: 2, Bytes: 25_000_000, TotalBytes: 100_000_000}, 5 * time.Second, false,
			"hashing: 1 of 2, 25.0 MB of 100.0 MB, 5.0 MB/s, 15s left"},
		{"bar", copier.Progress{Doing: "reading repositories", Done: 1, Total: 4}, time.Second, true, "[#####---------------] reading repositories: 1 of 4"},
		{"bar-of-bytes", copier.Progress{Doing: "copying to x", Done: 9, Total: 10, Bytes: 50, TotalBytes: 100}, 10 * time.Second, true,
			"[##########----------] copying to x: 9 of 10, 50 B of 100 B, 5 B/s, 10s left"},
		{"bar-at-the-beginning", copier.Progress{Doing: "hashing", Total: 2, TotalBytes: 100}, 0, true, "[--------------------] hashing: 0 of 2, 0 B of 100 B, 0 B/s"},
		{"bar-at-the-end", copier.Progress{Doing: "hashing", Done: 2, Total: 2, Bytes: 100, TotalBytes: 100}, time.Second, true,
			"[####################] hashing: 2 of 2, 100 B of 100 B, 100 B/s, 0s left"},
		{"bar-of-nothing", copier.Progress{Doing: "listing"}, 0, true, "[--------------------] listing: 0 of 0"},
		// A schema 1 layer has no size before it is copied.
		{"bar-beyond-the-end", copier.Progress{Doing: "x", Done: 2, Total: 2, Bytes: 120, TotalBytes: 100}, time.Second, true, "[####################] x: 2 of 2, 120 B of 100 B, 120 B/s, 0s left"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := line(tt.p, tt.since, tt.bar); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	t.Run("terminal", func(t *testing.T) {
		var out bytes.Buffer
		s := &show{out: &out, terminal: true}
		s.progress(copier.Progress{Doing: "x", Done: 1, Total: 2})
		s.progress(copier.Progress{Doing: "x", Done: 2, Total: 2}) // too soon
		s.clear()
		if want := "\r\x1b[K[##########----------] x: 1 of 2\r\x1b[K"; out.String() != want {
			t.Errorf("%q, want %q", &out, want)
		}
	})
	t.Run("pipe", func(t *testing.T) {
		var out bytes.Buffer
		s := newShow(&out)
		s.progress(copier.Progress{Doing: "x", Done: 0, Total: 2}) // what is quick shows nothing
		s.last = s.last.Add(-10 * time.Second)
		s.progress(copier.Progress{Doing: "x", Done: 1, Total: 2})
		s.clear()
		if want := "x: 1 of 2\n"; out.String() != want {
			t.Errorf("%q, want %q", &out, want)
		}
	})
}

// A bucket may be in another region than the environment's.
func TestRegions(t *testing.T) {
	s := start(t)
	s.push(t, "one:v1", 1000, 1)
	other := system.Regions[1]
	t.Setenv("AWS_ENDPOINT_URL_S3", endpoint(s.System, other))
	for _, tt := range []struct{ name, bucket, want string }{
		{"named", "mirror-" + other + "@" + other, ""},
		{"not-named", "mirror-" + other, `bucket "mirror-eu-central-1": listing: it is not in the region that was named; name its own, as mirror-eu-central-1@`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := run(t.Context(), []string{"copy", "-source", s.source, "-bucket", tt.bucket}, io.Discard, io.Discard)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// Two runs share what is kept in a bucket, and so does who withdraws.
func TestStateBucket(t *testing.T) {
	s := start(t)
	s.push(t, "one:v1", 1000, 2)
	s.create(t, "kept", "first", "second")
	digest := s.anyBlob()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"first", []string{"copy", "-source", s.source, "-bucket", "first", "-state", "s3://kept"}, "1 manifest (1 fetched), 3 blobs"},
		{"second", []string{"copy", "-source", s.source, "-bucket", "second", "-state", "s3://kept@us-east-1/"}, "1 manifest (0 fetched), 3 blobs"},
		{"withdraw", []string{"withdraw", "-bucket", "first", "-state", "s3://kept", digest}, "first   1 version"},
		{"second-again", []string{"status", "-source", s.source, "-bucket", "first", "-state", "s3://kept"}, ", 1 withdrawn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			complete, err := run(t.Context(), tt.args, &out, io.Discard)
			if err != nil || !complete || !strings.Contains(out.String(), tt.want) {
				t.Errorf("complete %v, error %v, want %q in\n%s", complete, err, tt.want, &out)
			}
		})
	}
	t.Run("no-such-bucket", func(t *testing.T) {
		_, err := run(t.Context(), []string{"plan", "-source", s.source, "-bucket", "first", "-state", "s3://nobody-has-it"}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "there is no such bucket") || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v", err)
		}
	})
}

// TestLogin: a registry that wants a login says so once, where there is none.
func TestLogin(t *testing.T) {
	s := start(t)
	s.create(t, "login")
	const user, password = "somebody", "knows"
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}`, http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	ref, err := name.ParseReference(host + "/private/image:v1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithAuth(&authn.Basic{Username: user, Password: password})); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte("private/image\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	login := func(password string) string {
		return fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, host, user, password)
	}
	for _, tt := range []struct {
		name, docker string
		args         []string
		code         int
		// once stands in what is said, once.
		once string
	}{
		{"none", "{}", nil, 2, "wants a login that is not there or not enough; log in with docker or crane"},
		{"none-for-a-list", "{}", []string{"-repositories", list}, 1, "wants a login that is not there or not enough; log in with docker or crane"},
		{"wrong", login("does not know"), nil, 2, "wants a login that is not there or not enough; log in with docker or crane"},
		{"right", login(password), nil, 0, "copied 2 blobs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("DOCKER_CONFIG", t.TempDir())
			if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(tt.docker), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd, stdout, stderr := child(t, append([]string{"copy", "-source", host, "-bucket", "login"}, tt.args...)...)
			got := code(t, cmd.Run())
			if said := stdout.String() + stderr.String(); got != tt.code || strings.Count(said, tt.once) != 1 {
				t.Errorf("exit code %d, want %d, and %q once in\n%s", got, tt.code, tt.once, said)
			}
		})
	}
}

// TestEdge: what is withdrawn is forgotten under both spellings of its path.
// CloudFront is played here; the deployment in the emulator has one.
func TestEdge(t *testing.T) {
	s := start(t)
	s.create(t, "edge")
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, tt := range []struct {
		name     string
		status   int
		answer   string
		complete bool
		want     string
	}{
		{"forgets", http.StatusCreated, `<Invalidation><Id>I1</Id><Status>InProgress</Status></Invalidation>`, true, "The edge forgets it: invalidation I1."},
		{"refuses", http.StatusForbidden, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`, false, `error: having the distribution "E1" forget it: `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked []byte
			t.Setenv("AWS_ENDPOINT_URL_CLOUDFRONT", serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked, _ = io.ReadAll(r.Body)
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.answer)
			})))
			var out bytes.Buffer
			complete, err := run(t.Context(), []string{"withdraw", "-bucket", "edge", "-state", t.TempDir(), "-distribution", "E1", digest}, &out, io.Discard)
			if err != nil || complete != tt.complete || !strings.Contains(out.String(), tt.want) {
				t.Errorf("complete %v, error %v, want %q in\n%s", complete, err, tt.want, &out)
			}
			for _, path := range []string{"/containers/images/" + digest, "/containers/images/sha256%3A" + strings.Repeat("a", 64)} {
				if !bytes.Contains(asked, []byte("<Path>"+path+"</Path>")) {
					t.Errorf("%s is not in %s", path, asked)
				}
			}
		})
	}
}
