package registry

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"archeio/lambda/oci"
)

// Blob is the digest and size of a blob, as a manifest has them.
type Blob struct {
	Digest string `json:"digest"`
	// Size is in bytes. It is a hint: registries accept manifests with wrong
	// sizes. It is SizeUnknown if the manifest has none (schema 1), two different
	// ones, or one that cannot be that of a blob: negative, or above MaxBlobSize.
	Size int64 `json:"size"`
	// Data is the content, if the manifest has it inline, it matches the digest and
	// has at most 64 KiB.
	Data []byte `json:"data,omitempty"`
}

const (
	// SizeUnknown is the size of a blob that its manifest does not have.
	SizeUnknown = -1
	// MaxBlobSize in bytes is the largest size that counts as one: 5 TiB.
	MaxBlobSize = 5 << 40
	// maxData in bytes is the largest inline content that is used.
	maxData = 64 << 10
)

// Contents is what a manifest refers to: other manifests and blobs.
type Contents struct {
	// Children are the digests of the manifests of an index.
	Children []string `json:"children,omitempty"`
	// Platforms are those of Children, in the same order: os/arch or
	// os/arch/variant, empty if there is none or it is unknown.
	Platforms []string `json:"platforms,omitempty"`
	// Blobs are those that a mirror may store, once per digest, also those that
	// are entries of an index.
	Blobs []Blob `json:"blobs,omitempty"`
	// LeftOut counts nondistributable layers, and blobs whose digest is not
	// SHA-256.
	LeftOut int `json:"leftOut,omitempty"`
}

// parsing limits the manifests that are parsed at the same time, to bound memory: a
// manifest may have thousands of blobs.
var parsing = make(chan struct{}, 4)

// Parse parses a manifest of any kind: an OCI image or index, an artifact, a
// Docker image or list of schema 2, or an image of schema 1.
//
// https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md
// https://distribution.github.io/distribution/spec/deprecated-schema-v1/
func Parse(manifest []byte) (*Contents, error) {
	parsing <- struct{}{}
	defer func() { <-parsing }()
	var m struct {
		SchemaVersion *int         `json:"schemaVersion"`
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
		return nil, fmt.Errorf("invalid JSON: %s", line(err.Error()))
	}
	c := &contents{index: map[string]int{}}
	switch {
	case m.SchemaVersion != nil && *m.SchemaVersion == 1:
		for _, l := range m.FSLayers {
			if err := c.add(descriptor{Digest: l.BlobSum}); err != nil {
				return nil, err
			}
		}
		return &c.Contents, nil
	case m.SchemaVersion == nil && m.Config == nil && m.Manifests == nil && m.Layers == nil && m.Blobs == nil:
		return nil, fmt.Errorf("missing schemaVersion: want 1 or 2")
	case m.SchemaVersion != nil && *m.SchemaVersion != 2:
		return nil, fmt.Errorf("unknown schemaVersion %d: want 1 or 2", *m.SchemaVersion)
	}
	for _, d := range m.Manifests {
		if !isManifest(d.MediaType) {
			if err := c.add(d); err != nil {
				return nil, err
			}
			continue
		}
		if !oci.ValidDigest(d.Digest) {
			return nil, fmt.Errorf("invalid digest %s of a manifest", quote(d.Digest))
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

// descriptor is a reference to content.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md
type descriptor struct {
	MediaType string    `json:"mediaType"`
	Digest    string    `json:"digest"`
	Size      *size     `json:"size"`
	Data      data      `json:"data"`
	Platform  *platform `json:"platform"`
}

// size is that of a descriptor in bytes, SizeUnknown for all that cannot be one.
type size int64

// UnmarshalJSON accepts everything: a size is a hint.
func (s *size) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 || n > MaxBlobSize {
		n = SizeUnknown
	}
	*s = size(n)
	return nil
}

// data is the inline content of a descriptor.
type data []byte

// UnmarshalJSON accepts everything: what is not used is fetched.
func (d *data) UnmarshalJSON(text []byte) error {
	*d = nil
	var encoded string
	if len(text) <= 2*maxData && json.Unmarshal(text, &encoded) == nil {
		if decoded, err := base64.StdEncoding.DecodeString(encoded); err == nil && len(decoded) <= maxData {
			*d = decoded
		}
	}
	return nil
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

// contents collects what a manifest refers to.
type contents struct {
	Contents
	index map[string]int // of the blobs, by digest
}

// add adds a blob, once per digest.
func (c *contents) add(d descriptor) error {
	switch {
	case !oci.ValidDigest(d.Digest):
		return fmt.Errorf("invalid digest %s of a blob", quote(d.Digest))
	case nondistributable(d.MediaType) || !strings.HasPrefix(d.Digest, "sha256:"):
		c.LeftOut++
		return nil
	}
	b := Blob{Digest: d.Digest, Size: SizeUnknown}
	if d.Size != nil && (*d.Size > 0 || d.Digest == emptyBlob) {
		b.Size = int64(*d.Size)
	}
	if len(d.Data) > 0 && sha256Of(d.Data) == d.Digest {
		b.Data, b.Size = d.Data, int64(len(d.Data))
	}
	i, twice := c.index[b.Digest]
	if !twice {
		c.index[b.Digest] = len(c.Blobs)
		c.Blobs = append(c.Blobs, b)
		return nil
	}
	known := &c.Blobs[i]
	switch {
	case known.Data != nil:
	case b.Data != nil:
		*known = b
	case known.Size != b.Size:
		known.Size = SizeUnknown
	}
	return nil
}
