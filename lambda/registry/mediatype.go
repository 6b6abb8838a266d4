package registry

import "strings"

// manifestTypes are the media types of the manifests that Parse parses, as an
// Accept header.
var manifestTypes = strings.Join([]string{
	indexType,
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.docker.distribution.manifest.v2+json",
	"application/vnd.oci.artifact.manifest.v1+json",
	"application/vnd.cncf.oras.artifact.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.v1+prettyjws",
	"application/vnd.docker.distribution.manifest.v1+json",
}, ", ")

// indexType is the media type of an index.
const indexType = "application/vnd.oci.image.index.v1+json"

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
