package pull

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Repository and Tag are the reference that clients pull. The tag earlier is an
// image that was published before.
const Repository, Tag, earlier = "hello", "v2", "v1"

// Hello is what the image prints when it is run.
const Hello = "hello from an image that was pulled through archeio"

const programSource = `package main

import "fmt"

func main() { fmt.Println(%q) }
`

// Image is a published image.
type Image struct {
	Digest v1.Hash
	// Blobs are the layers and the config. Missing is the one of them that was
	// pushed after the mirrors were filled.
	Blobs   []v1.Hash
	Missing v1.Hash
}

// NewImage returns an image for this machine's architecture. It is the same image
// each time. It compiles the program in it once a process.
func NewImage(ctx context.Context) (v1.Image, error) {
	binary, err := hello.compile(ctx)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(1, 1))
	data := make([]byte, 256<<10)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	for _, file := range []struct {
		name string
		mode int64
		data []byte
	}{
		{"hello", 0o755, binary},
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/:/hello\n")},
		{"usr/share/hello/data", 0o644, data},
	} {
		layer, err := Layer(file.name, file.mode, file.data)
		if err != nil {
			return nil, err
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint = []string{"/hello"}
	return mutate.ConfigFile(image, config)
}

// Publish pushes an image to repository, which includes the registry's host,
// calls fill to fill the mirrors, and then pushes the image that is returned. The
// two images share all layers, so the mirrors miss only the second's config.
func Publish(ctx context.Context, repository string, fill func(context.Context) error) (*Image, error) {
	first, err := NewImage(ctx)
	if err != nil {
		return nil, err
	}
	config, err := first.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Config.Labels = map[string]string{"org.opencontainers.image.version": Tag}
	second, err := mutate.ConfigFile(first, config)
	if err != nil {
		return nil, err
	}
	if err := push(ctx, repository+":"+earlier, first); err != nil {
		return nil, err
	}
	if err := fill(ctx); err != nil {
		return nil, err
	}
	if err := push(ctx, repository+":"+Tag, second); err != nil {
		return nil, err
	}
	return describe(second)
}

func push(ctx context.Context, tag string, image v1.Image) error {
	ref, err := name.NewTag(tag, name.Insecure)
	if err != nil {
		return err
	}
	if err := remote.Write(ref, image, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("pushing the image: %w", err)
	}
	return nil
}

func describe(image v1.Image) (*Image, error) {
	digest, err := image.Digest()
	if err != nil {
		return nil, err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	published := &Image{Digest: digest, Missing: manifest.Config.Digest}
	for _, layer := range manifest.Layers {
		published.Blobs = append(published.Blobs, layer.Digest)
	}
	published.Blobs = append(published.Blobs, manifest.Config.Digest)
	return published, nil
}

// hello is the program of the image.
var hello program

type program struct {
	mu     sync.Mutex
	binary []byte // nil until it is compiled
}

func (p *program) compile(ctx context.Context) (_ []byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.binary == nil {
		p.binary, err = compile(ctx)
	}
	return p.binary, err
}

func compile(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "archeio-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "main.go")
	if err := os.WriteFile(file, fmt.Appendf(nil, programSource, Hello), 0o644); err != nil {
		return nil, err
	}
	binary := filepath.Join(dir, "hello")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, file)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the program of the image: %w: %s", err, bytes.ReplaceAll(bytes.TrimSpace(out), []byte("\n"), []byte("; ")))
	}
	return os.ReadFile(binary)
}

// Layer returns a layer with one file.
func Layer(name string, mode int64, data []byte) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}
