package ranges

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// wide is an address as a 128-bit number. IPv4 stands in its uppermost 32
// bits, so that both families are cut from the top in the same way.
type wide struct{ hi, lo uint64 }

func wideOf(a netip.Addr) wide {
	if a.Is4() {
		b := a.As4()
		return wide{hi: uint64(binary.BigEndian.Uint32(b[:])) << 32}
	}
	b := a.As16()
	return wide{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (w wide) addr(size int) netip.Addr {
	if size == 32 {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(w.hi>>32))))
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], w.hi)
	binary.BigEndian.PutUint64(b[8:], w.lo)
	return netip.AddrFrom16(b)
}

func (w wide) less(v wide) bool {
	return w.hi < v.hi || w.hi == v.hi && w.lo < v.lo
}

// truncate clears the lowest n bits of one half, and the low half below it.
func (w wide) truncate(n uint, low bool) wide {
	if low {
		return wide{w.hi, w.lo >> n << n}
	}
	return wide{w.hi >> n << n, 0}
}

// fill sets what truncate clears.
func (w wide) fill(n uint, low bool) wide {
	if low {
		return wide{w.hi, w.lo | (1<<n - 1)}
	}
	return wide{w.hi | (1<<n - 1), ^uint64(0)}
}

// plusBlock adds a block of 2^(128-length) addresses; true if that leaves the
// address space.
func (w wide) plusBlock(length int) (wide, bool) {
	var carry uint64
	switch {
	case length == 0:
		return wide{}, true
	case length <= 64:
		w.hi, carry = bits.Add64(w.hi, 1<<(64-length), 0)
	default:
		w.lo, carry = bits.Add64(w.lo, 1<<(128-length), 0)
		w.hi, carry = bits.Add64(w.hi, 0, carry)
	}
	return w, carry != 0
}

func (w wide) minusOne() wide {
	lo, borrow := bits.Sub64(w.lo, 1, 0)
	return wide{w.hi - borrow, lo}
}
