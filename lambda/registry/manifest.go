package registry

import (
	"encoding/json"
	"fmt"
	"strings"

	"archeio/lambda/oci"
)

// Blob is the digest and size of a blob, as a manifest has them.
type Blob struct {
	Digest string `json:"digest"`
	// Size is in bytes. It is a hint: registries accept manifests with wrong
	// sizes. It is SizeUnknown if the manifest has none (schema 1), two different
	// ones, or one that is no size of a blob: negative, or above MaxBlobSize.
	Size int64 `json:"size"`
	// Data is the content, if the manifest has it inline and it matches the
	// digest; at most 64 KiB.
	Data []byte `json:"data,omitempty"`
}

// Contents is what a manifest refers to: other manifests and blobs.
type Contents struct {
	// Children are the digests of the manifests of an index.
	Children []string `json:"children,omitempty"`
	// Platforms are those of Children, in the same order: os/arch or
	// os/arch/variant, empty if there is none or it is unknown.
	Platforms []string `json:"platforms,omitempty"`
	// Blobs are those that a mirror may store.
	Blobs []Blob `json:"blobs,omitempty"`
	// LeftOut counts nondistributable layers, and blobs whose digest is not
	// SHA-256.
	LeftOut int `json:"leftOut,omitempty"`
}

// maxManifestSize in bytes is twice the size that the specification requires
// registries to accept.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
const maxManifestSize = 8 << 20

// Parse parses a manifest of any kind: an OCI image or index, an artifact, a
// Docker image or list of schema 2, or an image of schema 1.
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
		Blobs         []descriptor `json:"blobs"` // artifact manifest of OCI 1.1 release candidates
		FSLayers      []struct {
			BlobSum string `json:"blobSum"`
		} `json:"fsLayers"`
	}
	if len(manifest) > maxManifestSize {
		return nil, fmt.Errorf("size %d bytes: want at most %d", len(manifest), maxManifestSize)
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, fmt.Errorf("invalid JSON: %w", err)
	}
	c := &contents{sizes: map[string]int64{}}
	switch {
	case m.SchemaVersion == 1:
		for _, l := range m.FSLayers {
			if err := c.add(descriptor{Digest: l.BlobSum, Size: SizeUnknown}); err != nil {
				return nil, err
			}
		}
		return &c.Contents, nil
	case m.SchemaVersion != 2 && m.Blobs == nil:
		return nil, fmt.Errorf("unknown schemaVersion %d: want 1 or 2", m.SchemaVersion)
	}
	for _, d := range m.Manifests {
		if !oci.ValidDigest(d.Digest) {
			return nil, fmt.Errorf("invalid digest %q of a manifest", d.Digest)
		}
		c.Children = append(c.Children, d.Digest)
		c.Platforms = append(c.Platforms, d.Platform.String())
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
	MediaType string    `json:"mediaType"`
	Digest    string    `json:"digest"`
	Size      int64     `json:"size"`
	Platform  *platform `json:"platform"`
}

// platform is that of an entry of an index.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md
type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

// String returns os/arch or os/arch/variant, empty if it is unknown.
func (p *platform) String() string {
	switch {
	case p == nil || p.OS == "" || p.Architecture == "" || p.OS == "unknown" || p.Architecture == "unknown":
		return ""
	case p.Variant == "":
		return p.OS + "/" + p.Architecture
	}
	return p.OS + "/" + p.Architecture + "/" + p.Variant
}

const (
	// SizeUnknown is the size of a blob that its manifest does not have.
	SizeUnknown = -1
	// MaxBlobSize in bytes is the largest size that counts as one: 5 TiB.
	MaxBlobSize = 5 << 40
)

// contents collects what a manifest refers to.
type contents struct {
	Contents
	sizes map[string]int64 // by digest, of the blobs
}

// add adds a blob, once per digest.
func (c *contents) add(d descriptor) error {
	switch {
	case !oci.ValidDigest(d.Digest):
		return fmt.Errorf("invalid digest %q of a blob", d.Digest)
	case d.Size < SizeUnknown:
		return fmt.Errorf("invalid size %[2]d of blob %[1]s", d.Digest, d.Size)
	case nondistributable(d.MediaType) || !strings.HasPrefix(d.Digest, "sha256:"):
		c.LeftOut++
		return nil
	}
	if size, twice := c.sizes[d.Digest]; twice {
		if size != d.Size {
			return fmt.Errorf("two sizes of blob %s: %d and %d", d.Digest, size, d.Size)
		}
		return nil
	}
	c.sizes[d.Digest] = d.Size
	c.Blobs = append(c.Blobs, Blob{Digest: d.Digest, Size: d.Size})
	return nil
}

// nondistributable reports whether a media type is of layers that only their
// owner may distribute.
func nondistributable(mediaType string) bool {
	return strings.HasPrefix(mediaType, "application/vnd.oci.image.layer.nondistributable.") ||
		strings.HasPrefix(mediaType, "application/vnd.docker.image.rootfs.foreign.")
}
