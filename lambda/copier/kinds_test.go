package copier

import (
	"fmt"
	"strings"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"archeio/lambda/registry"
)

// TestKinds tests that the blobs of all kinds of manifests are copied, except
// those that a mirror must not store.
func TestKinds(t *testing.T) {
	t.Parallel()
	s := start(t)
	h := startHub(t, ggcr.WithReferrersSupport(true))
	push := func(path string, i v1.Image) v1.Image {
		s.collect(t, i)
		return h.push(t, path, i)
	}
	blob := func(text string) registry.Blob {
		b := h.blob(t, "app", []byte(text))
		s.blobs[b.Digest] = true
		return b
	}
	descriptor := func(mediaType string, b registry.Blob) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, b.Digest, b.Size)
	}
	signed := push("app:docker", image(t, 1000, 2))
	push("app:oci", mutate.ConfigMediaType(mutate.MediaType(image(t, 1000, 2), types.OCIManifestSchema1), types.OCIConfigJSON))

	amd, arm := image(t, 1000, 1), image(t, 1000, 1)
	inner := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: arm})
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: amd}, mutate.IndexAddendum{Add: inner})
	if err := remote.WriteIndex(h.ref(t, "app:index"), index, remote.WithTransport(h.Client().Transport)); err != nil {
		t.Fatal(err)
	}
	s.collect(t, amd)
	s.collect(t, arm)

	first, second := blob("schema 1, one"), blob("schema 1, two")
	h.manifest(t, "app", "schema-1", string(types.DockerManifestSchema1), fmt.Sprintf(`{"schemaVersion":1,"name":"app","fsLayers":[{"blobSum":%q},{"blobSum":%q},{"blobSum":%[1]q}]}`, first.Digest, second.Digest))
	h.manifest(t, "app", "artifact", "application/vnd.oci.artifact.manifest.v1+json",
		`{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[`+descriptor("text/plain", blob("artifact"))+`]}`)
	h.manifest(t, "app", "", string(types.OCIManifestSchema1), signature(digestOf(t, signed), blob("{}"), blob("signature")))

	foreign := registry.Blob{Digest: blobOf([]byte("no one may copy it")).Digest, Size: 18}
	other := registry.Blob{Digest: "sha512:" + strings.Repeat("a", 128), Size: 5}
	h.manifest(t, "app", "left-out", string(types.OCIManifestSchema1), `{"schemaVersion":2,"config":`+descriptor(string(types.OCIConfigJSON), blob("windows"))+`,"layers":[`+
		descriptor(string(types.DockerForeignLayer), foreign)+","+descriptor(string(types.OCIRestrictedLayer), foreign)+","+descriptor(string(types.OCILayer), other)+`]}`)

	h.manifest(t, "app", "sha512", string(types.OCIManifestSchema1), `{"schemaVersion":2,"manifests":[`+descriptor(string(types.OCIManifestSchema1), other)+`]}`)

	for _, google := range []bool{false, true} {
		t.Run(map[bool]string{false: "tags", true: "google"}[google], func(t *testing.T) {
			h.google = google
			prefix := map[bool]string{true: "app"}[google]
			buckets := []*Bucket{s.bucket(t, "us-east-1"), s.bucket(t, "us-east-1")}
			plan, result := planAndCopy(t.Context(), t, Options{Source: h.source(t, prefix, registry.Options{}), Buckets: buckets, Referrers: true})
			// docker, OCI, two indexes with an image each, schema 1, artifact,
			// signature, what is left out, and an index of such a manifest.
			if plan.Repositories != 1 || plan.Manifests != 11 || plan.Fetched != 11 || plan.Blobs != len(s.blobs) || plan.LeftOut != 4 || len(plan.Errors) != 0 {
				t.Errorf("plan: %d repositories, %d manifests, %d fetched, %d of %d blobs, %d left out, errors %v",
					plan.Repositories, plan.Manifests, plan.Fetched, plan.Blobs, len(s.blobs), plan.LeftOut, plan.Errors)
			}
			if len(result.Errors) != 0 || result.Copied != 2*len(s.blobs) || result.FromBucket != len(s.blobs) {
				t.Errorf("result %+v", result)
			}
			for _, b := range buckets {
				s.whole(t, b, b.client)
			}
		})
	}
}
