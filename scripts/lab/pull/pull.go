// Package pull makes an image that runs, pulls it with go-containerregistry as
// the client, writes down every request of the pull and where each blob came
// from, and prints that as tables. What the image is pulled through is its
// user's business.
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

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"archeio/lambda/config"
)

// Hop is one request of a pull and what came back.
type Hop struct {
	// URL is what was asked, To what that redirected to; empty for none.
	URL, To string
	Status  int
	// Reason is the answer's X-Redirect-Reason; it may be empty.
	Reason string
}

// Pull is how one pull went.
type Pull struct {
	Hops []Hop
	// From maps a blob to the URL that it came from, Why to the reason.
	Sources, Reasons map[string]string
	// Output is what the pulled image printed; empty where it cannot run here.
	Output string
}

// Client is somebody who pulls.
type Client struct {
	// Registry is the host that is asked.
	Registry string
	// Secure is for https.
	Secure bool
	// Transport sends every request, those that redirects lead to as well.
	Transport http.RoundTripper
	// SetAddress changes a request to Registry so that the front takes it for one of
	// the client's; it may be nil.
	SetAddress func(*http.Request)
}

// Pull pulls a published image. The error is the first thing that went wrong;
// the Pull holds the hops until then.
func (c Client) Pull(ctx context.Context, image *Image) (*Pull, error) {
	p := &Pull{Sources: map[string]string{}, Reasons: map[string]string{}}
	recorder := &recorder{pull: p, client: c}
	var options []name.Option
	if !c.Secure {
		options = append(options, name.Insecure)
	}
	ref, err := name.NewTag(c.Registry+"/"+Repository+":"+Tag, options...)
	if err != nil {
		return p, err
	}
	pulled, err := remote.Image(ref, remote.WithContext(ctx), remote.WithTransport(recorder),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}), remote.WithJobs(1))
	if err != nil {
		return p, err
	}
	digest, err := pulled.Digest()
	if err != nil {
		return p, err
	}
	if digest != image.Digest {
		return p, fmt.Errorf("pulled %s, published was %s", digest, image.Digest)
	}
	if err := download(ctx, p, pulled); err != nil {
		return p, err
	}
	for _, blob := range image.Blobs {
		if p.Sources[blob.String()] == "" {
			return p, fmt.Errorf("blob %s was not pulled", blob)
		}
	}
	return p, nil
}

// download reads every layer to its end, which checks it against its digest,
// and runs what came.
func download(ctx context.Context, p *Pull, image v1.Image) error {
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	entrypoint := strings.TrimPrefix(config.Config.Entrypoint[0], "/")
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	var binary []byte
	for _, layer := range layers {
		compressed, err := layer.Compressed()
		if err != nil {
			return err
		}
		blob, err := io.ReadAll(compressed)
		if err := errors.Join(err, compressed.Close()); err != nil {
			return err
		}
		file, err := find(blob, entrypoint)
		if err != nil {
			return err
		}
		if file != nil {
			binary = file
		}
	}
	p.Output, err = run(ctx, binary)
	return err
}

// find answers a file of a layer, nil if the layer has none of that name.
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

// run runs the image's entry point, where this machine can.
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
	if err := os.WriteFile(file, binary, 0o755); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, file).Output()
	if err != nil {
		return "", fmt.Errorf("running the pulled image: %w", err)
	}
	if text := strings.TrimSpace(string(out)); text != Hello {
		return "", fmt.Errorf("the pulled image printed %q, not %q", text, Hello)
	}
	return Hello, nil
}

// recorder writes down the hops of a pull, and plays the client's address at
// the front.
type recorder struct {
	pull   *Pull
	client Client

	mu sync.Mutex
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
	hop := Hop{URL: req.URL.String(), Status: resp.StatusCode, Reason: resp.Header.Get("X-Redirect-Reason")}
	if location, err := resp.Location(); err == nil {
		hop.To = location.String()
	} else if !errors.Is(err, http.ErrNoLocation) {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, digest, isBlob := strings.Cut(req.URL.Path, "/blobs/")
	switch {
	case isBlob && req.URL.Host == r.client.Registry:
		r.pull.Reasons[digest] = hop.Reason
	case strings.Contains(req.URL.Path, "/"+config.BlobPrefix):
		digest, isBlob = filepath.Base(req.URL.Path), true
	}
	if isBlob && resp.StatusCode == http.StatusOK {
		r.pull.Sources[digest] = req.URL.String()
	}
	r.pull.Hops = append(r.pull.Hops, hop)
	return resp, nil
}

// Want is the way that a pull must take: who serves the blobs that the mirrors
// hold and why, and the same for the one that they lack.
type Want struct {
	Present, PresentReason string
	Missing, MissingReason string
}

// Mismatch says what is wrong with the way that a pull took; empty if nothing is.
// who names the server of a URL.
func (p *Pull) Mismatch(want Want, image *Image, who func(url string) string) string {
	for _, blob := range image.Blobs {
		digest := blob.String()
		from, why := want.Present, want.PresentReason
		if blob == image.Missing {
			from, why = want.Missing, want.MissingReason
		}
		if got := who(p.Sources[digest]); got != from || p.Reasons[digest] != why {
			return "blob " + blob.Hex[:12] + " came from " + got + " (" + p.Reasons[digest] + "), it must come from " + from + " (" + why + ")"
		}
	}
	return ""
}
