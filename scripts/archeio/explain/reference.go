package explain

import (
	"fmt"
	"strings"

	"archeio/lambda/oci"
)

// pathOf returns the path of the first request of a client that pulls what, an image
// reference as docker and crane accept it. A path, or the path of a URL, is returned as
// it is. The host of a reference or URL is returned separately, empty if there is none.
func pathOf(what string) (path, host string, err error) {
	scheme, rest, hasScheme := strings.Cut(what, "://")
	switch {
	case strings.HasPrefix(what, "/"):
		return what, "", nil
	case what == "v2" || strings.HasPrefix(what, "v2/"):
		return "/" + what, "", nil
	case !hasScheme:
		return requestOf(what, what)
	}
	switch strings.ToLower(scheme) {
	case "docker", "oci":
		return requestOf(rest, what)
	case "http", "https":
		host, path, _ = strings.Cut(rest, "/")
		path, _, _ = strings.Cut("/"+path, "#")
		if host != "" {
			return path, host, nil
		}
	}
	return "", "", invalid(what)
}

// requestOf returns the path and the host for an image reference, which is all or the end
// of what.
func requestOf(image, what string) (path, host string, err error) {
	path, host, ok := oci.ImagePath(image)
	if !ok {
		return "", "", invalid(what)
	}
	return path, host, nil
}

func invalid(what string) error {
	return fmt.Errorf("%q: want a path such as /v2/pause/manifests/3.9, or an image reference such as pause:3.9", what)
}
