package copier

import (
	"context"
	"encoding/json"
	"strings"

	"archeio/lambda/config"
	"archeio/lambda/registry"
)

// maxCanaryBlob is the largest blob in bytes that is recorded for the canary, which
// downloads at most a MiB with the manifests.
const maxCanaryBlob = 256 << 10

// smallestOf returns the tagged image with the smallest blob of those that were walked,
// or before if that is smaller. Its name is the full one.
func smallestOf(before config.CanaryImage, blobs map[Digest]MissingBlob) config.CanaryImage {
	for _, b := range blobs {
		_, tag, _ := strings.Cut(b.Image, ":")
		// Artifacts that are attached to images have such tags.
		isImage := !strings.Contains(b.Image, "@") && !strings.HasPrefix(tag, "sha256-")
		if b.Size == registry.SizeUnknown || b.Size <= 0 || b.Size > maxCanaryBlob || !isImage {
			continue
		}
		// The name decides between equal sizes: a map has no order.
		if before.Image == "" || b.Size < before.Size || b.Size == before.Size && b.Image < before.Image {
			before.Image, before.Size = b.Image, b.Size
		}
	}
	return before
}

// recordSmallest records the smallest image of a run for the canary, unless another
// repository of the run has a smaller one. Two workers at the same time may record
// either one.
func (f *Filler) recordSmallest(ctx context.Context, run string, found config.CanaryImage) error {
	if found.Image == "" {
		return nil
	}
	found.Run, found.Image = run, strings.TrimPrefix(found.Image, f.Source.Repository(""))
	data, err := f.State.Get(ctx, config.CanaryImageName)
	if err != nil {
		return err
	}
	var known config.CanaryImage
	// That of an earlier run may not exist any more, and one that is corrupt is replaced.
	if json.Unmarshal(data, &known) == nil && known.Run == run && known.Size <= found.Size {
		return nil
	}
	return f.write(ctx, config.CanaryImageName, found)
}
