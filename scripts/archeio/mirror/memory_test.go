package mirror

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"archeio/lambda/config"
)

const (
	// maxMemory is how much memory the program may use, in bytes, for blobs of any
	// size.
	maxMemory = 200 << 20
	// keptUpload is the size in bytes from which uploads are kept over a restart, and so
	// are made in parts.
	keptUpload = 16 << 20
)

// TestLargeBlob streams blobs that are larger than the memory that the program may
// use. With MIRROR_TEST_BLOB=5368709120 one is uploaded in parts.
func TestLargeBlob(t *testing.T) {
	blob := int64(300 << 20)
	if text := os.Getenv("MIRROR_TEST_BLOB"); text != "" {
		var err error
		if blob, err = strconv.ParseInt(text, 10, 64); err != nil || blob <= 0 {
			t.Fatalf("MIRROR_TEST_BLOB=%q: want a number of bytes", text)
		}
	}
	t.Parallel()
	s := start(t, "large")
	for _, tt := range []struct {
		name  string
		sizes []int64
	}{
		{"small", []int64{1 << 20}}, // what it uses anyway
		{"large", []int64{blob}},
		{"eight-at-once", slices.Repeat([]int64{40 << 20}, 8)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bucket := "large-" + tt.name
			s.create(t, bucket)
			r := newLarge(tt.sizes)
			common := []string{"-bucket", bucket, "-parallel", "8", "-json"}
			var copied copyReport
			r.measure(t, "copy", &copied, append(common, "-source", strings.TrimPrefix(serveHTTP(t, r), "http://")))
			if copied.Copied == nil || copied.Copied.Blobs != len(r.blobs) || copied.Copied.Bytes != r.total {
				t.Errorf("copied %+v, want %d blobs of %d bytes", copied.Copied, len(r.blobs), r.total)
			}
			// Verify reads all of it again.
			var verified verifyReport
			r.measure(t, "verify", &verified, common)
			if verified.Checked != len(r.blobs) || verified.Bytes != r.total || len(verified.Wrong) != 0 {
				t.Errorf("verified %+v, want %d blobs of %d bytes", verified, len(r.blobs), r.total)
			}
			for _, b := range r.blobs {
				o, err := s.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String(config.BlobPrefix + b.digest)})
				if err != nil {
					t.Fatal(err)
				}
				// S3 and its like mark the ETag of an object that was uploaded in parts.
				if parts := strings.Contains(aws.ToString(o.ETag), "-"); aws.ToInt64(o.ContentLength) != b.size || parts != (b.size >= keptUpload) {
					t.Errorf("%d bytes, ETag %s, want %d bytes", aws.ToInt64(o.ContentLength), aws.ToString(o.ETag), b.size)
				}
			}
		})
	}
}

// large is a registry with one image. Its layers are generated while they are read.
type large struct {
	http.Handler
	blobs    []largeBlob // the config is the last
	manifest []byte
	total    int64
}

type largeBlob struct {
	digest string
	size   int64
	block  []byte // that is repeated
}

func newLarge(sizes []int64) *large {
	r := &large{}
	random := rand.NewChaCha8([32]byte{1})
	for _, size := range sizes {
		b := largeBlob{size: size, block: make([]byte, 1<<20)}
		random.Read(b.block)
		r.blobs = append(r.blobs, b)
	}
	r.blobs = append(r.blobs, largeBlob{size: 2, block: []byte("{}")})
	var layers []string
	for i := range r.blobs {
		b := &r.blobs[i]
		hash := sha256.New()
		b.write(hash)
		b.digest = "sha256:" + hex.EncodeToString(hash.Sum(nil))
		layers = append(layers, fmt.Sprintf(`{"digest":%q,"size":%d}`, b.digest, b.size))
		r.total += b.size
	}
	last := len(layers) - 1
	r.manifest = fmt.Appendf(nil, `{"schemaVersion":2,"config":%s,"layers":[%s]}`, layers[last], strings.Join(layers[:last], ","))
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(r.manifest))
	mux := http.NewServeMux()
	for path, text := range map[string]string{"/v2/{$}": "{}", "/v2/_catalog": `{"repositories":["large"]}`, "/v2/large/tags/list": `{"tags":["v1"]}`} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
	}
	mux.HandleFunc("GET /v2/large/manifests/{reference}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
		w.Header().Set("Content-Length", strconv.Itoa(len(r.manifest)))
		w.Header().Set("Docker-Content-Digest", digest)
		w.Write(r.manifest)
	})
	mux.HandleFunc("GET /v2/large/blobs/{digest}", func(w http.ResponseWriter, q *http.Request) {
		for _, b := range r.blobs {
			if b.digest == q.PathValue("digest") {
				w.Header().Set("Content-Length", strconv.FormatInt(b.size, 10))
				b.write(w)
				return
			}
		}
		http.NotFound(w, q)
	})
	r.Handler = mux
	return r
}

// write stops if the reader has gone; that one reports it.
func (b *largeBlob) write(w io.Writer) {
	for left := b.size; left > 0; {
		n, err := w.Write(b.block[:min(left, int64(len(b.block)))])
		if err != nil {
			return
		}
		left -= int64(n)
	}
}

// measure runs the built program and reads its report.
func (r *large) measure(t *testing.T, command string, report any, args []string) {
	t.Helper()
	begin := time.Now()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	// To the kernel, the memory of the parent is that of a child until the child
	// executes another program, so the parent must be small.
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{binary, "mirror", command}, args...)...)
	cmd.Env = append(os.Environ(), launch+"=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	took := time.Since(begin)
	decoder := json.NewDecoder(&stdout)
	var peak int64 // follows the report
	if err := errors.Join(decoder.Decode(report), decoder.Decode(&peak)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d blobs of %s in %.1f s, %s/s, peak %s", command, len(r.blobs), size(r.total), took.Seconds(), size(int64(float64(r.total)/took.Seconds())), size(peak))
	if peak > maxMemory {
		t.Errorf("%s used %d bytes, more than %d", command, peak, maxMemory)
	}
}

// launch in the environment makes the binary of this test run another program and
// print its peak memory in bytes.
const launch = "MIRROR_TEST_LAUNCH"

// launchAndMeasure runs the program that the arguments name.
func launchAndMeasure() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	peak := int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS == "linux" {
		peak <<= 10 // there it is in KiB
	}
	fmt.Println(peak)
}
