package registry

import (
	"strings"

	"archeio/lambda/oci"
)

// indexType is the media type of an index.
const indexType = oci.IndexType

// isManifest reports whether an entry of an index is a manifest, by its media
// type. Other entries are blobs: BuildKit stores caches as an index of layers.
// An entry without a media type is a manifest.
// https://github.com/moby/buildkit/issues/1143
func isManifest(mediaType string) bool {
	mediaType, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(mediaType)), ";")
	if mediaType == "" || mediaType == "application/json" {
		return true
	}
	return strings.Contains(mediaType, "manifest") || strings.Contains(mediaType, "image.index")
}

// nondistributable reports whether a media type is of layers that only their
// owner may distribute.
func nondistributable(mediaType string) bool {
	return strings.HasPrefix(mediaType, "application/vnd.oci.image.layer.nondistributable.") ||
		strings.HasPrefix(mediaType, "application/vnd.docker.image.rootfs.foreign.")
}
