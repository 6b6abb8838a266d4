package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"archeio/lambda/build"
	"archeio/scripts/lab/system"
)

// servers are a real registry and a real S3 server with two mirrors' buckets.
type servers struct {
	*system.System
	source string // for -source
	client *s3.Client
	// blobs are all that the images have.
	blobs map[string]bool
}

// start makes the environment of this test the AWS SDK's and Docker's for the
// servers.
func start(t testing.TB) *servers {
	t.Helper()
	s, err := system.Start(t.Context(), system.Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	t.Setenv("AWS_ENDPOINT_URL_S3", endpoint(s, system.Regions[0]))
	t.Setenv("AWS_REGION", system.Regions[0])
	t.Setenv("AWS_ACCESS_KEY_ID", system.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", system.SecretKey)
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	return &servers{s, strings.TrimPrefix(s.Upstream, "http://") + "/" + system.Prefix, s.S3(system.Regions[0]), map[string]bool{}}
}

func endpoint(s *system.System, region string) string {
	return strings.TrimSuffix(s.MirrorURL(region), "/mirror-"+region)
}

// push publishes an image of a size in bytes and a number of layers.
func (s *servers) push(t testing.TB, path string, size, layers int64) {
	t.Helper()
	image, err := random.Image(size, layers)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, path, image)
}

func (s *servers) write(t testing.TB, path string, image v1.Image) {
	t.Helper()
	ref, err := name.ParseReference(s.source + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	s.blobs[manifest.Config.Digest.String()] = true
	for _, l := range manifest.Layers {
		s.blobs[l.Digest.String()] = true
	}
}

var built = sync.OnceValues(func() (string, error) { return build.Bootstrap(context.Background(), "mirror") })

// child is the built binary, about to run.
func child(t testing.TB, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd = exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// code is the exit code, -1 of a process that was killed.
func code(t testing.TB, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

// TestMirror runs the command as a person does, against a real registry and a
// real S3 server, in the AWS SDK's own environment.
func TestMirror(t *testing.T) {
	s := start(t)
	source := s.source
	s.push(t, "one:v1", 1000, 2)
	s.push(t, "team/two:v1", 1000, 2)
	dir := t.TempDir()
	memory, list := filepath.Join(dir, "memory"), filepath.Join(dir, "repositories")
	if err := os.WriteFile(list, []byte("# one of two\n\nteam/two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	common := []string{"-source", source, "-bucket", "mirror-us-east-1", "-bucket", "mirror-default", "-state", memory, "-json"}
	for _, tt := range []struct {
		name string
		args []string
		// what the answer must say
		fetched, missing int
		copied           *copied
	}{
		{"plan", []string{"plan"}, 2, 6, nil},
		{"copy-dry-run", []string{"copy", "-dry-run"}, 0, 6, nil},
		{"copy-one-repository", []string{"copy", "-repositories", list}, 0, 3, &copied{Blobs: 6}},
		{"copy-the-rest", []string{"copy", "-parallel", "2", "-rate", "100", "-referrers"}, 0, 3, &copied{Blobs: 6}},
		{"copy-again", []string{"copy"}, 0, 0, &copied{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			complete, err := run(t.Context(), append(tt.args, common...), &out, io.Discard)
			if err != nil || !complete {
				t.Fatalf("complete %v, error %v, %s", complete, err, out.String())
			}
			var got copyReport
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if got.Fetched != tt.fetched || len(got.Buckets) != 2 || got.Buckets[0].Missing != tt.missing || got.Buckets[1].Missing != tt.missing {
				t.Errorf("got %+v, want %d fetched, %d missing", got, tt.fetched, tt.missing)
			}
			if (got.Copied == nil) != (tt.copied == nil) || tt.copied != nil && got.Copied.Blobs != tt.copied.Blobs {
				t.Errorf("copied %+v, want %+v", got.Copied, tt.copied)
			}
		})
	}
	t.Run("text", func(t *testing.T) {
		var out bytes.Buffer
		if _, err := run(t.Context(), []string{"plan", "-source", source, "-bucket", "mirror-us-east-1"}, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"2 repositories, 2 manifests (2 fetched), 6 blobs of ", "mirror-us-east-1  0 blobs"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is missing in\n%s", want, out.String())
			}
		}
	})
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no-such-bucket", []string{"plan", "-source", source, "-bucket", "nobody-has-it"}, `bucket "nobody-has-it": listing: there is no such bucket`},
		{"no-command", nil, "name a command"},
		{"no-source", []string{"plan", "-bucket", "x"}, "takes -source"},
		{"no-bucket", []string{"copy", "-source", source}, "at least one -bucket"},
		{"bad-source", []string{"plan", "-source", "no registry", "-bucket", "x"}, `source "no registry": takes REGISTRY`},
		{"empty-list", []string{"plan", "-source", source, "-bucket", "x", "-repositories", os.DevNull}, "names none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := run(t.Context(), tt.args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
	t.Run("bad-keys", func(t *testing.T) {
		t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
		_, err := run(t.Context(), []string{"plan", "-source", source, "-bucket", "mirror-us-east-1"}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "these credentials may not") {
			t.Errorf("error %v", err)
		}
	})
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 5_000_000_000: "5.0 GB", 1_100_000_000_000_000: "1.1 PB"} {
		if got := size(bytes); got != want {
			t.Errorf("%d is %q, want %q", bytes, got, want)
		}
	}
}
