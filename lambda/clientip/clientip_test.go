package clientip

import (
	"net/netip"
	"testing"
)

// tests have the address that each function must return; "" is none.
var tests = []struct {
	name, text               string
	rightmost, viewer, plain string
}{
	{"empty", "", "", "", ""},
	{"ipv4", "192.0.2.1", "192.0.2.1", "", "192.0.2.1"},
	{"ipv4-port", "192.0.2.1:4711", "192.0.2.1", "192.0.2.1", ""},
	{"ipv6", "2001:db8::1", "2001:db8::1", "", "2001:db8::1"},
	{"ipv6-then-port", "2001:db8::8a2e:370:7334:46532", "", "2001:db8::8a2e:370:7334", ""},
	{"ipv6-then-short-port", "2001:db8::8a2e:370:7334:465", "2001:db8::8a2e:370:7334:465", "2001:db8::8a2e:370:7334", "2001:db8::8a2e:370:7334:465"},
	{"ipv6-full-then-port", "2001:db8:1:2:3:4:5:6:46532", "", "2001:db8:1:2:3:4:5:6", ""},
	{"brackets", "[2001:db8::1]", "2001:db8::1", "", ""},
	{"brackets-port", "[2001:db8::1]:4711", "2001:db8::1", "", ""},
	{"brackets-ipv4", "[192.0.2.1]:4711", "", "", ""},
	{"brackets-open", "[2001:db8::1", "", "", ""},
	{"brackets-trailing", "[2001:db8::1]x", "", "", ""},
	{"brackets-no-port", "[2001:db8::1]:", "", "", ""},
	{"mapped", "::ffff:192.0.2.1", "192.0.2.1", "", "192.0.2.1"},
	{"mapped-hex", "::ffff:c000:201", "192.0.2.1", "::ffff:c000", "192.0.2.1"},
	{"mapped-brackets", "[::ffff:192.0.2.1]:80", "192.0.2.1", "", ""},
	{"mapped-port", "::ffff:192.0.2.1:80", "", "192.0.2.1", ""},
	{"zone", "fe80::1%eth0", "", "", ""},
	{"zone-port", "fe80::1%eth0:80", "", "", ""},
	{"zone-brackets", "[fe80::1%eth0]:80", "", "", ""},
	{"leading-zero", "192.0.02.1", "", "", ""},
	{"too-large", "192.0.2.256", "", "", ""},
	{"three-parts", "192.0.2", "", "", ""},
	{"port-too-large", "192.0.2.1:65536", "", "", ""},
	{"port-largest", "192.0.2.1:65535", "192.0.2.1", "192.0.2.1", ""},
	{"port-long", "192.0.2.1:000080", "", "", ""},
	{"port-sign", "192.0.2.1:+80", "", "", ""},
	{"port-empty", "192.0.2.1:", "", "", ""},
	{"spaces", " 192.0.2.1\t", "192.0.2.1", "", ""},
	{"host", "localhost", "", "", ""},
	{"unknown", "unknown", "", "", ""},
	{"several", "203.0.113.1, 198.51.100.2,192.0.2.1", "192.0.2.1", "", ""},
	{"several-last-broken", "203.0.113.1, 198.51.100.2, x", "", "", ""},
	{"several-last-empty", "203.0.113.1,", "", "", ""},
	{"several-ports", "203.0.113.1:1, [2001:db8::1]:2", "2001:db8::1", "", ""},
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range tests {
		for _, f := range []struct {
			name string
			read func(string) (netip.Addr, bool)
			want string
		}{
			{"rightmost", Rightmost, tt.rightmost},
			{"viewer", ViewerAddress, tt.viewer},
			{"plain", Plain, tt.plain},
		} {
			t.Run(tt.name+"/"+f.name, func(t *testing.T) {
				var want netip.Addr
				if f.want != "" {
					want = netip.MustParseAddr(f.want)
				}
				if got, ok := f.read(tt.text); got != want || ok != want.IsValid() {
					t.Errorf("%q: got %v, %v; want %v", tt.text, got, ok, want)
				}
			})
		}
	}
}

// FuzzAddress checks that a parsed address has no zone, is not IPv4-mapped and
// parses again to itself, and that entries before a comma, which a client can
// forge, never change the result.
func FuzzAddress(f *testing.F) {
	for _, tt := range tests {
		f.Add(tt.text, tt.text)
	}
	f.Fuzz(func(t *testing.T, text, before string) {
		for name, read := range map[string]func(string) (netip.Addr, bool){"rightmost": Rightmost, "viewer": ViewerAddress, "plain": Plain} {
			got, ok := read(text)
			if ok != got.IsValid() || got.Zone() != "" || got.Is4In6() {
				t.Fatalf("%s(%q) = %v, %v", name, text, got, ok)
			}
			if !ok {
				continue
			}
			if again, ok := read(formatted[name](got)); !ok || again != got {
				t.Errorf("%s(%q) = %v, which parses again as %v", name, text, got, again)
			}
		}
		alone, _ := Rightmost(text)
		if after, _ := Rightmost(before + "," + text); after != alone {
			t.Errorf("Rightmost(%q) = %v, and %v with %q before it", text, alone, after, before)
		}
	})
}

var formatted = map[string]func(netip.Addr) string{
	"rightmost": func(a netip.Addr) string { return netip.AddrPortFrom(a, 80).String() },
	"viewer":    func(a netip.Addr) string { return a.String() + ":80" },
	"plain":     netip.Addr.String,
}
