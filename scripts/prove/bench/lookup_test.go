package main

import (
	"testing"

	"archeio/ranges"
	"archeio/scripts/prove/bench/peers"
)

// TestTrie compares the trie with the range table.
func TestTrie(t *testing.T) {
	t.Parallel()
	all := peers.Blocks()
	plain := peers.NewTrie(all)
	for _, a := range addresses(10_000, all) {
		got, ok := plain.Lookup(a)
		if want, _ := ranges.Lookup(a); !ok || got != want {
			t.Fatalf("%s: the trie has %v, the table %v", a, got, want)
		}
	}
	for _, one := range all[:1000] {
		before := one[0].Prefix.Addr().Prev()
		if !before.IsValid() {
			continue
		}
		got, ok := plain.Lookup(before)
		if want, found := ranges.Lookup(before); ok != found || got != want {
			t.Errorf("%s: the trie has %v, the table %v", before, got, want)
		}
	}
}
