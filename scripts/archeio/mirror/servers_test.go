package mirror

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
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
	"archeio/scripts/archeio/cli"
	"archeio/scripts/lab/system"
)

// TestMain runs the tests with temporary files of their own, because the S3 server
// writes large ones, and stops the servers.
func TestMain(m *testing.M) {
	if os.Getenv(launch) != "" {
		launchAndMeasure()
		return
	}
	// Most tests wait for a server or a retry and not for a processor.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "archeio-mirror-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		os.Setenv("TMPDIR", dir)
		// Go builds the program with the user's own cache.
		if cache, err := os.UserCacheDir(); err == nil && os.Getenv("GOCACHE") == "" {
			os.Setenv("GOCACHE", filepath.Join(cache, "go-build"))
		}
		os.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
		defer func() {
			if started != nil {
				started.Stop()
			}
		}()
		return m.Run()
	}())
}

// started is the system that all tests share.
var started *system.System

// startOnce starts a real registry and a real S3 server, and makes the environment
// of this process that of the AWS SDK and of Docker for them.
var startOnce = sync.OnceValue(func() (err error) {
	if started, err = system.Start(context.Background(), system.Options{Log: io.Discard}); err != nil {
		return err
	}
	for name, value := range started.SDKEnv(system.Regions[0]) {
		os.Setenv(name, value)
	}
	docker := filepath.Join(os.TempDir(), "docker")
	os.Setenv("DOCKER_CONFIG", docker)
	return os.Mkdir(docker, 0o700)
})

// servers are the part of one test of the shared servers.
type servers struct {
	*system.System
	source string // for -source
	client *s3.Client
	// blobs are the digests of the images that were pushed.
	blobs map[string]bool
}

// start returns servers with a repository prefix and buckets of their own.
func start(t testing.TB, prefix string, buckets ...string) *servers {
	t.Helper()
	if err := startOnce(); err != nil {
		t.Fatal(err)
	}
	s := &servers{started, started.Source() + "/" + prefix, started.S3(system.Regions[0]), map[string]bool{}}
	s.create(t, buckets...)
	return s
}

func endpoint(s *system.System, region string) string {
	return strings.TrimSuffix(s.MirrorURL(region), "/mirror-"+region)
}

// create creates buckets.
func (s *servers) create(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := s.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
			t.Fatal(err)
		}
	}
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

func (s *servers) anyBlob() string {
	for digest := range s.blobs {
		return digest
	}
	return ""
}

// run runs the command in this process and returns its exit code and output.
func run(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = cli.Run(t.Context(), Command(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// program builds the operator's program once.
var program = sync.OnceValues(func() (string, error) {
	file := filepath.Join(os.TempDir(), "archeio")
	return file, build.Program(context.Background(), "./scripts/archeio", "", "", file)
})

// child returns a process of the built program with the command and its arguments,
// and with more environment variables, that is not started yet.
func child(t testing.TB, env []string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd = exec.CommandContext(t.Context(), binary, append([]string{"mirror"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// code returns the exit code, -1 of a process that was killed.
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

// passing passes requests on unchanged: the host is part of S3's signature.
func passing(t testing.TB, target string) http.Handler {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

// serveHTTP returns the base URL of a handler.
func serveHTTP(t testing.TB, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}
