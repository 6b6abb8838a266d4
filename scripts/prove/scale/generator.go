package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"

	"archeio/lambda/config"
)

// generator has the contents of a registry and its mirrors, calculated when they are
// asked for. Of every three manifests the first is an index of the other two, which
// are images with blobs from all over the key space.
type generator struct {
	blobs, manifests, repositories int
	// seeds are those of the contents of the blobs, in the order of their digests; nil
	// for blobs without contents, whose digests are random numbers.
	seeds []uint32

	digests []string       // of the manifests
	sizes   []int          // of the manifests, in bytes
	numbers map[string]int // of the manifests, by digest
}

const (
	// blobSize is the size in bytes of blobs without contents, contentSize that of contents.
	blobSize    = 2_500_000
	contentSize = 20
	// blobsPerManifest is what a generator of contents has.
	blobsPerManifest = 27

	groupSize  = 3 // an index and its images
	ociImage   = "application/vnd.oci.image.manifest.v1+json"
	ociIndex   = "application/vnd.oci.image.index.v1+json"
	sourcePath = "images"
)

// newGenerator returns a generator of blobs without contents, so that nothing can be
// copied.
func newGenerator(blobs, manifests, repositories int) *generator {
	return (&generator{blobs: blobs, repositories: repositories}).withManifests(manifests)
}

// newContents returns a generator of blobs with contents, which can be copied. It needs
// four bytes of memory a blob.
func newContents(blobs int) *generator {
	type seeded struct {
		start uint64 // of the digest
		seed  uint32
	}
	all := make([]seeded, blobs)
	for i := range all {
		sum := sha256.Sum256(content(uint32(i)))
		all[i] = seeded{binary.BigEndian.Uint64(sum[:]), uint32(i)}
	}
	slices.SortFunc(all, func(a, b seeded) int { return cmp.Compare(a.start, b.start) })
	manifests := manifestsFor(blobs)
	g := &generator{blobs: blobs, repositories: max(2, manifests/150), seeds: make([]uint32, blobs)}
	for i, s := range all {
		g.seeds[i] = s.seed
	}
	return g.withManifests(manifests)
}

// minFill is the smallest number of blobs with contents: those of two groups.
const minFill = 2 * groupSize * blobsPerManifest

// manifestsFor returns how many manifests refer to blobs with contents.
func manifestsFor(blobs int) int { return blobs / blobsPerManifest / groupSize * groupSize }

// content returns the content of the blob of a seed.
func content(seed uint32) []byte { return fmt.Appendf(nil, "blob%0*d", contentSize-len("blob"), seed) }

func (g *generator) withManifests(n int) *generator {
	g.manifests, g.numbers = n/groupSize*groupSize, map[string]int{}
	g.digests, g.sizes = make([]string, g.manifests), make([]int, g.manifests)
	for group := 0; group < g.manifests; group += groupSize {
		for _, i := range []int{group + 1, group + 2, group} { // an index needs its images' digests
			content := g.manifest(i)
			sum := sha256.Sum256(content)
			g.sizes[i] = len(content)
			g.digests[i] = "sha256:" + hex.EncodeToString(sum[:])
			g.numbers[g.digests[i]] = i
		}
	}
	return g
}

// blob returns the digest of a blob. Digests are in the order of their numbers, and
// spread over the key space.
func (g *generator) blob(i int) string {
	if g.seeds != nil {
		d := sha256.Sum256(content(g.seeds[i]))
		return "sha256:" + hex.EncodeToString(d[:])
	}
	var d [32]byte
	binary.BigEndian.PutUint64(d[:], uint64(i)*(math.MaxUint64/uint64(g.blobs)))
	x := uint64(i)
	for at := 8; at < len(d); at += 8 { // splitmix64
		x += 0x9e3779b97f4a7c15
		z := (x ^ x>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		binary.BigEndian.PutUint64(d[at:], z^z>>31)
	}
	return "sha256:" + hex.EncodeToString(d[:])
}

func (g *generator) key(i int) string { return config.BlobPrefix + g.blob(i) }

// find returns the number of the blob with a key.
func (g *generator) find(key string) (i int, ok bool) {
	i = g.from(key)
	return i, i < g.blobs && g.key(i) == key
}

// size returns the size of each blob in bytes.
func (g *generator) size() int {
	if g.seeds != nil {
		return contentSize
	}
	return blobSize
}

// from returns the number of the first blob with a key that is not smaller.
func (g *generator) from(key string) int {
	return sort.Search(g.blobs, func(i int) bool { return g.key(i) >= key })
}

// manifest returns the content of a manifest.
func (g *generator) manifest(i int) []byte {
	group, position := i/groupSize, i%groupSize
	if position == 0 {
		entry := func(i int) string {
			return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, ociImage, g.digests[i], g.sizes[i])
		}
		return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[%s,%s]}`, ociIndex, entry(i+1), entry(i+2))
	}
	images, size := g.images(), strconv.Itoa(g.size())
	number := group*(groupSize-1) + position - 1
	out := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":`, ociImage)
	descriptor := func(mediaType string, blob int) {
		out = append(append(append(out, `{"mediaType":"application/vnd.oci.image.`...), mediaType...), `","digest":"`...)
		out = append(append(append(out, g.blob(blob)...), `","size":`...), size...)
		out = append(out, '}')
	}
	descriptor("config.v1+json", number%g.blobs)
	out = append(out, `,"layers":[`...)
	for blob := number + images; blob < g.blobs; blob += images {
		if blob != number+images {
			out = append(out, ',')
		}
		descriptor("layer.v1.tar+gzip", blob)
	}
	return append(out, "]}"...)
}

func (g *generator) images() int { return g.manifests / groupSize * (groupSize - 1) }

// repositoryOf returns the number of the only repository that refers to a blob.
func (g *generator) repositoryOf(blob int) int {
	return blob % g.images() / (groupSize - 1) % g.repositories
}

// repository returns the name of a repository.
func (g *generator) repository(n int) string { return fmt.Sprintf("%s/repository-%06d", sourcePath, n) }

// manifestsOf calls yield with the numbers of the manifests of a repository.
func (g *generator) manifestsOf(repository int, yield func(i int)) {
	for group := repository; group < g.manifests/groupSize; group += g.repositories {
		for i := range groupSize {
			yield(group*groupSize + i)
		}
	}
}

// spread returns the digests of a blob in each part of an inventory, for some hours. Those
// of different hours differ. An inventory of fewer blobs has fewer parts.
func (g *generator) spread(first, hours int) [][]string {
	parts := min(256, g.blobs/3000)
	all := make([][]string, hours)
	for hour := range all {
		for part := range parts {
			all[hour] = append(all[hour], g.blob(part*g.blobs/parts+first+hour))
		}
	}
	return all
}
