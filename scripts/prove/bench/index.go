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

// prefixes returns n random entries of an index.
func prefixes(n int) []uint64 {
	r := rand.New(rand.NewPCG(3, 4))
	all := make([]uint64, n)
	for i := range all {
		all[i] = r.Uint64()
	}
	return all
}

// digestOf returns a digest that begins with an entry.
func digestOf(prefix uint64) string { return fmt.Sprintf("sha256:%016x%048x", prefix, 0) }

// measureIndex compares the lookup of digests in an index with a binary search and
// with a map. Each parses the digest itself.
func measureIndex(ctx context.Context, b *bench) error {
	all := prefixes(b.pick(1_000_000, 10_000))
	digests := make([]string, b.pick(1<<18, 1_000))
	for i := range digests {
		digests[i] = digestOf(all[i])
	}
	data, err := encodeIndex([]string{"us-east-1"}, digestsOf(all))
	if err != nil {
		return err
	}
	slices.Sort(all)
	x, err := index.Parse(data)
	if err != nil {
		return err
	}
	entries, set := sortedEntries(all), make(entrySet, len(all))
	for _, p := range all {
		set[p] = struct{}{}
	}
	ours := func(part []string) int { return findInIndex(x, part) }
	v, err := b.interleave(ctx, 21, 1,
		timeSearches(digests, 2, ours), timeSearches(digests, 2, entries.search), timeSearches(digests, 2, set.find),
		timeSearches(digests, 1, ours), timeSearches(digests, 1, entries.load))
	if err != nil {
		return err
	}
	what := "index lookup, " + formatCount(len(all)) + " blobs"
	b.report.compare(what, "binary search", ns, v[0], v[1], atMost(100))
	b.report.compare(what, "Go map", ns, v[0], v[2], budget{})
	b.report.compare(what+", cold CPU caches", "one load from as many bytes", ns, v[3], v[4], budget{})
	return nil
}

// Each of these returns how many digests it has found.

func findInIndex(x *index.Index, digests []string) (found int) {
	for _, d := range digests {
		if x.Has(d) {
			found++
		}
	}
	return found
}

type entrySet map[uint64]struct{}

func (s entrySet) find(digests []string) (found int) {
	for _, d := range digests {
		p, _ := index.Prefix(d)
		if _, ok := s[p]; ok {
			found++
		}
	}
	return found
}

type sortedEntries []uint64

func (s sortedEntries) search(digests []string) (found int) {
	for _, d := range digests {
		p, _ := index.Prefix(d)
		if _, ok := slices.BinarySearch(s, p); ok {
			found++
		}
	}
	return found
}

// load does the least that is possible: it parses the digest and loads one entry,
// which the processor cannot predict.
func (s sortedEntries) load(digests []string) (found int) {
	for _, d := range digests {
		p, _ := index.Prefix(d)
		if i, _ := bits.Mul64(p, uint64(len(s))); s[i] != p+1 {
			found++
		}
	}
	return found
}

// timeSearches returns a side that finds all digests so many times, and measures
// the last time: the first time, the CPU caches have what the side before used. The
// digests are parsed before, a part at a time, as is that of a request.
func timeSearches(digests []string, times int, find func([]string) int) side {
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
