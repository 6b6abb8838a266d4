package main

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/gaissmai/bart"

	"archeio/ranges"
)

// lookup compares the range table with tables that are built at start.
func lookup(ctx context.Context, b *bench) error {
	all := blocks()
	addrs := addresses(b.pick(1_000_000, 10_000), all)
	table, fast, plain := new(bart.Table[ranges.Place]), new(bart.Fast[ranges.Place]), newTrie()
	for _, one := range all {
		for _, x := range one {
			table.Insert(x.prefix, x.place)
			fast.Insert(x.prefix, x.place)
			plain.insert(x.prefix, x.place)
		}
	}
	// Each has a loop of its own: a call through a function value would cost
	// them all the same, and so flatter the slower ones.
	ours := func(a []netip.Addr) (found int) {
		for i := range a {
			if _, ok := ranges.Lookup(a[i]); ok {
				found++
			}
		}
		return found
	}
	theirs := func(a []netip.Addr) (found int) {
		for i := range a {
			if _, ok := table.Lookup(a[i]); ok {
				found++
			}
		}
		return found
	}
	v, err := b.interleave(ctx, 15, 10,
		timed(addrs, ours),
		timed(addrs, theirs),
		timed(addrs, func(a []netip.Addr) (found int) {
			for i := range a {
				if _, ok := fast.Lookup(a[i]); ok {
					found++
				}
			}
			return found
		}),
		timed(addrs, func(a []netip.Addr) (found int) {
			for i := range a {
				if _, ok := plain.lookup(a[i]); ok {
					found++
				}
			}
			return found
		}),
	)
	if err != nil {
		return err
	}
	b.report.compare("lookup of an address", "bart Table", ns, v[0], v[1], ratioOf(0.27))
	b.report.compare("lookup of an address", "bart Fast", ns, v[0], v[2], budget{})
	b.report.compare("lookup of an address", "binary trie", ns, v[0], v[3], budget{})
	// Apart, the processor need not guess which of the two it is.
	for _, family := range []string{"IPv4", "IPv6"} {
		var some []netip.Addr
		for _, a := range addrs {
			if a.Is4() == (family == "IPv4") {
				some = append(some, a)
			}
		}
		v, err := b.interleave(ctx, 15, 10, timed(some, ours), timed(some, theirs))
		if err != nil {
			return err
		}
		b.report.compare("lookup of an "+family+" address", "bart Table", ns, v[0], v[1], budget{})
	}
	own, other := 0.0, 0.0
	for _, a := range addrs[:1000] {
		own += testing.AllocsPerRun(1, func() { ranges.Lookup(a) })
		other += testing.AllocsPerRun(1, func() { table.Lookup(a) })
	}
	b.report.compare("lookup, allocations of a thousand", "bart Table", allocations, []float64{own}, []float64{other}, atMost(0))
	return nil
}

// timed is a side that finds every address, a tenth of them in each turn.
func timed(addrs []netip.Addr, find func([]netip.Addr) int) side {
	next, turn := 0, len(addrs)/10
	return func(context.Context) (float64, error) {
		part := addrs[next : next+turn]
		next = (next + turn) % (10 * turn)
		began := time.Now()
		found := find(part)
		took := time.Since(began)
		if found != turn {
			return 0, fmt.Errorf("%d of %d addresses were found", found, turn)
		}
		return float64(took) / float64(turn), nil
	}
}
