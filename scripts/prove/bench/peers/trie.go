package peers

import (
	"net/netip"

	"archeio/ranges"
)

// Trie is a plain binary trie: it has one node a bit, and the longest prefix
// matches. It is safe for concurrent use.
type Trie struct{ root4, root6 *node }

type node struct {
	children [2]*node
	place    ranges.Place
	set      bool
}

// NewTrie returns a trie of prefixes.
func NewTrie(blocks [][]Block) *Trie {
	t := &Trie{new(node), new(node)}
	for _, one := range blocks {
		for _, x := range one {
			t.insert(x.Prefix, x.Place)
		}
	}
	return t
}

func (t *Trie) root(a netip.Addr) *node {
	if a.Is4() {
		return t.root4
	}
	return t.root6
}

func (t *Trie) insert(p netip.Prefix, place ranges.Place) {
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

// Lookup returns the place of the longest prefix with an address, and whether there
// is one.
func (t *Trie) Lookup(a netip.Addr) (place ranges.Place, ok bool) {
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
