package copier

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/registry"
)

// holdings are an inventory in memory. They need about 18 bytes per blob: 16 of its
// digest, and a reference to the mask of its buckets.
type holdings struct {
	digits int
	parts  []heldPart
}

// heldPart is a part of holdings.
type heldPart struct {
	piece string // that it was read from
	keys  digestKeys
	masks []uint16 // positions in table
	table []uint64
}

// newHeld packs the content of a part.
func newHeld(piece string, s snapshot) heldPart {
	h := heldPart{piece: piece, keys: make(digestKeys, 0, keySize*s.len()), masks: make([]uint16, 0, s.len())}
	known := map[uint64]int{}
	for d, mask := range s.all {
		i, ok := known[mask]
		if !ok {
			if i = len(h.table); i > 1<<16-1 {
				continue // too many combinations: it counts as missing, and is checked
			}
			known[mask] = i
			h.table = append(h.table, mask)
		}
		h.keys = append(h.keys, d[:keySize]...)
		h.masks = append(h.masks, uint16(i))
	}
	return h
}

// maskAt is mask by the position of the blob.
func (h *heldPart) maskAt(i int) uint64 { return h.table[h.masks[i]] }

// find returns the part of a blob and its position there.
func (h *holdings) find(d Digest) (part, blob int, ok bool) {
	if len(h.parts) == 0 {
		return 0, 0, false
	}
	part = partOf(d, h.digits)
	blob, ok = h.parts[part].keys.find(d)
	return part, blob, ok
}

// mask returns a bit for each bucket that has a blob.
func (h *holdings) mask(d Digest) uint64 {
	part, blob, ok := h.find(d)
	if !ok {
		return 0
	}
	return h.parts[part].maskAt(blob)
}

// Has implements Inventory. Sizes are unknown.
func (h *holdings) Has(bucket int, d Digest) (int64, bool) {
	return registry.SizeUnknown, h.mask(d)&(1<<bucket) != 0
}

// loadHoldings returns what the buckets have by the last inventory. Without one, nothing
// is known, so workers check each blob. Parts that have not changed are not read again.
func (f *Filler) loadHoldings(ctx context.Context) (*holdings, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &holdings{}
	err := f.withInventory(ctx, func(inv *inventory) error {
		err := f.readHoldings(ctx, inv)
		h = f.held
		return err
	})
	return h, err
}

// readHoldings replaces what is held by the content of an inventory. Parts that have
// changed are released before others are read, so that they are not in memory twice. After
// an error, parts that were not read are held as empty ones of no piece.
func (f *Filler) readHoldings(ctx context.Context, inv *inventory) error {
	h := &holdings{digits: inv.Digits, parts: make([]heldPart, len(inv.Parts))}
	old := f.held
	f.held = h
	if old != nil {
		unchanged := 0
		for i, p := range inv.Parts {
			if old.digits == inv.Digits && old.parts[i].piece == p.Piece {
				h.parts[i] = old.parts[i]
				unchanged++
			}
		}
		if old = nil; unchanged < len(inv.Parts)/2 {
			runtime.GC() // else the heap grows by what was held
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(partsAtOnce)
	for i, p := range inv.Parts {
		if h.parts[i].piece == p.Piece {
			continue
		}
		group.Go(func() error {
			s, err := f.piece(ctx, p.Piece)
			if err == nil {
				h.parts[i] = newHeld(p.Piece, s)
			}
			return err
		})
	}
	return group.Wait()
}
