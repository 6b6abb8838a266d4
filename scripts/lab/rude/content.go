package rude

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// Prefix is above the repositories to mirror. Outside is a repository that is not
// below it, although its name starts with the same letters.
const (
	Prefix  = "team"
	Outside = "teammate/app"
)

// Media types of OCI and Docker.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/media-types.md
const (
	ociIndex     = "application/vnd.oci.image.index.v1+json"
	ociManifest  = "application/vnd.oci.image.manifest.v1+json"
	ociConfig    = "application/vnd.oci.image.config.v1+json"
	ociLayer     = "application/vnd.oci.image.layer.v1.tar+gzip"
	ociZstd      = "application/vnd.oci.image.layer.v1.tar+zstd"
	ociForeign   = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
	ociEmpty     = "application/vnd.oci.empty.v1+json"
	ociArtifact  = "application/vnd.oci.artifact.manifest.v1+json"
	dockerList   = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerImage  = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig = "application/vnd.docker.container.image.v1+json"
	dockerLayer  = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	dockerV1     = "application/vnd.docker.distribution.manifest.v1+json"
	cacheConfig  = "application/vnd.buildkit.cacheconfig.v0"
)

// Content is what a registry stores. Manifests, blobs and their digests must not
// be changed, because copies share them.
type Content struct {
	Repositories map[string]*Repository
}

// Repository is one repository: digests by tag, manifests and blobs by digest.
type Repository struct {
	Tags      map[string]string
	Manifests map[string]Manifest
	Blobs     map[string][]byte
	// deleted was stored once: manifests still refer to it.
	deleted *Repository
	// named are referrers by subject that are listed, but not stored.
	named map[string][]Descriptor
	// subjects are the referrers by subject, once a server has been made.
	subjects map[string][]Descriptor
}

// Manifest is a manifest as it is stored.
type Manifest struct {
	MediaType string
	Body      []byte
}

// Clone returns a copy of which repositories, tags and sets may be changed.
func (c *Content) Clone() *Content {
	copied := &Content{Repositories: make(map[string]*Repository, len(c.Repositories))}
	for name, r := range c.Repositories {
		copied.Repositories[name] = r.clone()
	}
	return copied
}

func (r *Repository) clone() *Repository {
	if r == nil {
		return nil
	}
	return &Repository{Tags: maps.Clone(r.Tags), Manifests: maps.Clone(r.Manifests), Blobs: maps.Clone(r.Blobs), deleted: r.deleted.clone(), named: maps.Clone(r.named)}
}

func newRepository() *Repository {
	return &Repository{Tags: map[string]string{}, Manifests: map[string]Manifest{}, Blobs: map[string][]byte{}, named: map[string][]Descriptor{}}
}

// past is what a registry had and deleted.
func (r *Repository) past() *Repository {
	if r.deleted == nil {
		r.deleted = newRepository()
	}
	return r.deleted
}

// Names returns the names of the repositories, sorted.
func (c *Content) Names() []string {
	return slices.Sorted(maps.Keys(c.Repositories))
}

// Repository returns a repository, which it creates if there is none.
func (c *Content) Repository(name string) *Repository {
	r := c.Repositories[name]
	if r == nil {
		r = newRepository()
		c.Repositories[name] = r
	}
	return r
}

// Descriptor refers to a blob or manifest.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md
type Descriptor struct {
	MediaType    string            `json:"mediaType,omitempty"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Data         []byte            `json:"data,omitempty"`
	URLs         []string          `json:"urls,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Platform     *platform         `json:"platform,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

// document is a manifest of any kind.
type document struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        *Descriptor       `json:"config,omitempty"`
	Layers        []Descriptor      `json:"layers,omitempty"`
	Manifests     []Descriptor      `json:"manifests,omitempty"`
	Blobs         []Descriptor      `json:"blobs,omitempty"`
	FSLayers      []fsLayer         `json:"fsLayers,omitempty"`
	Subject       *Descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type fsLayer struct {
	BlobSum string `json:"blobSum"`
}

func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func sha512Of(body []byte) string {
	sum := sha512.Sum512(body)
	return "sha512:" + hex.EncodeToString(sum[:])
}

// blob stores a blob.
func (r *Repository) blob(mediaType string, body []byte) Descriptor {
	d := Descriptor{MediaType: mediaType, Digest: digestOf(body), Size: int64(len(body))}
	r.Blobs[d.Digest] = body
	return d
}

// put stores a manifest with tags.
func (r *Repository) put(mediaType string, body []byte, tags ...string) Descriptor {
	d := Descriptor{MediaType: mediaType, Digest: digestOf(body), Size: int64(len(body))}
	r.Manifests[d.Digest] = Manifest{mediaType, body}
	for _, tag := range tags {
		r.Tags[tag] = d.Digest
	}
	return d
}

// store stores a document with tags.
func (r *Repository) store(mediaType string, m document, tags ...string) Descriptor {
	if m.SchemaVersion == 0 && m.Blobs == nil {
		m.SchemaVersion = 2
	}
	body, err := json.Marshal(m)
	if err != nil {
		panic(err) // of types that can be encoded
	}
	return r.put(mediaType, body, tags...)
}

// maker makes content from a seed.
type maker struct{ *rand.Rand }

func newMaker(seed uint64) maker { return maker{rand.New(rand.NewPCG(seed, 0))} }

// layer returns a gzip stream of about size bytes.
func (m maker) layer(size int) []byte {
	raw := make([]byte, size)
	for i := range raw {
		raw[i] = byte(m.Uint32())
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(raw) // a buffer has no errors
	_ = z.Close()
	return b.Bytes()
}

// image stores an image with layers of about size bytes.
func (m maker) image(r *Repository, size, layers int, tags ...string) Descriptor {
	d := document{MediaType: ociManifest}
	config := r.blob(ociConfig, fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","created":"%d"}`, m.Uint64()))
	d.Config = &config
	for range layers {
		d.Layers = append(d.Layers, r.blob(ociLayer, m.layer(size)))
	}
	return r.store(ociManifest, d, tags...)
}

// referrer stores an untagged artifact that refers to a manifest.
func (m maker) referrer(r *Repository, subject Descriptor, artifactType string) Descriptor {
	config := r.blob(ociEmpty, []byte("{}"))
	subject = Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
	return r.store(ociManifest, document{
		MediaType: ociManifest, ArtifactType: artifactType, Config: &config, Subject: &subject,
		Layers: []Descriptor{r.blob(artifactType, fmt.Appendf(nil, `{"signature":"%d"}`, m.Uint64()))},
	})
}

// Base returns polite content, which every registry accepts: nested names, images
// of several platforms, tagged and untagged manifests, Docker's media types,
// signatures, more than a hundred tags. It is the same for the same seed.
func Base(seed uint64) *Content {
	m := newMaker(seed)
	c := &Content{Repositories: map[string]*Repository{}}

	app := c.Repository(Prefix + "/app")
	amd64 := m.image(app, 20_000, 2)
	amd64.Platform = &platform{"amd64", "linux"}
	arm64 := m.image(app, 9_000, 2)
	arm64.Platform = &platform{"arm64", "linux"}
	index := app.store(ociIndex, document{MediaType: ociIndex, Manifests: []Descriptor{amd64, arm64}}, "latest", "v1.0")
	m.image(app, 3_000, 1, "v0.9")
	m.image(app, 2_000, 1) // untagged
	signature := m.referrer(app, index, "application/vnd.dev.cosign.artifact.sig.v1+json")
	m.referrer(app, signature, "application/vnd.example.countersignature")
	m.referrer(app, amd64, "application/spdx+json")

	m.image(c.Repository(Prefix+"/app/nested/deep"), 1_000, 1, "v1")

	lib := c.Repository(Prefix + "/lib")
	config := lib.blob(dockerConfig, []byte(`{"os":"linux"}`))
	old := lib.store(dockerImage, document{MediaType: dockerImage, Config: &config, Layers: []Descriptor{lib.blob(dockerLayer, m.layer(4_000))}})
	lib.store(dockerList, document{MediaType: dockerList, Manifests: []Descriptor{old}}, "v2")

	// Manifests do not need the field mediaType, and layers may be repeated.
	config = lib.blob(ociConfig, []byte(`{}`))
	layer := lib.blob(ociLayer, m.layer(500))
	lib.store(ociManifest, document{Config: &config, Layers: []Descriptor{layer, layer, lib.blob(ociLayer, nil)}}, "plain")

	cli := c.Repository(Prefix + "/tools/cli")
	for i := range 4 {
		var tags []string
		for j := range 30 {
			tag := fmt.Sprintf("v%d.%02d", i, j)
			if tags = append(tags, tag); j%10 == 9 {
				m.image(cli, 500, 1, tags...)
				tags = nil
			}
		}
	}
	for i := range 25 {
		m.image(c.Repository(fmt.Sprintf("%s/small-%02d", Prefix, i)), 100, 1, "v1")
	}
	m.image(c.Repository(Outside), 1_000, 1, "latest")
	return c
}

// Odd returns Base with all odd content that is no fault of a server, as a
// registry might have it.
func Odd(seed uint64) *Content {
	s := newSetup(Base(seed))
	for _, h := range Habits {
		if h.Pushable {
			h.Apply(&s)
		}
	}
	return s.content
}

// below reports whether a repository is below the prefix.
func below(name string) bool { return name == Prefix || strings.HasPrefix(name, Prefix+"/") }
