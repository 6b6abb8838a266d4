package mirror

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"archeio/lambda/config"
	"archeio/scripts/lab/system"
)

// TestKilledWithinBlob kills the program while it writes the third part of a large blob.
// The next run reads and writes only what is missing.
func TestKilledWithinBlob(t *testing.T) {
	t.Parallel()
	s := start(t, "kept", "kept")
	const blobSize, parts = 20 << 20, 2 * 8 << 20
	layer := static.NewLayer(make([]byte, blobSize), types.DockerLayer)
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "large:v1", image)
	digest, err := layer.Digest()
	if err != nil {
		t.Fatal(err)
	}

	mirror := &gate{next: passing(t, endpoint(s.System, system.Regions[0]))}
	var mu sync.Mutex
	var ranges []string // of the requests for the blob
	written := 0        // parts
	registry := passing(t, s.Upstream)
	source := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isBlob(r) && strings.HasSuffix(r.URL.Path, digest.String()) {
			mu.Lock()
			ranges = append(ranges, r.Header.Get("Range"))
			mu.Unlock()
		}
		registry.ServeHTTP(w, r)
	}))
	buckets := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isPart(r) {
			mu.Lock()
			written++
			mu.Unlock()
		}
		mirror.ServeHTTP(w, r)
	}))
	args := []string{"copy", "-source", strings.Replace(s.source, strings.TrimPrefix(s.Upstream, "http://"), strings.TrimPrefix(source, "http://"), 1),
		"-bucket", "kept", "-state", t.TempDir(), "-json"}
	env := []string{"AWS_ENDPOINT_URL_S3=" + buckets}

	cmd, _, stderr := child(t, env, args...)
	started := make(chan struct{})
	mirror.set(3, isPart, func() { <-started; cmd.Process.Kill() })
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	if got := code(t, cmd.Wait()); got != -1 {
		t.Fatalf("exit code %d, want it to be killed: %s", got, stderr)
	}

	mu.Lock()
	ranges, written = nil, 0
	mu.Unlock()
	cmd, stdout, stderr := child(t, env, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	var got copyReport
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if strings.Join(ranges, " ") != "bytes=16777216-" || written != 1 || got.Copied.Blobs == 0 {
		t.Errorf("the next run requested %q, wrote %d parts and copied %d blobs; want it to continue after %d bytes", ranges, written, got.Copied.Blobs, parts)
	}
	o, err := s.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("kept"), Key: aws.String(config.BlobPrefix + digest.String())})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Body.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, o.Body)
	if sum := hex.EncodeToString(hash.Sum(nil)); err != nil || sum != digest.Hex || n != blobSize {
		t.Errorf("the blob has %d bytes that hash to %s (%v)", n, sum, err)
	}
}

func isPart(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Has("partNumber")
}
