package copier

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"

	"archeio/lambda/registry"
)

// TestPartition tests that a partition has what was added, most of it from a file that has
// no name.
func TestPartition(t *testing.T) {
	t.Parallel()
	const blobs, images = 20_010, 30
	dir := t.TempDir()
	p := &partition{spill: spill{dir: dir}, group: maxGroup}
	digest := func(i int) Digest {
		d := sha256.Sum256(fmt.Append(nil, i))
		d[0] %= 8 // so that parts are large
		return d
	}
	for n := range images {
		position := p.image(fmt.Sprint("repository-", n%3), fmt.Sprint("image-", n))
		for i := n; i < blobs; i += images / 2 { // each in two images
			b := registry.Blob{Size: int64(i)}
			if n < images/2 && i%1000 == 0 {
				b.Size = registry.SizeUnknown
			}
			if i == 7 {
				b.Data = []byte("inline")
			}
			p.add(digest(i), b, position)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 || p.spill.file == nil {
		t.Fatalf("files %v, error %v", left, err)
	}
	found := map[Digest]MissingBlob{}
	for part := range partitions {
		some, err := p.blobs(part)
		if err != nil {
			t.Fatal(err)
		}
		for d, b := range some {
			if int(d[0]) != part || b.Digest != d.String() {
				t.Fatalf("part %d has %s of %s", part, b.Digest, d)
			}
			found[d] = b
		}
	}
	if len(found) != blobs {
		t.Errorf("%d blobs, want %d", len(found), blobs)
	}
	for _, tt := range []struct{ size, groups int }{{1, 8}, {p.parts[0].size() * 5 / 2, 4}, {maxGroup, 1}} {
		p.group = tt.size
		grouped, groups := map[Digest]MissingBlob{}, 0
		err := p.groups(func(blobs map[Digest]MissingBlob) error {
			groups++
			maps.Copy(grouped, blobs)
			return nil
		})
		if err != nil || !reflect.DeepEqual(grouped, found) || groups != tt.groups {
			t.Errorf("groups of %d bytes: %d groups with %d blobs, error %v, want %d groups with %d blobs", tt.size, groups, len(grouped), err, tt.groups, blobs)
		}
	}
	for i := range blobs {
		n := i % (images / 2)
		b, second := found[digest(i)], n+images/2
		var others []string
		if n%3 != second%3 {
			others = []string{fmt.Sprint("repository-", second%3)}
		}
		if i < second { // only in one image
			others = nil
		}
		size := int64(i)
		if i < second && i%1000 == 0 {
			size = registry.SizeUnknown
		}
		if b.Size != size || b.Repository != fmt.Sprint("repository-", n%3) || b.Image != fmt.Sprint("image-", n) || !slices.Equal(b.Others, others) || (i == 7) != (string(b.Data) == "inline") {
			t.Fatalf("blob %d: %+v", i, b)
		}
	}
}
