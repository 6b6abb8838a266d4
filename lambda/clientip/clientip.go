// Package clientip parses client addresses from headers that a trusted entry
// point sets. Which header is trusted is decided by the caller.
//
// All functions are pure. They report false for anything but a single address
// without a zone and without leading zeros. An IPv4-mapped IPv6 address is
// returned as IPv4.
package clientip

import (
	"net/netip"
	"strings"
)

// Rightmost returns the last address of an X-Forwarded-For header, the one that an
// Application Load Balancer appends. Everything before it comes from the client
// and is ignored. The entry may have a port, as in "192.0.2.1:4711" or
// "[2001:db8::1]:4711".
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
func Rightmost(header string) (netip.Addr, bool) {
	entry := strings.Trim(header[strings.LastIndexByte(header, ',')+1:], " \t")
	if inner, ok := strings.CutPrefix(entry, "["); ok {
		addr, port, ok := strings.Cut(inner, "]")
		if !ok || port != "" && !validPort(port[1:], port[0] == ':') || strings.IndexByte(addr, ':') < 0 {
			return netip.Addr{}, false
		}
		return Plain(addr)
	}
	if addr, port, ok := strings.Cut(entry, ":"); ok && strings.IndexByte(port, ':') < 0 {
		if !validPort(port, true) {
			return netip.Addr{}, false
		}
		return Plain(addr)
	}
	return Plain(entry)
}

// ViewerAddress returns the address of a CloudFront-Viewer-Address header, which
// is the address, a colon and the port. IPv6 addresses have no brackets there, so
// the last colon separates the port.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html
func ViewerAddress(header string) (netip.Addr, bool) {
	i := strings.LastIndexByte(header, ':')
	if i < 0 || !validPort(header[i+1:], true) {
		return netip.Addr{}, false
	}
	return Plain(header[:i])
}

// Plain returns an address that has no port.
func Plain(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

func validPort(port string, separated bool) bool {
	if !separated || port == "" || len(port) > 5 {
		return false
	}
	n := 0
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return false
		}
		n = n*10 + int(port[i]-'0')
	}
	return n <= 65535
}
