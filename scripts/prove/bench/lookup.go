package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/gaissmai/bart"

	"archeio/ranges"
	"archeio/scripts/prove/bench/peers"
)

// measureLookup compares the range table with tables that are built at start.
func measureLookup(ctx context.Context, b *bench) error {
	all := peers.Blocks()
	addrs := addresses(b.pick(1_000_000, 20_000), all)
	t := alternatives()
	v, err := b.interleave(ctx, 15, 10,
		timeLookups(addrs, findOurs), timeLookups(addrs, t.findBart), timeLookups(addrs, t.findBartFast), timeLookups(addrs, t.findTrie))
	if err != nil {
		return err
	}
	const what, bartTable = "address lookup", "bart Table"
	b.report.compare(what, bartTable, ns, v[0], v[1], ratioOf(0.4))
	b.report.compare(what, "bart Fast", ns, v[0], v[2], budget{})
	b.report.compare(what, "binary trie", ns, v[0], v[3], budget{})
	// With one family only, the processor does not mispredict it.
	for _, family := range []string{"IPv4", "IPv6"} {
		var some []netip.Addr
		for _, a := range addrs {
			if a.Is4() == (family == "IPv4") {
				some = append(some, a)
			}
		}
		v, err := b.interleave(ctx, 15, 10, timeLookups(some, findOurs), timeLookups(some, t.findBart))
		if err != nil {
			return err
		}
		b.report.compare(family+" "+what, bartTable, ns, v[0], v[1], budget{})
	}
	own, other := 0.0, 0.0
	for _, a := range addrs[:1000] {
		own += testing.AllocsPerRun(1, func() { ranges.Lookup(a) })
		other += testing.AllocsPerRun(1, func() { t.bart.Lookup(a) })
	}
	b.report.compare(what+", allocations of 1,000", bartTable, allocations, []float64{own}, []float64{other}, atMost(0))
	return nil
}

// tables are the range table's alternatives, with the same contents.
type tables struct {
	bart     *bart.Table[ranges.Place]
	bartFast *bart.Fast[ranges.Place]
	trie     *peers.Trie
}

// alternatives returns the tables, which are filled once.
var alternatives = sync.OnceValue(func() *tables {
	all := peers.Blocks()
	t := &tables{new(bart.Table[ranges.Place]), new(bart.Fast[ranges.Place]), peers.NewTrie(all)}
	for _, one := range all {
		for _, x := range one {
			t.bart.Insert(x.Prefix, x.Place)
			t.bartFast.Insert(x.Prefix, x.Place)
		}
	}
	return t
})

// The finders return how many addresses are found. Each has a loop of its own: a
// call through a function value would add the same time to all of them, and so
// favor the slower ones.

func findOurs(addrs []netip.Addr) (found int) {
	for i := range addrs {
		if _, ok := ranges.Lookup(addrs[i]); ok {
			found++
		}
	}
	return found
}

func (t *tables) findBart(addrs []netip.Addr) (found int) {
	for i := range addrs {
		if _, ok := t.bart.Lookup(addrs[i]); ok {
			found++
		}
	}
	return found
}

func (t *tables) findBartFast(addrs []netip.Addr) (found int) {
	for i := range addrs {
		if _, ok := t.bartFast.Lookup(addrs[i]); ok {
			found++
		}
	}
	return found
}

func (t *tables) findTrie(addrs []netip.Addr) (found int) {
	for i := range addrs {
		if _, ok := t.trie.Lookup(addrs[i]); ok {
			found++
		}
	}
	return found
}

// timeLookups returns a side that finds every address, a tenth of them a turn.
func timeLookups(addrs []netip.Addr, find func([]netip.Addr) int) side {
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
