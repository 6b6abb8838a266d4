package copier

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/index"
	"archeio/lambda/registry"
	"archeio/scripts/lab/system"
)

// putBlob stores some bytes in buckets, and returns their digest.
func putBlob(t *testing.T, content string, buckets ...*Bucket) string {
	t.Helper()
	blob := registry.Blob{Digest: Digest(sha256.Sum256([]byte(content))).String(), Size: int64(len(content))}
	for _, b := range buckets {
		if _, err := b.Put(t.Context(), blob, bytes.NewReader([]byte(content)), ""); err != nil {
			t.Fatal(err)
		}
	}
	return blob.Digest
}

func indexOf(t *testing.T, b *Bucket) *index.Index {
	t.Helper()
	data, _, err := b.indexThere(t.Context(), false)
	if err != nil || data == nil {
		t.Fatalf("bucket %q: there is no index (%v)", b.Name, err)
	}
	x, err := index.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// writeIndex writes an index of some digests.
func writeIndex(t *testing.T, state State, o IndexOptions, listed time.Time, digests ...string) {
	t.Helper()
	if err := writeIndexErr(t, state, o, listed, digests...); err != nil {
		t.Fatal(err)
	}
}

func writeIndexErr(t *testing.T, state State, o IndexOptions, listed time.Time, digests ...string) error {
	t.Helper()
	_, err := WriteIndex(t.Context(), state, o, listed, func(yield func(Digest)) error {
		for _, text := range digests {
			if d, ok := ParseDigest(text); ok {
				yield(d)
			}
		}
		return nil
	})
	return err
}

// An index names the mirrors that it covers, and blobs that all of them have.
func TestIndexCoverage(t *testing.T) {
	s := start(t)
	one, two := s.buckets[0], s.buckets[1]
	both, first := putBlob(t, "both", one, two), putBlob(t, "only the first", one)
	state := Folder(t.TempDir())
	check := func(what string, b *Bucket, mirrors, blobs []string) {
		t.Helper()
		x := indexOf(t, b)
		slices.Sort(blobs)
		if !slices.Equal(x.Mirrors, mirrors) || !slices.Equal(x.Witnesses, blobs) || x.Len() != len(blobs) {
			t.Errorf("%s: %d entries of %q with witnesses %q, want %q with %q", what, x.Len(), x.Mirrors, x.Witnesses, mirrors, blobs)
		}
	}
	regions := slices.Sorted(slices.Values(system.Regions[:2]))
	if _, err := ListIndex(t.Context(), state, IndexOptions{Buckets: s.buckets}); err != nil {
		t.Fatal(err)
	}
	check("both", one, regions, []string{both})
	check("both", two, regions, []string{both})

	// One of fewer mirrors does not replace it, unless that is allowed.
	_, err := ListIndex(t.Context(), state, IndexOptions{Buckets: s.buckets[:1]})
	if !errors.Is(err, ErrFewerMirrors) || !strings.Contains(err.Error(), one.Name) || !strings.Contains(err.Error(), system.Regions[1]) {
		t.Errorf("error %v, want %v with the bucket and the region that is missing", err, ErrFewerMirrors)
	}
	check("refused", one, regions, []string{both})
	if _, err := ListIndex(t.Context(), state, IndexOptions{Buckets: s.buckets[:1], AllowFewer: true}); err != nil {
		t.Fatal(err)
	}
	check("allowed", one, system.Regions[:1], []string{both, first})
	check("not named", two, regions, []string{both})

	// A mirror that is being filled gets the index and is not covered.
	now := time.Now()
	if err := writeIndexErr(t, state, IndexOptions{Buckets: s.buckets, Uncovered: []int{1}}, now, first); !errors.Is(err, ErrFewerMirrors) {
		t.Errorf("error %v, want %v: the index in the second bucket covers both", err, ErrFewerMirrors)
	}
	writeIndex(t, state, IndexOptions{Buckets: s.buckets, Uncovered: []int{1}, AllowFewer: true}, now, first)
	check("filling", one, system.Regions[:1], []string{first})
	check("filling", two, system.Regions[:1], []string{first})

	// More mirrors are no reason to refuse.
	writeIndex(t, state, IndexOptions{Buckets: s.buckets}, now.Add(time.Second), both)
	check("more", one, regions, []string{both})
}

// The index is of what all mirrors hold, and never goes back in time.
func TestIndex(t *testing.T) {
	s := start(t)
	one, two := s.buckets[0], s.buckets[1]
	everywhere, first, second := putBlob(t, "everywhere", one, two), putBlob(t, "first", one), putBlob(t, "second", two)
	state := Folder(t.TempDir())
	if n, err := ListIndex(t.Context(), state, IndexOptions{Buckets: s.buckets}); err != nil || n != 1 {
		t.Fatalf("%d entries, %v; want 1", n, err)
	}
	for _, b := range s.buckets {
		if x := indexOf(t, b); x.Len() != 1 || !x.Has(everywhere) || x.Has(first) || x.Has(second) {
			t.Errorf("bucket %q: the index has %d entries", b.Name, x.Len())
		}
		if held, err := b.List(t.Context()); err != nil || len(held) != 2 {
			t.Errorf("bucket %q: with an index it has %d blobs, %v", b.Name, len(held), err)
		}
		o, err := b.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &b.Name, Key: indexKey})
		if err != nil || aws.ToString(o.CacheControl) != "no-cache" {
			t.Errorf("bucket %q: Cache-Control %q, %v", b.Name, aws.ToString(o.CacheControl), err)
		}
	}

	// An older listing does not replace it, a newer one does.
	now := time.Now()
	writeIndex(t, state, IndexOptions{Buckets: s.buckets}, now.Add(-time.Hour), first)
	if x := indexOf(t, one); x.Has(first) {
		t.Error("an older listing has replaced the index")
	}
	writeIndex(t, state, IndexOptions{Buckets: s.buckets}, now.Add(time.Minute), first)
	if x := indexOf(t, two); !x.Has(first) || x.Has(everywhere) {
		t.Error("a newer listing has not replaced the index")
	}

	// One of the future would never be too old.
	writeIndex(t, state, IndexOptions{Buckets: s.buckets}, now.Add(time.Hour))
	writeIndex(t, state, IndexOptions{Buckets: s.buckets}, now, first)
	if x := indexOf(t, one); !x.Has(first) {
		t.Error("an index of the future stays")
	}

	// One that is damaged is replaced by any.
	if err := one.putIndex(t.Context(), []byte("damaged"), etagOfIndex(t, one)); err != nil {
		t.Fatal(err)
	}
	writeIndex(t, state, IndexOptions{Buckets: s.buckets}, now, first)
	if x := indexOf(t, one); x.Len() != 1 {
		t.Error("a damaged index stays")
	}
}

func etagOfIndex(t *testing.T, b *Bucket) string {
	t.Helper()
	_, etag, err := b.indexThere(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return etag
}

// A write that another one has overtaken is none.
func TestIndexIsNotOverwritten(t *testing.T) {
	s := start(t)
	b := s.buckets[0]
	write := func(first byte, replaces string) error {
		data, err := index.Encode(time.Now(), []string{b.region()}, slices.Values([]index.Digest{{first}}))
		if err != nil {
			t.Fatal(err)
		}
		return b.putIndex(t.Context(), data, replaces)
	}
	if err := write(1, ""); err != nil {
		t.Fatal(err)
	}
	if err := write(2, ""); err != ErrExists {
		t.Errorf("over one that was not there: %v", err)
	}
	if err := write(2, `"0123456789abcdef0123456789abcdef"`); err != ErrExists {
		t.Errorf("over one that is another by now: %v", err)
	}
	if err := write(2, etagOfIndex(t, b)); err != nil {
		t.Errorf("over the one that was read: %v", err)
	}
}

// What is withdrawn is taken out, and no later listing brings it back.
func TestIndexWithoutWithdrawn(t *testing.T) {
	s := start(t)
	kept, gone := putBlob(t, "kept", s.buckets...), putBlob(t, "gone", s.buckets...)
	state := Folder(t.TempDir())
	if n, err := ListIndex(t.Context(), state, IndexOptions{Buckets: s.buckets}); err != nil || n != 2 {
		t.Fatalf("%d entries, %v; want 2", n, err)
	}
	if r, err := Withdraw(t.Context(), state, s.buckets, gone); err != nil || len(r.Errors) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, b := range s.buckets {
		if x := indexOf(t, b); x.Has(gone) || !x.Has(kept) {
			t.Errorf("bucket %q: the index has %d entries", b.Name, x.Len())
		}
	}
	// A run that has listed the buckets before.
	writeIndex(t, state, IndexOptions{Buckets: s.buckets}, time.Now().Add(time.Minute), gone, kept)
	if x := indexOf(t, s.buckets[0]); x.Has(gone) || slices.Contains(x.Witnesses, gone) || !slices.Contains(x.Witnesses, kept) {
		t.Errorf("a listing from before brings the withdrawn blob back; witnesses %q", x.Witnesses)
	}
}
