package copier

import (
	"context"
	"math"
	"runtime"
	"slices"
	"testing"
)

// TestListBuckets tests that a listing has what the buckets have, with their sizes, and
// that a page is requested once.
func TestListBuckets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		blobs  int
		digits int
		pages  int64 // of a bucket at most
	}{
		{"empty", 0, 0, 1},
		{"one-page", 900, 0, 1},
		{"pages", 2500, 0, 3},
		{"parts", 70_000, 1, 70 + 2*16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, all, _, _ := generate(3, max(tt.blobs, 1))
			sizes := func(bucket, i int) int64 {
				switch {
				case i == 7:
					return math.MaxUint32 + int64(bucket)
				case i == 8 && bucket == 1:
					return 5
				}
				return int64(i)
			}
			for bucket, g := range all {
				f.Buckets[bucket].pages = func(digits, after string, yield func(Digest, int64)) (string, error) {
					return g.page(digits, after, func(d Digest, _ int64) {
						if i := g.at(d); i < tt.blobs && (bucket != 2 || i%10 != 3) {
							yield(d, sizes(bucket, i))
						}
					})
				}
			}
			o := Options{Buckets: f.Buckets}
			o.fill()
			l, err := listBuckets(t.Context(), &o)
			if err != nil || l.digits != tt.digits {
				t.Fatalf("%d digits, error %v, want %d", l.digits, err, tt.digits)
			}
			for i := range tt.blobs {
				for bucket, g := range all {
					size, has := l.Has(bucket, g.digest(i))
					if want := bucket != 2 || i%10 != 3; has != want || has && size != sizes(bucket, i) {
						t.Fatalf("blob %d in bucket %d: %v of %d bytes, want %v of %d", i, bucket, has, size, want, sizes(bucket, i))
					}
				}
			}
			for i, g := range all {
				if n := g.pages.Load(); n > tt.pages {
					t.Errorf("%d pages of bucket %d, want at most %d", n, i, tt.pages)
				}
			}
			if _, has := l.Has(0, Digest{1, 2, 3}); has {
				t.Error("a bucket has a blob that it does not have")
			}
		})
	}
}

// TestListBucketsMemory tests that a listing of more buckets does not need more memory,
// nor what manifests refer to in it.
func TestListBucketsMemory(t *testing.T) {
	const blobs = 100_000
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, buckets := range []int{2, 31} {
		f, all, _, _ := generate(buckets, blobs)
		o := Options{Buckets: f.Buckets, Inventory: &holdings{}}
		o.fill()
		before := heap()
		l, err := listBuckets(t.Context(), &o)
		if err != nil {
			t.Fatal(err)
		}
		r := newReferences(l)
		for i := range blobs {
			if everywhere, isNew := r.add(all[0].digest(i), 1, "app"); !everywhere || !isNew {
				t.Fatalf("blob %d is everywhere: %v, new: %v", i, everywhere, isNew)
			}
		}
		if used := heap() - before; used > 32*blobs {
			t.Errorf("%d bytes with %d buckets, want about %d", used, buckets, 26*blobs)
		}
		runtime.KeepAlive(r)
	}
}

// TestVerifyMemory tests that blobs are hashed while the bucket is listed: only a page is
// listed ahead.
func TestVerifyMemory(t *testing.T) {
	t.Parallel()
	f, all, _, _ := generate(2, 1500)
	var ahead []int
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := VerifyOptions{Buckets: f.Buckets, Parallel: 1}
	var last Progress
	o.Progress = func(p Progress) {
		last = p
		ahead = append(ahead, p.Total-p.Done)
	}
	r, err := Verify(ctx, o)
	if err != nil || r.Checked != 3000 || r.Of != 3000 || len(r.Errors) != 3000 {
		t.Fatalf("checked %d of %d, error %v", r.Checked, r.Of, err)
	}
	if most := slices.Max(ahead); most > 2 || last.Done != last.Total {
		t.Errorf("%d blobs were listed ahead, and at the end %+v", most, last)
	}
	if n := all[0].pages.Load(); n != 2 {
		t.Errorf("%d pages of the first bucket, want 2", n)
	}
}

// TestReferences tests which blobs manifests refer to, and that only what a bucket is
// missing, or has with another size, is kept with its image.
func TestReferences(t *testing.T) {
	t.Parallel()
	f, all, _, _ := generate(2, 1000)
	all[1].missing = map[Digest]bool{all[0].digest(5): true}
	o := Options{Buckets: f.Buckets}
	o.fill()
	l, err := listBuckets(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	r := newReferences(l)
	for _, tt := range []struct {
		name              string
		digest            Digest
		size              int64
		everywhere, isNew bool
	}{
		{"everywhere", all[0].digest(1), 1, true, true},
		{"twice", all[0].digest(1), 1, true, false},
		{"of-another-size", all[0].digest(2), 2, false, true},
		{"of-unknown-size", all[0].digest(3), -1, false, true},
		{"in-one", all[0].digest(5), 1, false, true},
		{"in-none", Digest{1, 2, 3}, 1, false, false},
	} {
		if everywhere, isNew := r.add(tt.digest, tt.size, tt.name); everywhere != tt.everywhere || isNew != tt.isNew {
			t.Errorf("%s: everywhere %v, new %v", tt.name, everywhere, isNew)
		}
	}
	if repository, size, ok := r.find(all[0].digest(1)); repository != "everywhere" || size != 1 || !ok {
		t.Errorf("%q of %d bytes, %v", repository, size, ok)
	}
	p := &Plan{references: r}
	p.countUnreferenced(Options{Buckets: f.Buckets, Withdrawn: Withdrawn{all[0].digest(9).String(): true}})
	if got := p.Unreferenced[1]; got != (Blobs{995, 995}) {
		t.Errorf("unreferenced %+v, want 1000 blobs but 4 and a withdrawn one", got)
	}
}
