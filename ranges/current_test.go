package ranges

import (
	"net/netip"
	"sync"
	"testing"
)

func TestCurrent(t *testing.T) {
	addr := netip.MustParseAddr("15.193.0.1")
	other, err := Compile([]Prefix{{netip.MustParsePrefix("15.193.0.0/24"), Place{OCI, "us-ashburn-1"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var c Current
	if got, _ := c.Lookup(addr); got != (Place{AWS, "ap-south-1"}) || c.Table() != Embedded() {
		t.Errorf("Lookup in a new Current = %+v, want the place in the embedded table", got)
	}
	c.Replace(other)
	if got, _ := c.Lookup(addr); got != (Place{OCI, "us-ashburn-1"}) || c.Table() != other {
		t.Errorf("Lookup after Replace = %+v, want the place in the new table", got)
	}
	if n := testing.AllocsPerRun(100, func() { c.Lookup(addr) }); n != 0 {
		t.Errorf("Lookup allocates %v times, want 0", n)
	}
}

// TestReplaceDuringLookups: each lookup has the place of one of the two tables.
func TestReplaceDuringLookups(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr("15.193.0.1")
	var tables [2]Table
	for i, region := range []string{"us-ashburn-1", "us-phoenix-1-with-a-longer-name"} {
		var err error
		if tables[i], err = Compile([]Prefix{{netip.MustParsePrefix("15.193.0.0/24"), Place{OCI, region}}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	var c Current
	c.Replace(tables[0])
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 20_000 {
				if got, _ := c.Lookup(addr); got.Cloud != OCI || got.Region != "us-ashburn-1" && got.Region != "us-phoenix-1-with-a-longer-name" {
					t.Errorf("Lookup = %+v, want the place of one of the tables", got)
					return
				}
			}
		})
	}
	for i := range 20_000 {
		c.Replace(tables[i%2])
	}
	readers.Wait()
}
