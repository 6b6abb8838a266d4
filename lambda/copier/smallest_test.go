package copier

import (
	"encoding/json"
	"testing"

	"archeio/lambda/config"
	"archeio/lambda/registry"
)

func TestSmallestImage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		before config.CanaryImage
		blobs  []MissingBlob
		want   config.CanaryImage
	}{
		{"none", config.CanaryImage{}, nil, config.CanaryImage{}},
		{"smaller", config.CanaryImage{Image: "p/a:v1", Size: 9}, []MissingBlob{{Image: "p/b:v1", Blob: registry.Blob{Size: 8}}}, config.CanaryImage{Image: "p/b:v1", Size: 8}},
		{"larger", config.CanaryImage{Image: "p/a:v1", Size: 9}, []MissingBlob{{Image: "p/b:v1", Blob: registry.Blob{Size: 10}}}, config.CanaryImage{Image: "p/a:v1", Size: 9}},
		{"equal", config.CanaryImage{}, []MissingBlob{{Image: "p/b:v1", Blob: registry.Blob{Size: 8}}, {Image: "p/a:v1", Blob: registry.Blob{Size: 8}}}, config.CanaryImage{Image: "p/a:v1", Size: 8}},
		{"untagged", config.CanaryImage{}, []MissingBlob{{Image: "p/b@sha256:0", Blob: registry.Blob{Size: 8}}}, config.CanaryImage{}},
		{"signature", config.CanaryImage{}, []MissingBlob{{Image: "p/b:sha256-0.sig", Blob: registry.Blob{Size: 8}}}, config.CanaryImage{}},
		{"unknown-size", config.CanaryImage{}, []MissingBlob{{Image: "p/b:v1", Blob: registry.Blob{Size: registry.SizeUnknown}}}, config.CanaryImage{}},
		{"too-large", config.CanaryImage{}, []MissingBlob{{Image: "p/b:v1", Blob: registry.Blob{Size: maxCanaryBlob + 1}}}, config.CanaryImage{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			blobs := map[Digest]MissingBlob{}
			for i, b := range tt.blobs {
				blobs[Digest{byte(i)}] = b
			}
			if got := smallestOf(tt.before, blobs); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// The image of an earlier run is replaced: it may not exist any more.
func TestRecordSmallest(t *testing.T) {
	t.Parallel()
	source, err := registry.New("registry.example/p", registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &Filler{Source: source, State: Folder(t.TempDir())}
	for _, tt := range []struct {
		run, image string
		size       int64
		want       config.CanaryImage
	}{
		{"1", "p/a:v1", 9, config.CanaryImage{Run: "1", Image: "a:v1", Size: 9}},
		{"1", "p/b:v1", 10, config.CanaryImage{Run: "1", Image: "a:v1", Size: 9}},
		{"1", "p/c:v1", 8, config.CanaryImage{Run: "1", Image: "c:v1", Size: 8}},
		{"1", "", 0, config.CanaryImage{Run: "1", Image: "c:v1", Size: 8}},
		{"2", "p/d:v1", 20, config.CanaryImage{Run: "2", Image: "d:v1", Size: 20}},
	} {
		if err := f.recordSmallest(t.Context(), tt.run, config.CanaryImage{Image: tt.image, Size: tt.size}); err != nil {
			t.Fatal(err)
		}
		data, err := f.State.Get(t.Context(), "canary.json")
		if err != nil {
			t.Fatal(err)
		}
		var got config.CanaryImage
		if err := json.Unmarshal(data, &got); err != nil || got != tt.want {
			t.Errorf("after %s of run %s: %s (%v), want %+v", tt.image, tt.run, data, err, tt.want)
		}
	}
}
