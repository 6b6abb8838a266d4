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
	singleRepository = "e2e/single"
	multiRepository  = "e2e/multi"
	tag              = "v2"
	extraTags        = 12 // of singleRepository: more than two pages
)

// testImage is an image or an index that was pushed to the upstream.
type testImage struct {
	repository, tag string
	digest          v1.Hash
	// native is the image for this machine's platform, nativeBlobs are its
	// blobs, allBlobs those of all platforms.
	native                v1.Hash
	nativeBlobs, allBlobs []v1.Hash
	// unmirrored are the blobs that no mirror has.
	unmirrored map[string]bool
}

// mirroredBlobs returns the blobs that every mirror has.
func (i *testImage) mirroredBlobs() (digests []string) {
	for _, b := range i.allBlobs {
		if !i.unmirrored[b.String()] {
			digests = append(digests, b.String())
		}
	}
	return digests
}

// missing returns a blob that no mirror has.
func (i *testImage) missing() string {
	for digest := range i.unmirrored {
		return digest
	}
	return ""
}

// testImages are the images that clients pull.
type testImages struct {
	single, multi, chart *testImage
	extraTags            []string // of single
	// attached is at the upstream, separate only at the signature upstream.
	// Both refer to single.
	attached, separate *attachments
}

// publish pushes images, fills the mirrors, and pushes the images that clients
// pull. Only the configs differ, so they are what the mirrors do not have.
func (s *testSystem) publish(ctx context.Context) (*testImages, error) {
	base, err := pull.NewImage(ctx)
	if err != nil {
		return nil, err
	}
	other := "amd64"
	if runtime.GOARCH == "amd64" {
		other = "arm64"
	}
	native, err := forPlatform(base, runtime.GOARCH, "multi/native")
	if err != nil {
		return nil, err
	}
	foreign, err := forPlatform(empty.Image, other, "multi/foreign")
	if err != nil {
		return nil, err
	}
	source := s.local.Publisher() + "/"
	if _, err := push(ctx, source, "v1", base, native, foreign); err != nil {
		return nil, err
	}
	s.progress.Step("filling the mirrors")
	if err := s.local.Fill(ctx, io.Discard, s.log); err != nil {
		return nil, err
	}
	images, err := push(ctx, source, tag, base, native, foreign)
	if err != nil {
		return nil, err
	}
	single, err := name.NewDigest(source+singleRepository+"@"+images.single.digest.String(), name.Insecure)
	if err != nil {
		return nil, err
	}
	descriptor, err := remote.Get(single, remote.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	for i := range extraTags {
		t := fmt.Sprintf("p%02d", i)
		images.extraTags = append(images.extraTags, t)
		if err := remote.Tag(single.Context().Tag(t), descriptor, remote.WithContext(ctx)); err != nil {
			return nil, err
		}
	}
	if images.attached, err = attach(ctx, source, descriptor.Descriptor, "at the upstream"); err != nil {
		return nil, err
	}
	separate := s.signatures.address + "/" + system.Prefix + "/"
	images.separate, err = attach(ctx, separate, descriptor.Descriptor, "only at the signature upstream")
	return images, err
}

// push pushes base as an image, the two others as an index, and a chart, labelled with
// the version. The images are tagged with it.
func push(ctx context.Context, source, version string, base, native, foreign v1.Image) (*testImages, error) {
	var labelled []v1.Image
	for _, image := range []v1.Image{base, native, foreign} {
		image, err := withVersion(image, version)
		if err != nil {
			return nil, err
		}
		labelled = append(labelled, image)
	}
	single, platforms := labelled[0], labelled[1:]
	if err := write(ctx, source+singleRepository+":"+version, single); err != nil {
		return nil, err
	}
	chart, err := newChart(version)
	if err != nil {
		return nil, err
	}
	if err := write(ctx, source+chartRepository+":"+chartVersion, chart); err != nil {
		return nil, err
	}
	index, err := indexOf(platforms)
	if err != nil {
		return nil, err
	}
	t, err := name.NewTag(source+multiRepository+":"+version, name.Insecure)
	if err != nil {
		return nil, err
	}
	if err := remote.WriteIndex(t, index, remote.WithContext(ctx)); err != nil {
		return nil, fmt.Errorf("pushing an index: %w", err)
	}
	images := &testImages{}
	if images.single, err = describe(singleRepository, single, single); err != nil {
		return nil, err
	}
	if images.chart, err = describe(chartRepository, chart, chart); err != nil {
		return nil, err
	}
	images.chart.tag = chartVersion
	images.multi, err = describe(multiRepository, index, platforms...)
	return images, err
}

// describe returns the digests that clients must get of an image, or of an index whose
// first platform is this machine's.
func describe(repository string, what interface{ Digest() (v1.Hash, error) }, platforms ...v1.Image) (*testImage, error) {
	digest, err := what.Digest()
	if err != nil {
		return nil, err
	}
	out := &testImage{repository: repository, tag: tag, digest: digest, unmirrored: map[string]bool{}}
	for i, image := range platforms {
		blobs, err := blobsOf(image)
		if err != nil {
			return nil, err
		}
		config := blobs[len(blobs)-1]
		out.unmirrored[config.String()] = true
		out.allBlobs = append(out.allBlobs, blobs...)
		if i == 0 {
			out.nativeBlobs = blobs
			if out.native, err = image.Digest(); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// blobsOf returns the blobs of an image, its config last.
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

func indexOf(platforms []v1.Image) (v1.ImageIndex, error) {
	var index v1.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, image := range platforms {
		c, err := image.ConfigFile()
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: c.OS, Architecture: c.Architecture},
		}})
	}
	return index, nil
}

func withVersion(image v1.Image, version string) (v1.Image, error) {
	c, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.Config.Labels = map[string]string{"org.opencontainers.image.version": version}
	return mutate.ConfigFile(image, c)
}

// forPlatform returns an image for an architecture of Linux with one more layer,
// a file of 64 KiB.
func forPlatform(image v1.Image, arch, file string) (v1.Image, error) {
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
