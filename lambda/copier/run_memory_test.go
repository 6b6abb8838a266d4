package copier

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"archeio/lambda/registry"
)

// TestRunMemory tests how much memory a run needs for each missing blob, after it has copied
// them. Nothing runs at the same time.
func TestRunMemory(t *testing.T) {
	const images, layers, perBlob, most = 30, 100, 250, 300 << 10
	content := func(image, layer int) string { return fmt.Sprint("blob ", image, "-", layer) }
	digest := func(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }
	blobs, manifests, tags := map[string]string{}, map[string]string{}, []string{}
	for image := range images {
		var named []string
		for layer := range layers {
			text := content(image, layer)
			blobs[digest(text)] = text
			named = append(named, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}`, digest(text), len(text)))
		}
		tag := fmt.Sprint("v", image)
		tags = append(tags, fmt.Sprintf("%q", tag))
		manifests[tag] = `{"schemaVersion":2,"layers":[` + strings.Join(named, ",") + `]}`
		manifests[digest(manifests[tag])] = manifests[tag]
	}
	source, err := registry.New("registry.example.com", registry.Options{Keychain: authn.NewMultiKeychain(), Transport: wire(func(r *http.Request) (*http.Response, error) {
		name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		switch {
		case strings.Contains(r.URL.Path, "/blobs/"):
			return respond(r, http.StatusOK, nil, blobs[name])
		case strings.Contains(r.URL.Path, "/manifests/"):
			return respond(r, http.StatusOK, http.Header{"Content-Type": {ociManifest}, "Docker-Content-Digest": {digest(manifests[name])}}, manifests[name])
		case strings.HasSuffix(r.URL.Path, "/tags/list"):
			return respond(r, http.StatusOK, nil, `{"tags":[`+strings.Join(tags, ",")+`]}`)
		}
		return respond(r, http.StatusOK, nil, "{}")
	})})
	if err != nil {
		t.Fatal(err)
	}
	// The bucket is empty, and accepts what is written without keeping it.
	bucket := wire(func(r *http.Request) (*http.Response, error) {
		header := http.Header{"Etag": {`"1"`}}
		switch {
		case r.Method == http.MethodGet:
			return respond(r, http.StatusOK, nil, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
		case r.Method == http.MethodPut:
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return nil, err
			}
		}
		return respond(r, http.StatusOK, header, "")
	})
	heap := func() int64 {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		runtime.GC()
		metrics.Read(live)
		return int64(live[0].Value.Uint64())
	}
	dir := t.TempDir()
	o := Options{Source: source, Manifests: NewShellCache(dir), Buckets: []*Bucket{through(newMemory().bucket("primary", "us-east-1"), bucket)},
		Filter: Filter{Repositories: []string{"app"}}, TempDir: dir, group: 64 << 10}
	before := heap()
	plan, result, err := Run(t.Context(), o)
	if err != nil || len(result.Errors) != 0 || result.Copied != len(blobs) {
		t.Fatalf("%v, result %+v", err, result)
	}
	used := heap() - before
	t.Logf("%d bytes", used)
	if limit := int64(most + perBlob*len(blobs)); used > limit {
		t.Errorf("%d bytes for %d blobs, want at most %d", used, len(blobs), limit)
	}
	runtime.KeepAlive(plan)
}
