package main

import (
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"archeio/lambda/index"
)

// prefixes are n random entries of an index.
func prefixes(n int) []uint64 {
	r := rand.New(rand.NewPCG(3, 4))
	all := make([]uint64, n)
	for i := range all {
		all[i] = r.Uint64()
	}
	return all
}

// digestOf is a digest that begins with an entry.
func digestOf(prefix uint64) string { return fmt.Sprintf("sha256:%016x%048x", prefix, 0) }

// indexed compares the lookup of digests that are in an index with what else
// one would keep them in. Each reads the digest itself.
func indexed(ctx context.Context, b *bench) error {
	all := prefixes(b.pick(1_000_000, 10_000))
	digests := make([]string, b.pick(1<<18, 1_000))
	for i := range digests {
		digests[i] = digestOf(all[i])
	}
	data, err := index.Encode(time.Now(), all) // sorts them
	if err != nil {
		return err
	}
	x, err := index.Parse(data)
	if err != nil {
		return err
	}
	set := make(map[uint64]struct{}, len(all))
	for _, p := range all {
		set[p] = struct{}{}
	}
	ours := func(part []string) (found int) {
		for _, d := range part {
			if x.Has(d) {
				found++
			}
		}
		return found
	}
	search := func(part []string) (found int) {
		for _, d := range part {
			p, _ := index.Prefix(d)
			if _, ok := slices.BinarySearch(all, p); ok {
				found++
			}
		}
		return found
	}
	hashed := func(part []string) (found int) {
		for _, d := range part {
			p, _ := index.Prefix(d)
			if _, ok := set[p]; ok {
				found++
			}
		}
		return found
	}
	// The floor: the digest is read, and one of the entries, which nobody
	// could foresee.
	load := func(part []string) (found int) {
		for _, d := range part {
			p, _ := index.Prefix(d)
			if i, _ := bits.Mul64(p, uint64(len(all))); all[i] != p+1 {
				found++
			}
		}
		return found
	}
	v, err := b.interleave(ctx, 21, 1,
		searched(digests, 2, ours), searched(digests, 2, search), searched(digests, 2, hashed),
		searched(digests, 1, ours), searched(digests, 1, load))
	if err != nil {
		return err
	}
	what := "lookup in an index of " + count(len(all)) + " blobs"
	b.report.compare(what, "binary search", ns, v[0], v[1], atMost(100))
	b.report.compare(what, "Go map", ns, v[0], v[2], budget{})
	b.report.compare(what+", when others have used the caches", "a load from as many bytes", ns, v[3], v[4], budget{})
	return nil
}

// searched is a side that finds all digests so many times, and measures the last
// time: the first, the sides before have filled the caches with what is theirs.
// Digests are read before, a part at a time, as that of a request is.
func searched(digests []string, times int, find func([]string) int) side {
	return func(context.Context) (float64, error) {
		var took time.Duration
		for range times {
			took = 0
			found := 0
			for part := range slices.Chunk(digests, 256) {
				for _, d := range part {
					index.Prefix(d)
				}
				began := time.Now()
				found += find(part)
				took += time.Since(began)
			}
			if found != len(digests) {
				return 0, fmt.Errorf("%d of %d digests were found", found, len(digests))
			}
		}
		return float64(took) / float64(len(digests)), nil
	}
}

// count writes a number of blobs in few characters.
func count(n int) string {
	switch {
	case n%1_000_000 == 0:
		return fmt.Sprintf("%d M", n/1_000_000)
	case n%1_000 == 0:
		return fmt.Sprintf("%d k", n/1_000)
	}
	return fmt.Sprint(n)
}
