package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/system"
)

// The repositories, as clients name them.
const (
	singleRepo = "e2e/single"
	multiRepo  = "e2e/multi"
	tag        = "v2"
	tags       = 12 // of singleRepo, beside tag: more than two pages
)

// artifactType is that of what refers to the images.
const artifactType = "application/vnd.example.sbom.v1"

// published is an image, or an index of images.
type published struct {
	repo   string
	digest v1.Hash
	image  v1.Hash // the image for this machine
	// here are the blobs of the image for this machine, all those of every
	// platform; lacking are those that no mirror has.
	here, all []v1.Hash
	lacking   map[string]bool
}

// signed is what belongs to an image at one registry, with its blobs.
type signed struct {
	signature, referrer           v1.Hash
	signatureBlobs, referrerBlobs []v1.Hash
}

type images struct {
	single, multi *published
	// pageTags are the other tags of single.
	pageTags []string
	// near is at the upstream, apart only at the signature upstream; both are
	// single's.
	near, apart *signed
}

// publish pushes images, has the mirrors filled, and pushes those that are
// pulled: their configs are new, so the mirrors lack just those.
func (w *world) publish(ctx context.Context) (*images, error) {
	base, err := pull.NewImage(ctx)
	if err != nil {
		return nil, err
	}
	other := map[string]string{"amd64": "arm64"}[runtime.GOARCH]
	if other == "" {
		other = "amd64"
	}
	native, err := with(base, runtime.GOARCH, "multi/native")
	if err != nil {
		return nil, err
	}
	foreign, err := with(empty.Image, other, "multi/foreign")
	if err != nil {
		return nil, err
	}
	source := w.stack.Source() + "/"
	if _, err := pushAll(ctx, source, "v1", base, native, foreign); err != nil {
		return nil, err
	}
	if err := w.stack.Fill(ctx, io.Discard, w.log); err != nil {
		return nil, err
	}
	out, err := pushAll(ctx, source, tag, base, native, foreign)
	if err != nil {
		return nil, err
	}
	first, err := name.NewDigest(source+singleRepo+"@"+out.single.digest.String(), name.Insecure)
	if err != nil {
		return nil, err
	}
	descriptor, err := remote.Get(first, remote.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	for i := range tags {
		t := fmt.Sprintf("p%02d", i)
		out.pageTags = append(out.pageTags, t)
		if err := remote.Tag(first.Context().Tag(t), descriptor, remote.WithContext(ctx)); err != nil {
			return nil, err
		}
	}
	if out.near, err = sign(ctx, source, descriptor.Descriptor, "at the upstream"); err != nil {
		return nil, err
	}
	apart := w.signatures.address + "/" + system.Prefix + "/"
	out.apart, err = sign(ctx, apart, descriptor.Descriptor, "only at the signature upstream")
	return out, err
}

// sign pushes a signature of single as cosign does, by a tag, and an artifact
// that refers to it.
func sign(ctx context.Context, source string, image v1.Descriptor, text string) (*signed, error) {
	signature, err := artifact(text, "application/vnd.dev.cosign.simplesigning.v1+json", types.OCIConfigJSON)
	if err != nil {
		return nil, err
	}
	referrer, err := artifact("sbom "+text, artifactType, artifactType)
	if err != nil {
		return nil, err
	}
	referrer = mutate.Subject(referrer, image).(v1.Image)
	s := &signed{}
	if s.signature, err = signature.Digest(); err != nil {
		return nil, err
	}
	if s.referrer, err = referrer.Digest(); err != nil {
		return nil, err
	}
	if s.signatureBlobs, err = blobsOf(signature); err != nil {
		return nil, err
	}
	if s.referrerBlobs, err = blobsOf(referrer); err != nil {
		return nil, err
	}
	for ref, image := range map[string]v1.Image{
		":" + signatureTag(image.Digest): signature,
		"@" + s.referrer.String():        referrer,
	} {
		r, err := name.ParseReference(source+singleRepo+ref, name.Insecure)
		if err != nil {
			return nil, err
		}
		if err := remote.Write(r, image, remote.WithContext(ctx)); err != nil {
			return nil, fmt.Errorf("pushing a signature: %w", err)
		}
	}
	return s, nil
}

func signatureTag(d v1.Hash) string { return d.Algorithm + "-" + d.Hex + ".sig" }

// artifact is an image with one layer that is no file system.
func artifact(text string, layer, kind types.MediaType) (v1.Image, error) {
	// Its config is its own, so that it is at one registry only.
	image, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{Author: text, OS: "linux", Architecture: runtime.GOARCH})
	if err != nil {
		return nil, err
	}
	image = mutate.ConfigMediaType(image, kind)
	l, err := pull.Layer("note", 0o644, []byte(text))
	if err != nil {
		return nil, err
	}
	return mutate.Append(image, mutate.Addendum{Layer: l, MediaType: layer})
}

func pushAll(ctx context.Context, source, version string, base, native, foreign v1.Image) (*images, error) {
	labelled := func(i v1.Image) (v1.Image, error) {
		c, err := i.ConfigFile()
		if err != nil {
			return nil, err
		}
		c = c.DeepCopy()
		c.Config.Labels = map[string]string{"org.opencontainers.image.version": version}
		return mutate.ConfigFile(i, c)
	}
	out := &images{}
	var platforms []v1.Image
	for i, image := range []v1.Image{base, native, foreign} {
		image, err := labelled(image)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			platforms = append(platforms, image)
			continue
		}
		t, err := name.NewTag(source+singleRepo+":"+version, name.Insecure)
		if err != nil {
			return nil, err
		}
		if err := remote.Write(t, image, remote.WithContext(ctx)); err != nil {
			return nil, fmt.Errorf("pushing an image: %w", err)
		}
		if out.single, err = describe(singleRepo, image, image); err != nil {
			return nil, err
		}
	}
	var index v1.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		c, err := p.ConfigFile()
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: p, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: c.OS, Architecture: c.Architecture},
		}})
	}
	t, err := name.NewTag(source+multiRepo+":"+version, name.Insecure)
	if err != nil {
		return nil, err
	}
	if err := remote.WriteIndex(t, index, remote.WithContext(ctx)); err != nil {
		return nil, fmt.Errorf("pushing an index: %w", err)
	}
	out.multi, err = describe(multiRepo, index, platforms...)
	return out, err
}

func describe(repo string, what interface{ Digest() (v1.Hash, error) }, platforms ...v1.Image) (*published, error) {
	digest, err := what.Digest()
	if err != nil {
		return nil, err
	}
	p := &published{repo: repo, digest: digest, lacking: map[string]bool{}}
	for i, image := range platforms {
		blobs, err := blobsOf(image)
		if err != nil {
			return nil, err
		}
		p.lacking[blobs[len(blobs)-1].String()] = true
		p.all = append(p.all, blobs...)
		if i == 0 {
			p.here = blobs
			if p.image, err = image.Digest(); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// blobsOf lists the blobs of an image, its config last.
func blobsOf(image v1.Image) ([]v1.Hash, error) {
	m, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	var blobs []v1.Hash
	for _, l := range m.Layers {
		blobs = append(blobs, l.Digest)
	}
	return append(blobs, m.Config.Digest), nil
}

// with adds a layer of its own to an image, for an architecture.
func with(image v1.Image, arch, file string) (v1.Image, error) {
	image = mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON)
	r := rand.New(rand.NewPCG(2, uint64(len(file))))
	data := make([]byte, 64<<10)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	l, err := pull.Layer(file, 0o644, data)
	if err != nil {
		return nil, err
	}
	if image, err = mutate.AppendLayers(image, l); err != nil {
		return nil, err
	}
	c, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.OS, c.Architecture = "linux", arch
	return mutate.ConfigFile(image, c)
}
