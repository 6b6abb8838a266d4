package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"archeio/lambda/config"
	"archeio/lambda/index"
	"archeio/scripts/lab/system"
)

// publish pushes the image to the upstream, and puts its blobs, the probes and an
// index of both into the mirrors.
func (p *puller) publish(ctx context.Context, s *system.System) (err error) {
	// The configuration is a blob as well.
	if p.image, err = random.Image(blobSize, int64(p.blobs-1)); err != nil {
		return err
	}
	upstream, err := url.Parse(s.Upstream)
	if err != nil {
		return err
	}
	ref, err := name.NewTag(upstream.Host+"/"+system.Prefix+"/bench:v1", name.Insecure)
	if err != nil {
		return err
	}
	if err := remote.Write(ref, p.image, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("pushing the image: %w", err)
	}
	var digests []string
	if err := eachBlob(p.image, func(blob []byte) error {
		digests = append(digests, fmt.Sprintf("sha256:%x", sha256.Sum256(blob)))
		return s.PutBlob(ctx, blob)
	}); err != nil {
		return err
	}
	for i := range 16 {
		blob := fmt.Append(nil, "probe ", i)
		p.probes = append(p.probes, fmt.Sprintf("sha256:%x", sha256.Sum256(blob)))
		if err := s.PutBlob(ctx, blob); err != nil {
			return err
		}
	}
	return putIndex(ctx, s, append(digests, p.probes...))
}

// putIndex puts an index into the buckets.
func putIndex(ctx context.Context, s *system.System, blobs []string) error {
	data, err := index.Encode(time.Now(), system.Regions[:], func(yield func(index.Digest) bool) {
		for _, digest := range blobs {
			if d, _ := index.ParseDigest(digest); !yield(d) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	for _, bucket := range system.Buckets {
		if _, err := s.S3(system.Regions[0]).PutObject(ctx, &s3.PutObjectInput{
			Bucket: &bucket, Key: aws.String(config.BlobPrefix + index.Name), Body: bytes.NewReader(data),
		}); err != nil {
			return fmt.Errorf("putting the index into bucket %q: %w", bucket, err)
		}
	}
	return nil
}

// eachBlob calls use with every blob of an image, which is read to its end and so
// checked against its digest.
func eachBlob(image v1.Image, use func([]byte) error) error {
	config, err := image.RawConfigFile()
	if err != nil {
		return err
	}
	if err := use(config); err != nil {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		r, err := layer.Compressed()
		if err != nil {
			return err
		}
		blob, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			return err
		}
		if err := use(blob); err != nil {
			return err
		}
	}
	return nil
}
