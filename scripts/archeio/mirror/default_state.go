package mirror

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"archeio/lambda/copier"
	"archeio/lambda/registry"
)

// defaultState returns a folder for the state of a source in the user's cache folder,
// and creates it. Each registry and prefix has a folder of its own.
func defaultState(source *registry.Client) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "archeio", stateName(source))
	return folder, os.MkdirAll(folder, 0o700)
}

// tempDir returns a folder for temporary files: that of the state, or the user's cache
// folder, because that of the operating system may be in memory. It is empty if there is
// neither.
func (m *mirrors) tempDir() string {
	dir := ""
	if folder, ok := m.state.(copier.Folder); ok {
		dir = string(folder)
	} else if cache, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(cache, "archeio")
	}
	if os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	return dir
}

// maxStateName is shorter than the 255 bytes that file systems allow in a name.
const maxStateName = 200

// stateName returns a file name for a source, another one for each.
func stateName(source *registry.Client) string {
	name := url.QueryEscape(source.Host() + "/" + source.Repository(""))
	if len(name) > maxStateName {
		sum := sha256.Sum256([]byte(name))
		name = fmt.Sprintf("%s-%x", name[:maxStateName-17], sum[:8])
	}
	return name
}
