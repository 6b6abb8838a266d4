package copier

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"archeio/lambda/registry"
)

// Presence is whether a bucket has a blob.
type Presence struct {
	Has bool
	// Size is in bytes, Since the time at which the object was written.
	Size  int64
	Since time.Time
	// Err is the reason why it is unknown whether the bucket has it.
	Err error
}

// presence checks for a blob. Unlike for Stat, a 403 is unknown.
func (b *Bucket) presence(ctx context.Context, digest string) Presence {
	o, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.Name, Key: key(digest)})
	switch {
	case err == nil:
		return Presence{Has: true, Size: aws.ToInt64(o.ContentLength), Since: aws.ToTime(o.LastModified).UTC()}
	case status(err) == http.StatusNotFound:
		return Presence{}
	}
	return Presence{Err: b.explain("checking "+digest, err)}
}

// Where checks for blobs in buckets, with one request for each. It returns the
// presences of each bucket, in the order of the digests.
func Where(ctx context.Context, buckets []*Bucket, digests []string) ([][]Presence, error) {
	out := make([][]Presence, len(buckets))
	group := &errgroup.Group{}
	group.SetLimit(16)
	for i, b := range buckets {
		out[i] = make([]Presence, len(digests))
		for n, digest := range digests {
			group.Go(func() error {
				out[i][n] = b.presence(ctx, digest)
				return nil
			})
		}
	}
	_ = group.Wait() // errors are in the presences
	return out, context.Cause(ctx)
}

// ImageBlobs returns the blobs of an image of the source, with all platforms, and the
// number of its manifests. It returns an error if a manifest cannot be read.
func ImageBlobs(ctx context.Context, o Options, repository string, image registry.Entry) (blobs []registry.Blob, manifests int, err error) {
	o.Manifests = &ManifestCache{}
	o.fill()
	w := newWalk(o)
	w.entries(ctx, repository, []registry.Entry{image}, false, nil)
	if err := errors.Join(append(w.plan.Errors, w.plan.Absent...)...); err != nil {
		return nil, 0, err
	}
	for _, b := range w.plan.blobs {
		blobs = append(blobs, b.Blob)
	}
	return blobs, w.plan.Manifests, context.Cause(ctx)
}
