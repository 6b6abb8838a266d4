package explain

import (
	"fmt"
	"strings"
)

// pathOf returns the path that a client asks for first when it pulls what, an
// image reference as docker and crane accept it; a path is returned as it is. The host of a
// reference is returned separately, empty if there is none.
//
// The grammar is that of github.com/distribution/reference: what stands before
// the first slash is a host if it has a dot or a port, or is localhost.
func pathOf(what string) (path, host string, err error) {
	if strings.HasPrefix(what, "/") {
		return what, "", nil
	}
	name, reference := what, "latest"
	if at := strings.IndexByte(what, '@'); at >= 0 {
		// With a tag and a digest, clients ask for the digest.
		name, reference = what[:at], what[at+1:]
		if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
			name = name[:colon]
		}
	} else if colon := strings.LastIndexByte(what, ':'); colon > strings.LastIndexByte(what, '/') {
		name, reference = what[:colon], what[colon+1:]
	}
	if first, rest, ok := strings.Cut(name, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		host, name = first, rest
	}
	if name == "" || reference == "" {
		return "", "", fmt.Errorf("%q: want a path such as /v2/pause/manifests/3.9, or an image reference such as pause:3.9", what)
	}
	return "/v2/" + name + "/manifests/" + reference, host, nil
}
