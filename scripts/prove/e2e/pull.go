package main

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"archeio/scripts/lab/pull"
)

// pullImages pulls an image and an index, or a chart, each by tag and by digest.
func (s *testSystem) pullImages(ctx context.Context, c *client, e entryPoint, images *testImages, r *clientResult) error {
	all := []*testImage{images.single, images.multi}
	if c.charts {
		all = []*testImage{images.chart}
	}
	for _, image := range all {
		want := func(blob v1.Hash) blobSource {
			if image.unmirrored[blob.String()] {
				return blobSource{e.client.Want.Missing, e.client.Want.MissingReason}
			}
			return blobSource{e.client.Want.Present, e.client.Want.PresentReason}
		}
		for _, by := range []string{":" + image.tag, "@" + image.digest.String()} {
			if err := s.pullOne(ctx, c, e, image, by, want, r); err != nil {
				return fmt.Errorf("%s%s: %w", image.repository, shortDigest(by), err)
			}
		}
	}
	return nil
}

// pullOne pulls an image once, by ":TAG" or "@DIGEST", and checks its digest
// and the source of each blob. The first image of an operation is run.
func (s *testSystem) pullOne(ctx context.Context, c *client, e entryPoint, image *testImage, by string, want func(v1.Hash) blobSource, r *clientResult) (err error) {
	ref := e.host() + "/" + image.repository + by
	if c.remove != nil {
		defer func() {
			if e := c.remove(ctx, ref); err == nil && e != nil {
				err = fmt.Errorf("removing the pulled image: %w", e)
			}
		}()
	}
	digests, err := c.pull(ctx, ref)
	hops := s.recorder.drain()
	sources := countHops(hops, r)
	if err != nil {
		return err
	}
	digest := image.digest
	if c.onePlatform && image.native != (v1.Hash{}) {
		digest = image.native
	}
	if !strings.Contains(digests, digest.String()) {
		return fmt.Errorf("got digest %q, want %s", strings.TrimSpace(digests), digest)
	}
	if err := s.checkHops(hops); err != nil {
		return err
	}
	if e.singleHost {
		if err := checkHost(hops, e.host()); err != nil {
			return err
		}
	}
	blobs := image.nativeBlobs
	if c.allPlatforms && image.allBlobs != nil {
		blobs = image.allBlobs
	}
	if err := checkSources(sources, blobs, want); err != nil {
		return err
	}
	if c.run == nil || r.Ran {
		return nil
	}
	out, err := c.run(ctx, ref)
	if err == nil && !strings.Contains(out, pull.Hello) {
		err = fmt.Errorf("the container printed %q, want %q", out, pull.Hello)
	}
	r.Ran = err == nil
	return err
}

func checkSources(sources map[string]blobSource, blobs []v1.Hash, want func(v1.Hash) blobSource) error {
	for _, blob := range blobs {
		got, ok := sources[blob.String()]
		if !ok {
			return fmt.Errorf("blob %s was not requested", blob.Hex[:12])
		}
		if w := want(blob); got != w {
			return fmt.Errorf("blob %s came from %s, want %s", blob.Hex[:12], got, w)
		}
	}
	return nil
}
