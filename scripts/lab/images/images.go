// Package images publishes many images that share layers, as those of a real registry
// do.
package images

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// Published is what Publish has published.
type Published struct {
	// Repositories are the names below the source, each with up to ten tags.
	Repositories []string
	// Blobs counts the different layers and configs, Bytes is their size.
	Blobs int
	Bytes int64
}

// Publish publishes n images below a source, HOST/PREFIX; n must be a multiple of three.
// Each has a config, two or three layers of its own, and ten that it shares with two
// other images. size returns the size in bytes of the next layer.
func Publish(ctx context.Context, source string, n int, size func(*rand.Rand) int) (*Published, error) {
	content := rand.NewChaCha8([32]byte{2})
	random := rand.New(content)
	p := &Published{}
	layer := func() v1.Layer {
		data := make([]byte, size(random))
		content.Read(data)
		p.Blobs++
		p.Bytes += int64(len(data))
		return static.NewLayer(data, types.DockerLayer)
	}
	third := n / 3 // of the images, which have all of the shared layers
	shared := make([]v1.Layer, 10*third)
	for i := range shared {
		shared[i] = layer()
	}
	pusher, err := remote.NewPusher()
	if err != nil {
		return nil, err
	}
	const parallel = 16
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range n {
		if i == third {
			if err := group.Wait(); err != nil {
				return nil, err
			}
			group, groupCtx = errgroup.WithContext(ctx)
			group.SetLimit(parallel)
		}
		var layers []v1.Layer
		for range 2 + (i%3+2)/4 {
			layers = append(layers, layer())
		}
		for j := range 10 {
			// The registry mounts the blobs that it has.
			from, err := name.ParseReference(fmt.Sprintf("%s/team-%d/app:v0", source, i%third/10))
			if err != nil {
				return nil, err
			}
			l := shared[(10*i+j)%len(shared)]
			if i >= third {
				l = &remote.MountableLayer{Layer: l, Reference: from}
			}
			layers = append(layers, l)
		}
		image, err := mutate.AppendLayers(empty.Image, layers...)
		if err != nil {
			return nil, err
		}
		config, err := image.RawConfigFile()
		if err != nil {
			return nil, err
		}
		p.Blobs++
		p.Bytes += int64(len(config))
		if i%10 == 0 {
			p.Repositories = append(p.Repositories, fmt.Sprintf("team-%d/app", i/10))
		}
		ref, err := name.ParseReference(fmt.Sprintf("%s/team-%d/app:v%d", source, i/10, i%10))
		if err != nil {
			return nil, err
		}
		group.Go(func() error { return pusher.Push(groupCtx, ref, image) })
	}
	return p, group.Wait()
}
