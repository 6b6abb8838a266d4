package rude

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

func digits(i int) string { return fmt.Sprintf("%04d", i) }

// many adds a repository with n tiny manifests, of which every second is tagged.
func (s *setup) many(habit string, n int) {
	r := s.content.Repository(Prefix + "/" + habit)
	config := r.blob(ociEmpty, []byte("{}"))
	layer := r.blob(ociLayer, s.maker(habit).layer(50))
	for i := range n {
		d := r.store(ociManifest, document{
			MediaType: ociManifest, Config: &config, Layers: []Descriptor{layer},
			Annotations: map[string]string{"n": digits(i)},
		})
		if i%2 == 0 {
			r.Tags["t"+digits(i)] = d.Digest
		}
	}
}

// odd adds an image with the name of a habit as its tag.
func odd(habit string, add func(m maker, r *Repository, tag string)) func(*setup) {
	return func(s *setup) { add(s.maker(habit), s.content.Repository(appName), habit) }
}

// simple returns an image of one config and one layer, as stored in a repository.
func (m maker) simple(r *Repository) (d document, layer []byte) {
	config := r.blob(ociConfig, fmt.Appendf(nil, `{"os":"linux","n":%d}`, m.Uint64()))
	layer = m.layer(400)
	return document{SchemaVersion: 2, MediaType: ociManifest, Config: &config, Layers: []Descriptor{r.blob(ociLayer, layer)}}, layer
}

// sized returns an Apply that adds an image with a descriptor of another size.
func sized(habit string, size func(int64) int64) func(*setup) {
	return odd(habit, func(m maker, r *Repository, tag string) {
		d, _ := m.simple(r)
		d.Layers[0].Size = size(d.Layers[0].Size)
		r.store(ociManifest, d, tag)
	})
}

// literalSize returns an Apply that adds an image with a size that is not a number of
// bytes, as JSON.
func literalSize(habit, size string) func(*setup) {
	return odd(habit, func(m maker, r *Repository, tag string) {
		d, _ := m.simple(r)
		d.Layers[0].Size = 987654321
		body, err := json.Marshal(d)
		if err != nil {
			panic(err) // of types that can be encoded
		}
		r.put(ociManifest, bytes.Replace(body, []byte("987654321"), []byte(size), 1), tag)
	})
}

var contentHabits = []Habit{
	{Name: "buildkit-cache", Pushable: true, Source: "moby/buildkit#1143, goharbor/harbor#20726", Apply: odd("buildkit-cache", func(m maker, r *Repository, tag string) {
		config := r.blob(cacheConfig, []byte(`{"layers":[{"blob":"x","parent":-1}]}`))
		r.store(ociIndex, document{MediaType: ociIndex, Manifests: []Descriptor{
			r.blob(ociLayer, m.layer(700)), r.blob(dockerLayer, m.layer(300)), r.blob(ociZstd, m.layer(200)), config,
		}}, tag)
	})},
	{Name: "sparse-index", Pushable: true, Source: "project-zot/zot#4410, GHCR clean-ups", Apply: odd("sparse-index", func(m maker, r *Repository, tag string) {
		child := m.image(r, 200, 1)
		gone := m.image(r.past(), 100, 1)
		gone.Platform = &platform{"s390x", "linux"}
		r.store(ociIndex, document{MediaType: ociIndex, Manifests: []Descriptor{gone, child}}, tag)
	})},
	{Name: "tag-404", Source: "jetstack/version-checker#318, goharbor/harbor#22242", Apply: odd("tag-404", func(_ maker, r *Repository, tag string) {
		r.Tags[tag] = digestOf([]byte("missing manifest"))
	})},
	{Name: "size-small", Pushable: true, Source: "skopeo#1054, openshift/origin#16858", Apply: sized("size-small", func(n int64) int64 { return n / 2 })},
	{Name: "size-large", Pushable: true, Source: "skopeo#1054, openshift/origin#16858", Apply: sized("size-large", func(n int64) int64 { return n * 3 })},
	{Name: "size-huge", Pushable: true, Source: "hostile: 10^15 bytes", Apply: sized("size-huge", func(int64) int64 { return 1e15 })},
	{Name: "size-zero", Pushable: true, Source: "builders that do not set it", Apply: sized("size-zero", func(int64) int64 { return 0 })},
	{Name: "size-negative", Source: "hostile", Apply: func(s *setup) {
		sized("size-negative", func(int64) int64 { return -5 })(s)
		s.doubt("size-negative")
	}},
	{Name: "size-overflow", Source: "hostile: 10^30 bytes", Apply: literalSize("size-overflow", "1000000000000000000000000000000")},
	{Name: "size-float", Source: "builders in JavaScript", Apply: literalSize("size-float", "4.27e2")},
	{Name: "size-string", Source: "builders in shell", Apply: literalSize("size-string", `"427"`)},
	{Name: "size-null", Source: "builders in shell", Apply: literalSize("size-null", "null")},
	{Name: "prefix-repository", Pushable: true, Source: "Artifact Registry: a repository with an image of its own name", Apply: func(s *setup) {
		s.maker("prefix-repository").image(s.content.Repository(Prefix), 200, 1, "latest")
	}},
	{Name: "fallback-tags", Pushable: true, Source: "OCI 1.1: referrers tag schema; cosign", Apply: odd("fallback-tags", func(m maker, r *Repository, tag string) {
		d := m.image(r, 200, 1, tag)
		hex := strings.TrimPrefix(d.Digest, "sha256:")
		m.image(r, 100, 1, "sha256-"+hex+".sig")
		r.store(ociIndex, document{MediaType: ociIndex, Manifests: []Descriptor{m.referrer(r, d, "application/vnd.example")}}, "sha256-"+hex)
	})},
	{Name: "sizes-disagree", Pushable: true, Source: "openshift/origin#16858", Apply: odd("sizes-disagree", func(m maker, r *Repository, tag string) {
		d, _ := m.simple(r)
		r.store(ociManifest, d, tag+"-right")
		d.Layers = []Descriptor{{MediaType: ociLayer, Digest: d.Layers[0].Digest, Size: d.Layers[0].Size + 7}}
		r.store(ociManifest, d, tag+"-wrong")
	})},
	{Name: "child-size", Pushable: true, Source: "skopeo#1054", Apply: odd("child-size", func(m maker, r *Repository, tag string) {
		child := m.image(r, 200, 1)
		child.Size++
		r.store(ociIndex, document{MediaType: ociIndex, Manifests: []Descriptor{child}}, tag)
	})},
	{Name: "inline-data", Pushable: true, Source: "OCI 1.1: descriptor field data", Apply: odd("inline-data", func(m maker, r *Repository, tag string) {
		d, _ := m.simple(r)
		data := fmt.Appendf(nil, "inline %d", m.Uint64())
		layer := r.past().blob("text/plain", data)
		layer.Data = data
		d.Layers = append(d.Layers, layer)
		r.store(ociManifest, d, tag)
	})},
	{Name: "inline-wrong", Pushable: true, Source: "hostile", Apply: odd("inline-wrong", func(m maker, r *Repository, tag string) {
		d, _ := m.simple(r)
		d.Layers[0].Data = []byte("something else")
		r.store(ociManifest, d, tag)
	})},
	{Name: "empty-config", Pushable: true, Source: "OCI 1.1 artifacts: application/vnd.oci.empty.v1+json", Apply: func(s *setup) {
		r := s.content.Repository(Prefix + "/artifact")
		m := s.maker("empty-config")
		config := r.past().blob(ociEmpty, []byte("{}"))
		config.Data = []byte("{}")
		r.store(ociManifest, document{MediaType: ociManifest, ArtifactType: "application/vnd.example", Config: &config, Layers: []Descriptor{r.blob("application/octet-stream", m.layer(100))}}, "empty-config")
	}},
	{Name: "foreign-layer", Pushable: true, Source: "Windows images", Apply: odd("foreign-layer", func(m maker, r *Repository, tag string) {
		d, _ := m.simple(r)
		layer := r.past().blob(ociForeign, []byte("foreign"))
		layer.URLs = []string{"https://foreign.invalid/layer"}
		d.Layers = append(d.Layers, layer)
		r.store(ociManifest, d, tag)
	})},
	{Name: "sha512", Pushable: true, Source: "OCI image-spec: registered algorithms", Apply: odd("sha512", func(m maker, r *Repository, tag string) {
		d, _ := m.simple(r)
		body := m.layer(150)
		r.Blobs[sha512Of(body)] = body
		d.Layers = append(d.Layers, Descriptor{MediaType: ociLayer, Digest: sha512Of(body), Size: int64(len(body))})
		r.store(ociManifest, d, tag)
	})},
	{Name: "zero-bytes", Pushable: true, Source: "kaniko, buildah", Apply: odd("zero-bytes", func(m maker, r *Repository, tag string) {
		d, _ := m.simple(r)
		d.Layers = append(d.Layers, r.blob(ociLayer, nil))
		r.store(ociManifest, d, tag)
	})},
	{Name: "digest-invalid", Source: "hostile", Apply: func(s *setup) {
		odd("digest-invalid", func(m maker, r *Repository, tag string) {
			d, _ := m.simple(r)
			d.Layers = append(d.Layers, Descriptor{MediaType: ociLayer, Digest: "sha256:\x1b[2J../../x", Size: 5})
			r.store(ociManifest, d, tag)
		})(s)
		s.doubt("digest-invalid")
	}},
	{Name: "blob-403-elsewhere", Source: "registries with permissions by repository", Apply: func(s *setup) {
		m := s.maker("blob-403-elsewhere")
		body := m.layer(333)
		for _, name := range []string{Prefix + "/aaa", Prefix + "/zzz"} {
			r := s.content.Repository(name)
			config := r.blob(ociConfig, []byte(`{"name":"`+name+`"}`))
			layer := r.blob(ociLayer, body)
			r.store(ociManifest, document{MediaType: ociManifest, Config: &config, Layers: []Descriptor{layer}}, "v1")
		}
		s.special("blob", Prefix+"/aaa", digestOf(body), deny(http.StatusForbidden))
		s.loss.outcome(Full, Incomplete)
	}},
	{Name: "schema-1", Source: "images from before 2017", Apply: odd("schema-1", func(m maker, r *Repository, tag string) {
		layer := r.blob("", m.layer(300))
		r.store(dockerV1, document{SchemaVersion: 1, FSLayers: []fsLayer{{layer.Digest}, {layer.Digest}}}, tag)
	})},
	{Name: "artifact-manifest", Pushable: true, Source: "OCI 1.1 release candidates, ORAS", Apply: odd("artifact-manifest", func(m maker, r *Repository, tag string) {
		body, err := json.Marshal(map[string]any{"mediaType": ociArtifact, "artifactType": "application/vnd.example", "blobs": []Descriptor{r.blob("text/plain", m.layer(80))}})
		if err != nil {
			panic(err) // of types that can be encoded
		}
		r.put(ociArtifact, body, tag)
	})},
	{Name: "deep-index", Pushable: true, Source: "hostile", Apply: odd("deep-index", func(m maker, r *Repository, tag string) {
		d := m.image(r, 100, 1)
		for range 40 {
			d = r.store(ociIndex, document{MediaType: ociIndex, Manifests: []Descriptor{d}})
		}
		r.Tags[tag] = d.Digest
	})},
	{Name: "repeated-child", Pushable: true, Source: "hostile", Apply: odd("repeated-child", func(m maker, r *Repository, tag string) {
		d := document{MediaType: ociIndex}
		child := m.image(r, 100, 1)
		for range 1000 {
			d.Manifests = append(d.Manifests, child)
		}
		r.store(ociIndex, d, tag)
	})},
	{Name: "null-index", Pushable: true, Source: "builders", Apply: odd("null-index", func(_ maker, r *Repository, tag string) {
		r.put(ociIndex, []byte(`{"schemaVersion":2,"mediaType":"`+ociIndex+`","manifests":null}`), tag)
	})},
	{Name: "attestation", Pushable: true, Source: "BuildKit attestations", Apply: odd("attestation", func(m maker, r *Repository, tag string) {
		image, statement := m.image(r, 200, 1), m.image(r, 100, 1)
		image.Platform = &platform{"amd64", "linux"}
		statement.Platform = &platform{"unknown", "unknown"}
		statement.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.Digest}
		r.store(ociIndex, document{MediaType: ociIndex, Manifests: []Descriptor{image, statement}}, tag)
	})},
	{Name: "index-no-type", Pushable: true, Source: "gardener/cc-utils#1238", Apply: odd("index-no-type", func(m maker, r *Repository, tag string) {
		r.store(ociIndex, document{Manifests: []Descriptor{m.image(r, 100, 1)}}, tag)
	})},
	{Name: "child-no-type", Pushable: true, Source: "builders", Apply: odd("child-no-type", func(m maker, r *Repository, tag string) {
		child := m.image(r, 100, 1)
		child.MediaType = ""
		r.store(ociIndex, document{MediaType: ociIndex, Manifests: []Descriptor{child}}, tag)
	})},
	{Name: "pretty-json", Pushable: true, Source: "builders that indent", Apply: odd("pretty-json", func(m maker, r *Repository, tag string) {
		d, _ := m.simple(r)
		body, err := json.MarshalIndent(d, "\t", "   ")
		if err != nil {
			panic(err) // of types that can be encoded
		}
		r.put(ociManifest, append(body, " \n\n"...), tag)
	})},
	{Name: "huge-manifest", Heavy: true, Source: "annotations of 5 MiB", Apply: odd("huge-manifest", func(m maker, r *Repository, tag string) {
		d, _ := m.simple(r)
		d.Annotations = map[string]string{"padding": strings.Repeat("x", 5<<20)}
		r.store(ociManifest, d, tag)
	})},
	{Name: "oversized-manifest", Heavy: true, Source: "hostile: 12 MiB", Apply: func(s *setup) {
		r := s.content.Repository(appName)
		d, _ := s.maker("oversized-manifest").simple(r)
		d.Annotations = map[string]string{"padding": strings.Repeat("x", 12<<20)}
		s.loss.manifests[r.store(ociManifest, d, "oversized-manifest").Digest] = true
	}},
	{Name: "dead-children", Heavy: true, Source: "pushers; clean-ups of child manifests", Apply: func(s *setup) {
		r := s.content.Repository(Prefix + "/crowded")
		m := s.maker("dead-children")
		d := document{MediaType: ociIndex}
		for i := range 3000 {
			d.Manifests = append(d.Manifests, Descriptor{MediaType: ociManifest, Digest: digestOf([]byte(digits(i))), Size: 500})
		}
		r.store(ociIndex, d, "dead")
		for i := range 60 {
			m.image(r, 100, 1, "good-"+digits(i))
		}
		s.loss.outcome(Full, Incomplete) // a bound per image may be reached
	}},
	{Name: "unparsable-children", Heavy: true, Source: "pushers", Apply: func(s *setup) {
		r := s.content.Repository(Prefix + "/unparsable")
		m := s.maker("unparsable-children")
		d := document{MediaType: ociIndex}
		for i := range 2000 {
			d.Manifests = append(d.Manifests, r.put(ociManifest, []byte(`{"schemaVersion":2,"config":`+digits(i))))
		}
		r.store(ociIndex, d, "dead")
		for i := range 60 {
			m.image(r, 100, 1, "good-"+digits(i))
		}
		s.loss.outcome(Full, Incomplete) // a bound per image may be reached
	}},

	// Manifests and blobs that cannot be had.
	{Name: "manifest-not-json", Source: "pushers", Apply: func(s *setup) {
		r := s.content.Repository(appName)
		r.put(ociManifest, []byte("this is not JSON"), "manifest-not-json")
	}},
	{Name: "manifest-bomb", Source: "hostile", Apply: func(s *setup) {
		r := s.content.Repository(appName)
		r.put(ociManifest, []byte(`{"schemaVersion":2,"x":`+strings.Repeat("[", 1<<20)), "manifest-bomb")
	}},
	{Name: "manifest-html", Source: "sign-in pages", Apply: func(s *setup) { s.badManifest("manifest-html", always(page(http.StatusOK, signIn))) }},
	{Name: "manifest-403", Source: "Harbor: vulnerable images are not served", Apply: func(s *setup) { s.badManifest("manifest-403", deny(http.StatusForbidden)) }},
	{Name: "manifest-412", Source: "Harbor: vulnerable images are not served", Apply: func(s *setup) { s.badManifest("manifest-412", deny(http.StatusPreconditionFailed)) }},
	{Name: "manifest-500", Source: "distribution with damaged storage", Apply: func(s *setup) {
		s.badManifest("manifest-500", deny(http.StatusInternalServerError))
		s.loss.requests += 100
	}},
	{Name: "manifest-corrupt", Source: "damaged storage", Apply: func(s *setup) {
		s.badManifest("manifest-corrupt", json200(`{"schemaVersion":2,"mediaType":"`+ociManifest+`","layers":[]}`))
	}},
	{Name: "manifest-stall", Slow: true, Source: "proxies", Apply: func(s *setup) {
		s.badManifest("manifest-stall", func(*http.Request) response {
			return stalled(response{status: http.StatusOK, header: http.Header{"Content-Type": {ociManifest}}, body: []byte(`{"schemaVersion":2}`)}, 5)
		})
	}},
	{Name: "manifest-drip", Slow: true, Source: "hostile", Apply: func(s *setup) {
		s.badManifest("manifest-drip", always(dripping(`{"schemaVersion":2,"layers":[`+strings.Repeat(`{},`, 1000))))
	}},
	{Name: "manifest-endless", Heavy: true, Source: "hostile", Apply: func(s *setup) {
		s.badManifest("manifest-endless", always(unended(`{"schemaVersion":2,"layers":[`, `{},`)))
	}},
	{Name: "blob-403", Source: "hostile", Apply: func(s *setup) { s.badBlob("blob-403", func([]byte) special { return deny(http.StatusForbidden) }) }},
	{Name: "blob-500", Source: "damaged storage", Apply: func(s *setup) {
		s.badBlob("blob-500", func([]byte) special { return deny(http.StatusInternalServerError) })
		s.loss.requests += 100
	}},
	{Name: "blob-404", Source: "clean-ups: project-zot/zot#4410", Apply: odd("blob-404", func(m maker, r *Repository, tag string) {
		d, layer := m.simple(r)
		delete(r.Blobs, digestOf(layer))
		r.store(ociManifest, d, tag)
	})},
	{Name: "blob-corrupt", Source: "damaged storage", Apply: func(s *setup) {
		s.badBlob("blob-corrupt", func(body []byte) special {
			bad := append([]byte{}, body...)
			bad[len(bad)/2] ^= 1
			return served(bad)
		})
	}},
	{Name: "blob-short", Source: "proxies that end early", Apply: func(s *setup) {
		s.badBlob("blob-short", func(body []byte) special { return served(body[:len(body)/2]) })
		s.loss.requests += 100
	}},
	{Name: "blob-long", Source: "hostile", Apply: func(s *setup) {
		s.badBlob("blob-long", func(body []byte) special { return served(append(append([]byte{}, body...), body...)) })
	}},
	{Name: "blob-endless", Heavy: true, Source: "hostile", Apply: func(s *setup) {
		s.badBlob("blob-endless", func(body []byte) special { return always(unended(string(body), "x")) })
	}},
	{Name: "blob-silent", Source: "proxies", Apply: func(s *setup) {
		s.badBlob("blob-silent", func([]byte) special { return silence(2 * time.Minute) })
	}},
	{Name: "blob-html", Source: "sign-in pages", Apply: func(s *setup) {
		s.badBlob("blob-html", func([]byte) special { return always(page(http.StatusOK, signIn)) })
	}},
}

// served responds with bytes as a blob.
func served(body []byte) special {
	return always(response{status: http.StatusOK, header: http.Header{"Content-Type": {"application/octet-stream"}}, body: body})
}

// doubt makes both outcomes correct for a tag.
func (s *setup) doubt(tag string) {
	s.loss.doubtful[s.content.Repository(appName).Tags[tag]] = true
}
