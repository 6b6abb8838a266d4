// Package testpull pulls a small part of an image through one entry point as a registry
// client does: the API version check, the manifest and its smallest blob. It trusts
// neither the entry point nor the servers that it is redirected to: content must match
// its digest.
package testpull

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// Timeout is the limit of one automatic pull.
	Timeout = 20 * time.Second

	// maxTogether is how many bytes the automatic pulls of a run may download.
	maxTogether = 1 << 20

	// maxRedirects is how many redirects of one request are followed.
	maxRedirects = 5

	// maxManifest is how many bytes a manifest may have. Registries accept up to 4 MiB.
	// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
	maxManifest = 4 << 20

	// manifestTypes is the Accept header of a request for a manifest: what current clients
	// accept. It is not oci.ManifestTypes, since this package imports no code that it tests.
	manifestTypes = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " +
		"application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)

// ErrTooLarge is the error of an image of which no part is small enough.
var ErrTooLarge = errors.New("choose a smaller image")

// MaxBytes returns how many bytes an automatic pull through one entry point may download.
// All entry points of a run share a MiB.
func MaxBytes(entryPoints int) int64 { return maxTogether / int64(max(entryPoints, 1)) }

// Image is what is pulled. Reference is a tag or a digest.
type Image struct{ Name, Reference string }

// String returns the image as ParseImage parses it.
func (i Image) String() string {
	if strings.Contains(i.Reference, ":") {
		return i.Name + "@" + i.Reference
	}
	return i.Name + ":" + i.Reference
}

// ParseImage parses NAME:TAG or NAME@DIGEST, without a host. It reports whether both
// parts are there.
func ParseImage(text string) (Image, bool) {
	name, reference, ok := strings.Cut(text, "@")
	if !ok {
		colon := strings.LastIndexByte(text, ':')
		if colon < 0 {
			return Image{}, false
		}
		name, reference = text[:colon], text[colon+1:]
	}
	return Image{name, reference}, name != "" && reference != "" && !strings.ContainsAny(text, "?# ") && !strings.Contains(reference, "/")
}

// Client pulls through one entry point. It is safe for concurrent use if Transport is.
type Client struct {
	// Transport sends each request of the pull, including those to the servers that the
	// entry point redirects to.
	Transport http.RoundTripper
	// Registry is the scheme and the host of the entry point.
	Registry string
	// MaxBytes is how many bytes of manifests and blobs one pull may download.
	MaxBytes int64
}

// Step is one request of a pull with the requests that follow its redirects.
type Step struct {
	// Reason is X-Redirect-Reason of the entry point's response, Source the URL that
	// the content came from.
	Reason, Source string
	Bytes          int64
	Duration       time.Duration
}

// Pull is the record of a pull.
type Pull struct {
	Ping, Manifest, Blob Step
	// Digest is that of the manifest that refers to the blob, BlobDigest that of the blob.
	Digest, BlobDigest string
}

// String returns where the content came from, and how long that took.
func (p *Pull) String() string {
	return fmt.Sprintf("manifest from %s, blob from %s (%s), %d ms", hostOf(p.Manifest.Source), hostOf(p.Blob.Source), p.Blob.Reason,
		(p.Ping.Duration + p.Manifest.Duration + p.Blob.Duration).Milliseconds())
}

func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "an invalid URL"
	}
	return u.Host
}

// Pull pulls an image. The error is the first failure, the Pull what was done until
// then.
func (c Client) Pull(ctx context.Context, image Image) (*Pull, error) {
	p := &Pull{}
	left := c.MaxBytes
	var err error
	if _, p.Ping, err = c.get(ctx, "/v2/", "", left); err != nil {
		return p, fmt.Errorf("API version check: %w", err)
	}
	body, step, m, err := c.manifest(ctx, image, left)
	p.Manifest = step
	if err != nil {
		return p, err
	}
	left -= step.Bytes
	p.Digest = digestOf(body)
	if child := m.Child(); child != "" {
		if _, step, m, err = c.manifest(ctx, Image{image.Name, child}, left); err != nil {
			return p, err
		}
		left -= step.Bytes
		p.Digest = child
	}
	blob := m.smallest()
	switch {
	case blob == nil:
		return p, fmt.Errorf("manifest %s: no blob with a SHA-256 digest and a size", p.Digest)
	case blob.Size > left:
		return p, fmt.Errorf("manifest %s: its smallest blob has %d bytes, %d of %d are left: %w", p.Digest, blob.Size, left, c.MaxBytes, ErrTooLarge)
	}
	p.BlobDigest = blob.Digest
	if body, p.Blob, err = c.get(ctx, "/v2/"+image.Name+"/blobs/"+blob.Digest, "", blob.Size); err == nil {
		err = matches(body, blob.Digest)
	}
	if err != nil {
		return p, fmt.Errorf("blob %s: %w", blob.Digest, err)
	}
	return p, nil
}

// manifest requests a manifest of at most limit bytes.
func (c Client) manifest(ctx context.Context, image Image, limit int64) (body []byte, s Step, m *Manifest, err error) {
	limit = min(limit, maxManifest)
	body, s, err = c.get(ctx, "/v2/"+image.Name+"/manifests/"+image.Reference, manifestTypes, limit)
	switch {
	case s.Bytes > limit:
		err = fmt.Errorf("%w: %w", err, ErrTooLarge)
	case err == nil:
		err = matches(body, image.Reference)
	}
	if err == nil {
		m, err = ParseManifest(body)
	}
	if err != nil {
		return nil, s, nil, fmt.Errorf("manifest %s: %w", image.Reference, err)
	}
	return body, s, m, nil
}

// Ping makes the API version check only.
func (c Client) Ping(ctx context.Context) error {
	if _, _, err := c.get(ctx, "/v2/", "", c.MaxBytes); err != nil {
		return fmt.Errorf("API version check: %w", err)
	}
	return nil
}

// get requests a path of the entry point, follows redirects and returns the body, of
// at most limit bytes.
func (c Client) get(ctx context.Context, path, accept string, limit int64) (body []byte, s Step, err error) {
	start := time.Now()
	defer func() { s.Duration = time.Since(start) }()
	at := c.Registry + path
	for range maxRedirects + 1 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return nil, s, err
		}
		r.Header.Set("User-Agent", "archeio-testpull")
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		resp, err := c.Transport.RoundTrip(r)
		if err != nil {
			return nil, s, fmt.Errorf("requesting %s: %w", display(at), err)
		}
		if s.Source == "" {
			s.Reason = resp.Header.Get("X-Redirect-Reason")
		}
		s.Source = at
		if resp.StatusCode == http.StatusOK {
			body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
			_ = resp.Body.Close()
			s.Bytes = int64(len(body))
			switch {
			case err != nil:
				return nil, s, fmt.Errorf("reading %s: %w", display(at), err)
			case s.Bytes > limit:
				return nil, s, fmt.Errorf("reading %s: more than %d bytes", display(at), limit)
			}
			return body, s, nil
		}
		_ = resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return nil, s, fmt.Errorf("requesting %s: status %d", display(at), resp.StatusCode)
		}
		to, err := resp.Location()
		if err != nil {
			return nil, s, fmt.Errorf("requesting %s: redirect without a valid Location", display(at))
		}
		if r.URL.Scheme == "https" && to.Scheme != "https" {
			return nil, s, fmt.Errorf("requesting %s: redirect to %s without TLS", display(at), display(to.String()))
		}
		at = to.String()
	}
	return nil, s, fmt.Errorf("requesting %s: more than %d redirects", display(c.Registry+path), maxRedirects)
}

// display returns a URL without its query, which may have a signature.
func display(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "an invalid URL"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// matches returns an error if content does not match a digest. A reference that is not
// a SHA-256 digest matches everything.
func matches(content []byte, reference string) error {
	if got := digestOf(content); strings.HasPrefix(reference, "sha256:") && got != reference {
		return fmt.Errorf("content does not match its digest: it has %s", got)
	}
	return nil
}

// descriptor is the part of an OCI descriptor that is used here.
// https://github.com/opencontainers/image-spec/blob/main/descriptor.md
type descriptor struct {
	Digest   string   `json:"digest"`
	Size     int64    `json:"size"`
	URLs     []string `json:"urls"`
	Platform struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

// valid reports whether the content is in the registry and can be verified.
func (d *descriptor) valid() bool {
	hex, ok := strings.CutPrefix(d.Digest, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == "" && d.Size > 0 && len(d.URLs) == 0
}

// Manifest is an image manifest or an index.
type Manifest struct {
	Manifests []descriptor `json:"manifests"`
	Config    descriptor   `json:"config"`
	Layers    []descriptor `json:"layers"`
}

// ParseManifest parses a manifest.
func ParseManifest(body []byte) (*Manifest, error) {
	m := &Manifest{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("not a manifest: %w", err)
	}
	return m, nil
}

// Child returns the digest of the manifest for linux/amd64 of an index, else of its first
// one. It is empty for an image manifest.
func (m *Manifest) Child() string {
	first := ""
	for i := range m.Manifests {
		switch d := &m.Manifests[i]; {
		case !d.valid():
		case d.Platform.OS == "linux" && d.Platform.Architecture == "amd64":
			return d.Digest
		case first == "":
			first = d.Digest
		}
	}
	return first
}

// SmallestBlob returns the digest of the smallest blob of an image manifest. It is empty
// if no blob can be verified.
func (m *Manifest) SmallestBlob() string {
	if d := m.smallest(); d != nil {
		return d.Digest
	}
	return ""
}

// smallest is as SmallestBlob, and returns nil for none.
func (m *Manifest) smallest() *descriptor {
	var found *descriptor
	for _, d := range append([]descriptor{m.Config}, m.Layers...) {
		if d.valid() && (found == nil || d.Size < found.Size) {
			found = &d
		}
	}
	return found
}
