package main

import (
	"net/netip"

	"archeio/ranges"
)

// trie is a plain binary trie: it has one node a bit, and the longest prefix
// matches.
type trie struct{ root4, root6 *node }

type node struct {
	children [2]*node
	place    ranges.Place
	set      bool
}

func newTrie() *trie { return &trie{new(node), new(node)} }

func (t *trie) root(a netip.Addr) *node {
	if a.Is4() {
		return t.root4
	}
	return t.root6
}

func (t *trie) insert(p netip.Prefix, place ranges.Place) {
	n, b := t.root(p.Addr()), p.Addr().AsSlice()
	for i := range p.Bits() {
		next := &n.children[b[i/8]>>(7-i%8)&1]
		if *next == nil {
			*next = new(node)
		}
		n = *next
	}
	n.place, n.set = place, true
}

func (t *trie) lookup(a netip.Addr) (place ranges.Place, ok bool) {
	b, skip := a.As16(), 0
	if a.Is4() {
		skip = 96
	}
	n := t.root(a)
	for i := skip; n != nil; i++ {
		if n.set {
			place, ok = n.place, true
		}
		if i == 128 {
			break
		}
		n = n.children[b[i/8]>>(7-i%8)&1]
	}
	return place, ok
}
