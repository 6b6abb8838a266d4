package ranges

import (
	"net/netip"
	"sync/atomic"
)

// Current is the table that a process uses: the embedded one, until it is
// replaced. The zero value is ready to use. It must not be copied.
type Current struct{ table atomic.Pointer[Table] }

// Lookup is the package's [Lookup] in the current table. One lookup uses one
// table, also while it is replaced. It does not allocate.
func (c *Current) Lookup(addr netip.Addr) (Place, bool) {
	if t := c.table.Load(); t != nil {
		return lookup(t.data, addr)
	}
	return lookup(embedded, addr)
}

// Table returns the current table.
func (c *Current) Table() Table {
	if t := c.table.Load(); t != nil {
		return *t
	}
	return Embedded()
}

// Replace makes t the current table. Places that earlier lookups returned stay
// valid; they keep the earlier table in memory while they are in use.
func (c *Current) Replace(t Table) { c.table.Store(&t) }
