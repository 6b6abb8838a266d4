package copier

import (
	"encoding/json"
	"fmt"
	"strings"

	"archeio/lambda/oci"
)

// Blob is content that is named by its digest.
type Blob struct {
	Digest string `json:"digest"`
	// Size is in bytes, -1 where the manifest does not say it (schema 1).
	Size int64 `json:"size"`
}

// Contents is what a manifest refers to.
type Contents struct {
	// Children are the digests of other manifests, those of an index.
	Children []string `json:"children,omitempty"`
	// Blobs are those that a mirror may hold.
	Blobs []Blob `json:"blobs,omitempty"`
	// LeftOut counts layers that may not be redistributed, and blobs of an
	// algorithm that mirrors do not hold.
	LeftOut int `json:"leftOut,omitempty"`
}

// maxManifestSize is twice what the specification has registries take at least.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
const maxManifestSize = 8 << 20

// Parse reads a manifest of any kind: an OCI image or index, an artifact, a
// Docker image or list of schema 2, or an image of schema 1. Its error says what
// is wrong with it.
//
// https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md
// https://distribution.github.io/distribution/spec/deprecated-schema-v1/
func Parse(manifest []byte) (*Contents, error) {
	var m struct {
		SchemaVersion int          `json:"schemaVersion"`
		Manifests     []descriptor `json:"manifests"`
		Config        *descriptor  `json:"config"`
		Layers        []descriptor `json:"layers"`
		Blobs         []descriptor `json:"blobs"` // of an artifact manifest, OCI 1.1 before its release
		FSLayers      []struct {
			BlobSum string `json:"blobSum"`
		} `json:"fsLayers"`
	}
	if len(manifest) > maxManifestSize {
		return nil, fmt.Errorf("it has %d bytes, %d are the most", len(manifest), maxManifestSize)
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, fmt.Errorf("it is no JSON object of a manifest: %w", err)
	}
	c := &contents{sizes: map[string]int64{}}
	switch {
	case m.SchemaVersion == 1:
		for _, l := range m.FSLayers {
			if err := c.add(descriptor{Digest: l.BlobSum, Size: unknown}); err != nil {
				return nil, err
			}
		}
		return &c.Contents, nil
	case m.SchemaVersion != 2 && m.Blobs == nil:
		return nil, fmt.Errorf("it has schemaVersion %d; 1 and 2 are known", m.SchemaVersion)
	}
	for _, d := range m.Manifests {
		if !oci.ValidDigest(d.Digest) {
			return nil, fmt.Errorf("it names a manifest by %q, which is no digest", d.Digest)
		}
		c.Children = append(c.Children, d.Digest)
	}
	if m.Config != nil {
		if err := c.add(*m.Config); err != nil {
			return nil, err
		}
	}
	for _, d := range append(m.Layers, m.Blobs...) {
		if err := c.add(d); err != nil {
			return nil, err
		}
	}
	return &c.Contents, nil
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

const unknown = -1

// contents is what is being read.
type contents struct {
	Contents
	sizes map[string]int64 // by digest, of the blobs
}

// add takes a blob once, however often a manifest names it.
func (c *contents) add(d descriptor) error {
	switch {
	case !oci.ValidDigest(d.Digest):
		return fmt.Errorf("it names a blob by %q, which is no digest", d.Digest)
	case d.Size < unknown:
		return fmt.Errorf("it gives blob %s the size %d", d.Digest, d.Size)
	case nondistributable(d.MediaType) || !strings.HasPrefix(d.Digest, "sha256:"):
		c.LeftOut++
		return nil
	}
	if size, twice := c.sizes[d.Digest]; twice {
		if size != d.Size {
			return fmt.Errorf("it gives blob %s two sizes, %d and %d", d.Digest, size, d.Size)
		}
		return nil
	}
	c.sizes[d.Digest] = d.Size
	c.Blobs = append(c.Blobs, Blob{d.Digest, d.Size})
	return nil
}

// nondistributable tells layers that their owner serves alone.
func nondistributable(mediaType string) bool {
	return strings.HasPrefix(mediaType, "application/vnd.oci.image.layer.nondistributable.") ||
		strings.HasPrefix(mediaType, "application/vnd.docker.image.rootfs.foreign.")
}
