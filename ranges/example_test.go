package ranges_test

import (
	"fmt"
	"net/netip"

	"archeio/ranges"
)

func ExampleLookup() {
	place, ok := ranges.Lookup(netip.MustParseAddr("15.193.0.1"))
	fmt.Println(place, ok)
	place, ok = ranges.Lookup(netip.MustParseAddr("192.0.2.1"))
	fmt.Printf("%q %v\n", place, ok)
	// Output:
	// AWS ap-south-1 true
	// "" false
}
