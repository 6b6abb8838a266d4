package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"archeio/scripts/lab/pull"
)

// artifactType is that of the referrers.
const artifactType = "application/vnd.example.sbom.v1"

// attachments are a signature and a referrer of an image at one registry, each
// with its blobs.
type attachments struct {
	signature, referrer           v1.Hash
	signatureBlobs, referrerBlobs []v1.Hash
	// images are both, by what follows the name of the repository.
	images map[string]v1.Image
}

// attach pushes newAttachments to a registry.
func attach(ctx context.Context, source string, image v1.Descriptor, text string) (*attachments, error) {
	a, err := newAttachments(image, text)
	if err != nil {
		return nil, err
	}
	return a, a.push(ctx, source)
}

// newAttachments returns a signature of an image, with a tag as cosign makes it, and an
// artifact that refers to the image.
func newAttachments(image v1.Descriptor, text string) (*attachments, error) {
	signature, err := artifact(text, "application/vnd.dev.cosign.simplesigning.v1+json", types.OCIConfigJSON)
	if err != nil {
		return nil, err
	}
	referrer, err := artifact("sbom "+text, artifactType, artifactType)
	if err != nil {
		return nil, err
	}
	referrer = mutate.Subject(referrer, image).(v1.Image)
	a := &attachments{}
	if a.signature, a.signatureBlobs, err = digests(signature); err != nil {
		return nil, err
	}
	if a.referrer, a.referrerBlobs, err = digests(referrer); err != nil {
		return nil, err
	}
	a.images = map[string]v1.Image{
		":" + signatureTag(image.Digest): signature,
		"@" + a.referrer.String():        referrer,
	}
	return a, nil
}

// push pushes both to singleRepository below source.
func (a *attachments) push(ctx context.Context, source string) error {
	for ref, image := range a.images {
		if err := write(ctx, source+singleRepository+ref, image); err != nil {
			return err
		}
	}
	return nil
}

// write pushes an image by its reference.
func write(ctx context.Context, ref string, image v1.Image) error {
	r, err := name.ParseReference(ref, name.Insecure)
	if err == nil {
		err = remote.Write(r, image, remote.WithContext(ctx))
	}
	if err != nil {
		return fmt.Errorf("pushing %s: %w", ref, err)
	}
	return nil
}

func digests(image v1.Image) (digest v1.Hash, blobs []v1.Hash, err error) {
	if digest, err = image.Digest(); err != nil {
		return digest, nil, err
	}
	blobs, err = blobsOf(image)
	return digest, blobs, err
}

// signatureTag is the tag by which cosign finds the signature of an image.
func signatureTag(d v1.Hash) string { return d.Algorithm + "-" + d.Hex + ".sig" }

// artifact returns an image with one layer that is no file system.
func artifact(text string, layer, config types.MediaType) (v1.Image, error) {
	l, err := pull.Layer("note", 0o644, []byte(text))
	if err != nil {
		return nil, err
	}
	return artifactOf(text, l, layer, config)
}

// artifactOf returns an image with one layer. The text is in its config, so that no
// other registry has the same one.
func artifactOf(text string, layer v1.Layer, layerType, config types.MediaType) (v1.Image, error) {
	image, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{Author: text, OS: "linux", Architecture: runtime.GOARCH})
	if err != nil {
		return nil, err
	}
	return mutate.Append(mutate.ConfigMediaType(image, config), mutate.Addendum{Layer: layer, MediaType: layerType})
}
