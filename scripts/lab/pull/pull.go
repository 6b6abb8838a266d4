// Package pull makes an image that can be run, pulls it with go-containerregistry
// as the client, records each request of the pull and where each blob came from,
// and prints that as tables. What the image is pulled through is up to the
// caller.
package pull

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Hop is one request of a pull and its response.
type Hop struct {
	// At is when the response came.
	At time.Time
	// URL is the URL of the request, Location where the response redirects to,
	// if it does.
	URL, Location string
	Status        int
	// Reason is X-Redirect-Reason of the response; it may be empty.
	Reason string
}

// Pull is the record of one pull.
type Pull struct {
	Hops []Hop
	// Manifest is the URL that the manifest came from.
	Manifest string
	// Sources maps the digest of each blob to the URL that it came from, and
	// Reasons to the reason of the redirect.
	Sources, Reasons map[string]string
	// Output is what the pulled image printed; empty if this machine cannot run
	// it.
	Output string
	// Duration is how long the pull took, without running the image.
	Duration time.Duration
}

// Client is a client that pulls.
type Client struct {
	// Registry is the host of the registry.
	Registry string
	// Secure is whether the registry is reached by HTTPS.
	Secure bool
	// Transport sends all requests, including those that follow redirects.
	Transport http.RoundTripper
	// SetAddress changes a request to Registry so that the entry point attributes
	// it to the client; it may be nil.
	SetAddress func(*http.Request)
}

// Pull pulls a published image and runs it. The error is the first failure; the
// Pull holds the hops until then.
func (c Client) Pull(ctx context.Context, image *Image) (*Pull, error) {
	p := &Pull{Sources: map[string]string{}, Reasons: map[string]string{}}
	start := time.Now()
	binary, err := c.pull(ctx, p, image)
	p.Duration = time.Since(start)
	if err != nil {
		return p, err
	}
	p.Output, err = run(ctx, binary)
	return p, err
}

// pull pulls the image and returns the binary in it.
func (c Client) pull(ctx context.Context, p *Pull, image *Image) ([]byte, error) {
	var options []name.Option
	if !c.Secure {
		options = append(options, name.Insecure)
	}
	ref, err := name.NewTag(c.Registry+"/"+Repository+":"+Tag, options...)
	if err != nil {
		return nil, err
	}
	pulled, err := remote.Image(ref, remote.WithContext(ctx), remote.WithTransport(&recorder{pull: p, client: c}),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}), remote.WithJobs(1))
	if err != nil {
		return nil, err
	}
	digest, err := pulled.Digest()
	if err != nil {
		return nil, err
	}
	if digest != image.Digest {
		return nil, fmt.Errorf("pulled manifest %s, published was %s", digest, image.Digest)
	}
	binary, err := download(pulled)
	if err != nil {
		return nil, err
	}
	for _, blob := range image.Blobs {
		if p.Sources[blob.String()] == "" {
			return nil, fmt.Errorf("blob %s was not pulled", blob)
		}
	}
	return binary, nil
}

// download reads every layer to its end, which verifies its digest, and returns
// the file that is the image's entrypoint.
func download(image v1.Image) (binary []byte, err error) {
	imageConfig, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	entrypoint := strings.TrimPrefix(imageConfig.Config.Entrypoint[0], "/")
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	for _, layer := range layers {
		compressed, err := layer.Compressed()
		if err != nil {
			return nil, err
		}
		blob, err := io.ReadAll(compressed)
		if err := errors.Join(err, compressed.Close()); err != nil {
			return nil, err
		}
		file, err := find(blob, entrypoint)
		if err != nil {
			return nil, err
		}
		if file != nil {
			binary = file
		}
	}
	return binary, nil
}

// find returns a file of a layer, nil if the layer does not have it.
func find(layer []byte, name string) ([]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		return nil, err
	}
	for tr := tar.NewReader(unzipped); ; {
		h, err := tr.Next()
		switch {
		case err == io.EOF:
			return nil, nil
		case err != nil:
			return nil, err
		case h.Name == name:
			return io.ReadAll(tr)
		}
	}
}

// run runs the image's binary if this machine can, and returns what it printed.
func run(ctx context.Context, binary []byte) (string, error) {
	if runtime.GOOS != "linux" {
		return "", nil
	}
	dir, err := os.MkdirTemp("", "archeio-pull-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "entrypoint")
	// A process that is forked while the file is open for writing inherits it,
	// and until that process calls exec the file cannot be run (ETXTBSY).
	syscall.ForkLock.RLock()
	err = os.WriteFile(file, binary, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, file).Output()
	if err != nil {
		return "", fmt.Errorf("running the pulled image: %w", err)
	}
	if text := strings.TrimSpace(string(out)); text != Hello {
		return "", fmt.Errorf("the pulled image printed %q, want %q", text, Hello)
	}
	return Hello, nil
}

// recorder records the hops of a pull and sets the client's address.
type recorder struct {
	client Client

	mu   sync.Mutex
	pull *Pull
	// redirected maps a URL that a request for a blob was redirected to, to the blob.
	redirected map[string]string
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req
	if req.URL.Host == r.client.Registry && r.client.SetAddress != nil {
		out = req.Clone(req.Context())
		r.client.SetAddress(out)
	}
	resp, err := r.client.Transport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	hop := Hop{At: time.Now(), URL: req.URL.String(), Status: resp.StatusCode, Reason: resp.Header.Get("X-Redirect-Reason")}
	if location, err := resp.Location(); err == nil {
		hop.Location = location.String()
	} else if !errors.Is(err, http.ErrNoLocation) {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, digest, isBlob := strings.Cut(req.URL.Path, "/blobs/")
	if redirected := r.redirected[hop.URL]; redirected != "" {
		digest, isBlob = redirected, true
	} else if isBlob && req.URL.Host == r.client.Registry {
		r.pull.Reasons[digest] = hop.Reason
	}
	switch {
	case isBlob && hop.Location != "":
		if r.redirected == nil {
			r.redirected = map[string]string{}
		}
		r.redirected[hop.Location] = digest
	case strings.Contains(req.URL.Path, "/manifests/") && resp.StatusCode == http.StatusOK:
		r.pull.Manifest = hop.URL
	}
	if isBlob && resp.StatusCode == http.StatusOK {
		r.pull.Sources[digest] = hop.URL
	}
	r.pull.Hops = append(r.pull.Hops, hop)
	return resp, nil
}

// Want is where the blobs of a pull must come from and the reasons of the
// redirects: for the blobs that the mirrors have, and for the one they miss.
type Want struct {
	Present, PresentReason string
	Missing, MissingReason string
}

// Mismatch returns in what a pull differs from want, empty if it does not.
// serverName returns the name of the server of a URL, as want has it.
func (p *Pull) Mismatch(want Want, image *Image, serverName func(url string) string) string {
	for _, blob := range image.Blobs {
		digest := blob.String()
		source, reason := want.Present, want.PresentReason
		if blob == image.Missing {
			source, reason = want.Missing, want.MissingReason
		}
		if got := serverName(p.Sources[digest]); got != source || p.Reasons[digest] != reason {
			return fmt.Sprintf("blob %s came from %s (%s), want %s (%s)", blob.Hex[:12], or(got, "nowhere"), or(p.Reasons[digest], "no reason"), source, reason)
		}
	}
	return ""
}
