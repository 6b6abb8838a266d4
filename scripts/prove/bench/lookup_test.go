package main

import (
	"testing"

	"archeio/ranges"
)

// TestTrie compares the trie with the range table.
func TestTrie(t *testing.T) {
	t.Parallel()
	all, plain := blocks(), newTrie()
	for _, one := range all {
		for _, x := range one {
			plain.insert(x.prefix, x.place)
		}
	}
	for _, a := range addresses(10_000, all) {
		got, ok := plain.lookup(a)
		if want, _ := ranges.Lookup(a); !ok || got != want {
			t.Fatalf("%s: the trie has %v, the table %v", a, got, want)
		}
	}
	for _, one := range all[:1000] {
		before := one[0].prefix.Addr().Prev()
		if !before.IsValid() {
			continue
		}
		got, ok := plain.lookup(before)
		if want, found := ranges.Lookup(before); ok != found || got != want {
			t.Errorf("%s: the trie has %v, the table %v", before, got, want)
		}
	}
}
