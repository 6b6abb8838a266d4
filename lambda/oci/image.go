package oci

import "strings"

// ImagePath returns the path of the first request of a client that pulls an image
// reference, as docker and crane accept it, and the host in it, which may be empty.
// The path is not parsed yet. It reports false if there is no name or no reference.
//
// The grammar is that of github.com/distribution/reference: what is in front of the
// first slash is a host if it has a dot or a port, or is localhost.
func ImagePath(image string) (path, host string, ok bool) {
	name, reference := image, "latest"
	if at := strings.IndexByte(image, '@'); at >= 0 {
		// With a tag and a digest, clients request the digest.
		name, reference = image[:at], image[at+1:]
		if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
			name = name[:colon]
		}
	} else if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		name, reference = image[:colon], image[colon+1:]
	}
	if first, rest, ok := strings.Cut(name, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		host, name = first, rest
	}
	if name == "" || reference == "" {
		return "", "", false
	}
	return "/v2/" + name + "/manifests/" + reference, host, true
}
