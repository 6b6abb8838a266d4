package oci

// IndexType is the media type of an index, and of a list of referrers.
const IndexType = "application/vnd.oci.image.index.v1+json"

// ManifestTypes are the media types of manifests, as an Accept header. Without it some
// registries respond 404, or with an older manifest.
const ManifestTypes = IndexType + ", " +
	"application/vnd.oci.image.manifest.v1+json, " +
	"application/vnd.docker.distribution.manifest.list.v2+json, " +
	"application/vnd.docker.distribution.manifest.v2+json, " +
	"application/vnd.oci.artifact.manifest.v1+json, " +
	"application/vnd.cncf.oras.artifact.manifest.v1+json, " +
	"application/vnd.docker.distribution.manifest.v1+prettyjws, " +
	"application/vnd.docker.distribution.manifest.v1+json"
