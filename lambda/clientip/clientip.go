// Package clientip reads the address of a client out of what a trusted front
// says of it. What a client says about itself is never read here: which header
// may be believed is decided where the event is read.
//
// All functions are pure, and answer false for anything that is not one
// address: with a zone, with leading zeros, empty. An IPv4 address mapped into
// IPv6 is answered as IPv4.
package clientip

import (
	"net/netip"
	"strings"
)

// Rightmost reads an X-Forwarded-For header to which the front has appended
// its peer, as an Application Load Balancer does. Only the last entry counts:
// everything before it is what the client sent. The entry may carry a port, as
// "192.0.2.1:4711" or "[2001:db8::1]:4711".
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

// ViewerAddress reads CloudFront-Viewer-Address: the address, a colon, the
// port. IPv6 stands there without brackets, so the last colon is the one.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html
func ViewerAddress(header string) (netip.Addr, bool) {
	i := strings.LastIndexByte(header, ':')
	if i < 0 || !validPort(header[i+1:], true) {
		return netip.Addr{}, false
	}
	return Plain(header[:i])
}

// Plain reads an address without a port.
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
