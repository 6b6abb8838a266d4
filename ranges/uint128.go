package ranges

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// uint128 is an address as a 128-bit number. An IPv4 address is in the upper 32
// bits, so that prefixes of both families are cut from the top.
type uint128 struct{ hi, lo uint64 }

func uint128Of(a netip.Addr) uint128 {
	if a.Is4() {
		b := a.As4()
		return uint128{hi: uint64(binary.BigEndian.Uint32(b[:])) << 32}
	}
	b := a.As16()
	return uint128{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// addr returns the address of a family, which is given by its size in bits.
func (u uint128) addr(size int) netip.Addr {
	if size == 32 {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(u.hi>>32))))
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], u.hi)
	binary.BigEndian.PutUint64(b[8:], u.lo)
	return netip.AddrFrom16(b)
}

func (u uint128) less(v uint128) bool {
	return u.hi < v.hi || u.hi == v.hi && u.lo < v.lo
}

// truncate clears the lowest n bits of the low or high half; of the high half,
// the low half as well.
func (u uint128) truncate(n uint, low bool) uint128 {
	if low {
		return uint128{u.hi, u.lo >> n << n}
	}
	return uint128{u.hi >> n << n, 0}
}

// fill sets the bits that truncate clears.
func (u uint128) fill(n uint, low bool) uint128 {
	if low {
		return uint128{u.hi, u.lo | (1<<n - 1)}
	}
	return uint128{u.hi | (1<<n - 1), ^uint64(0)}
}

// plusBlock adds the size of a block with this prefix length, 2^(128-length),
// and reports whether the sum overflows.
func (u uint128) plusBlock(length int) (sum uint128, overflow bool) {
	var carry uint64
	switch {
	case length == 0:
		return uint128{}, true
	case length <= 64:
		u.hi, carry = bits.Add64(u.hi, 1<<(64-length), 0)
	default:
		u.lo, carry = bits.Add64(u.lo, 1<<(128-length), 0)
		u.hi, carry = bits.Add64(u.hi, 0, carry)
	}
	return u, carry != 0
}

func (u uint128) minusOne() uint128 {
	lo, borrow := bits.Sub64(u.lo, 1, 0)
	return uint128{u.hi - borrow, lo}
}
