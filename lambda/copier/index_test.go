package copier

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/index"
)

// putBlob stores some bytes in buckets, and answers their digest.
func putBlob(t *testing.T, content string, buckets ...*Bucket) string {
	t.Helper()
	blob := Blob{Digest(sha256.Sum256([]byte(content))).String(), int64(len(content))}
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

// The index is of what all mirrors hold, and never goes back in time.
func TestIndex(t *testing.T) {
	s := start(t)
	one, two := s.buckets[0], s.buckets[1]
	everywhere, first, second := putBlob(t, "everywhere", one, two), putBlob(t, "first", one), putBlob(t, "second", two)
	state := Folder(t.TempDir())
	if n, err := ListIndex(t.Context(), state, s.buckets); err != nil || n != 1 {
		t.Fatalf("%d entries, %v", n, err)
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
	p, _ := index.Prefix(first)
	if err := WriteIndex(t.Context(), state, s.buckets, now.Add(-time.Hour), []uint64{p}); err != nil {
		t.Fatal(err)
	}
	if x := indexOf(t, one); x.Has(first) {
		t.Error("an older listing has replaced the index")
	}
	if err := WriteIndex(t.Context(), state, s.buckets, now.Add(time.Minute), []uint64{p}); err != nil {
		t.Fatal(err)
	}
	if x := indexOf(t, two); !x.Has(first) || x.Has(everywhere) {
		t.Error("a newer listing has not replaced the index")
	}

	// One of the future would never be too old.
	if err := WriteIndex(t.Context(), state, s.buckets, now.Add(time.Hour), nil); err != nil {
		t.Fatal(err)
	}
	if err := WriteIndex(t.Context(), state, s.buckets, now, []uint64{p}); err != nil {
		t.Fatal(err)
	}
	if x := indexOf(t, one); !x.Has(first) {
		t.Error("an index of the future stays")
	}

	// One that is damaged is replaced by any.
	if err := one.putIndex(t.Context(), []byte("damaged"), etagOfIndex(t, one)); err != nil {
		t.Fatal(err)
	}
	if err := WriteIndex(t.Context(), state, s.buckets, now, []uint64{p}); err != nil {
		t.Fatal(err)
	}
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
	write := func(entry uint64, replaces string) error {
		data, err := index.Encode(time.Now(), []uint64{entry})
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
	if n, err := ListIndex(t.Context(), state, s.buckets); err != nil || n != 2 {
		t.Fatalf("%d entries, %v", n, err)
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
	p, _ := index.Prefix(gone)
	if err := WriteIndex(t.Context(), state, s.buckets, time.Now().Add(time.Minute), []uint64{p}); err != nil {
		t.Fatal(err)
	}
	if indexOf(t, s.buckets[0]).Has(gone) {
		t.Error("a listing from before brings it back")
	}
}
