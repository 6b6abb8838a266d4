package registry

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"

	"archeio/lambda/oci"
)

var (
	a = "sha256:" + strings.Repeat("a", 64)
	b = "sha256:" + strings.Repeat("b", 64)
	c = "sha256:" + strings.Repeat("c", 64)
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, manifest string
		want           *Contents
		wrong          string
	}{
		{"image", `{"schemaVersion":2,"config":{"digest":"` + a + `","size":1},"layers":[{"digest":"` + b + `","size":2},{"digest":"` + c + `","size":3}]}`,
			&Contents{Blobs: []Blob{{Digest: a, Size: 1}, {Digest: b, Size: 2}, {Digest: c, Size: 3}}}, ""},
		{"same-layer-twice", `{"schemaVersion":2,"config":{"digest":"` + a + `","size":1},"layers":[{"digest":"` + b + `","size":2},{"digest":"` + b + `","size":2}]}`,
			&Contents{Blobs: []Blob{{Digest: a, Size: 1}, {Digest: b, Size: 2}}}, ""},
		{"index", `{"schemaVersion":2,"manifests":[{"digest":"` + a + `","size":1},{"digest":"` + b + `","size":2}]}`,
			&Contents{Children: []string{a, b}, Platforms: []string{"", ""}}, ""},
		{"platforms", `{"schemaVersion":2,"manifests":[{"digest":"` + a + `","platform":{"os":"linux","architecture":"arm","variant":"v7"}},{"digest":"` + b + `","platform":{"os":"unknown","architecture":"unknown"}}]}`,
			&Contents{Children: []string{a, b}, Platforms: []string{"linux/arm/v7", ""}}, ""},
		{"layers-in-an-index", `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"` + a + `","size":1},{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"` + b + `","size":2},{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + c + `","size":3}]}`,
			&Contents{Children: []string{c}, Platforms: []string{""}, Blobs: []Blob{{Digest: a, Size: 1}, {Digest: b, Size: 2}}}, ""},
		{"schema-1", `{"schemaVersion":1,"fsLayers":[{"blobSum":"` + a + `"},{"blobSum":"` + a + `"},{"blobSum":"` + b + `"}]}`,
			&Contents{Blobs: []Blob{{Digest: a, Size: -1}, {Digest: b, Size: -1}}}, ""},
		{"artifact", `{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[{"digest":"` + a + `","size":1}]}`,
			&Contents{Blobs: []Blob{{Digest: a, Size: 1}}}, ""},
		{"foreign-layer", `{"schemaVersion":2,"config":{"digest":"` + a + `","size":1},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"` + b + `","size":2}]}`,
			&Contents{Blobs: []Blob{{Digest: a, Size: 1}}, LeftOut: 1}, ""},
		{"nondistributable-layer", `{"schemaVersion":2,"config":{"digest":"` + a + `","size":1},"layers":[{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip","digest":"` + b + `","size":2}]}`,
			&Contents{Blobs: []Blob{{Digest: a, Size: 1}}, LeftOut: 1}, ""},
		{"other-algorithm", `{"schemaVersion":2,"config":{"digest":"` + a + `","size":1},"layers":[{"digest":"sha512:` + strings.Repeat("a", 128) + `","size":2}]}`,
			&Contents{Blobs: []Blob{{Digest: a, Size: 1}}, LeftOut: 1}, ""},
		{"too-large", strings.Repeat(" ", maxManifestSize) + `{}`, nil, "want at most"},
		{"no-json", `<html>`, nil, "invalid JSON"},
		{"other-version", `{"schemaVersion":3}`, nil, "schemaVersion 3"},
		{"no-digest", `{"schemaVersion":2,"config":{"digest":"sha256:short","size":1}}`, nil, `invalid digest "sha256:short"`},
		{"traversal", `{"schemaVersion":2,"layers":[{"digest":"../../etc","size":1}]}`, nil, "invalid digest"},
		{"child-without-digest", `{"schemaVersion":2,"manifests":[{"digest":"latest"}]}`, nil, "invalid digest"},
		{"negative-size", `{"schemaVersion":2,"layers":[{"digest":"` + a + `","size":-2}]}`, &Contents{Blobs: []Blob{{Digest: a, Size: SizeUnknown}}}, ""},
		{"no-size", `{"schemaVersion":2,"layers":[{"digest":"` + a + `"}]}`, &Contents{Blobs: []Blob{{Digest: a, Size: SizeUnknown}}}, ""},
		{"huge-size", `{"schemaVersion":2,"layers":[{"digest":"` + a + `","size":1000000000000000}]}`, &Contents{Blobs: []Blob{{Digest: a, Size: SizeUnknown}}}, ""},
		{"size-of-another-type", `{"schemaVersion":2,"layers":[{"digest":"` + a + `","size":"1"},{"digest":"` + b + `","size":1e99}]}`, &Contents{Blobs: []Blob{{Digest: a, Size: SizeUnknown}, {Digest: b, Size: SizeUnknown}}}, ""},
		{"two-sizes", `{"schemaVersion":2,"layers":[{"digest":"` + a + `","size":1},{"digest":"` + a + `","size":2}]}`, &Contents{Blobs: []Blob{{Digest: a, Size: SizeUnknown}}}, ""},
		{"inline-data", `{"schemaVersion":2,"layers":[{"digest":"` + sha256Of([]byte("ok")) + `","size":7,"data":"b2s="}]}`, &Contents{Blobs: []Blob{{Digest: sha256Of([]byte("ok")), Size: 2, Data: []byte("ok")}}}, ""},
		{"inline-data-of-another", `{"schemaVersion":2,"layers":[{"digest":"` + a + `","size":7,"data":"b2s="}]}`, &Contents{Blobs: []Blob{{Digest: a, Size: 7}}}, ""},
		{"inline-data-too-large", `{"schemaVersion":2,"layers":[{"digest":"` + sha256Of(make([]byte, maxData+1)) + `","size":7,"data":"` + base64.StdEncoding.EncodeToString(make([]byte, maxData+1)) + `"}]}`, &Contents{Blobs: []Blob{{Digest: sha256Of(make([]byte, maxData+1)), Size: 7}}}, ""},
		{"no-schema-version", `{"layers":[{"digest":"` + a + `","size":1}]}`, &Contents{Blobs: []Blob{{Digest: a, Size: 1}}}, ""},
		{"no-manifest", `{}`, nil, "missing schemaVersion"},
		{"terminal-escape", `{"schemaVersion":2,"config":{"digest":"\u001b[2J","size":1}}`, nil, `invalid digest "\x1b[2J"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse([]byte(tt.manifest))
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error %v, want one line with %q", err, tt.wrong)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// FuzzParse tests that the result is an error of one line, or valid digests and
// blobs that a mirror may store.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"` + a + `","size":1},"layers":[]}`))
	f.Add([]byte(`{"schemaVersion":1,"fsLayers":[{"blobSum":"` + a + `"}]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"` + b + `"}]}`))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		c, err := Parse(manifest)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("error %q has several lines", err)
			}
			return
		}
		if len(c.Platforms) != len(c.Children) || 40*(len(c.Children)+len(c.Blobs)) > len(manifest) {
			t.Errorf("%d children, %d platforms and %d blobs in %d bytes", len(c.Children), len(c.Platforms), len(c.Blobs), len(manifest))
		}
		for _, b := range c.Blobs {
			if !oci.ValidDigest(b.Digest) || !strings.HasPrefix(b.Digest, "sha256:") || b.Size < SizeUnknown || b.Size > MaxBlobSize || len(b.Data) > maxData || b.Data != nil && sha256Of(b.Data) != b.Digest {
				t.Errorf("%+v must not be in a mirror", b)
			}
		}
	})
}
