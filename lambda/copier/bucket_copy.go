package copier

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"archeio/lambda/config"
	"archeio/lambda/registry"
)

const (
	// copyPart is the size in bytes of the parts in which S3 copies a large object.
	copyPart = 1 << 30
	// copyParallel is how many parts S3 copies at the same time.
	copyParallel = 4
)

// Copy makes S3 copy a blob from another bucket, if the object there still has
// this ETag. The content is not verified, so the object must be known to match
// its digest.
func (b *Bucket) Copy(ctx context.Context, blob registry.Blob, from *Bucket, etag string) error {
	return b.copy(ctx, blob, from, etag, uncounted)
}

// uncounted ignores how many bytes were copied.
func uncounted(int64) {}

// copy is Copy that calls copied with the size in bytes of each part of a large blob.
func (b *Bucket) copy(ctx context.Context, blob registry.Blob, from *Bucket, etag string, copied func(n int64)) error {
	if blob.Size > b.maxPutSize {
		u := &Upload{}
		_, err := b.copyParts(ctx, blob, u, from, etag, never, copied)
		if err != nil {
			err = b.abort(ctx, blob, u, err)
		}
		return err
	}
	_, err := b.client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &b.Name, Key: key(blob.Digest),
		CopySource: copySource(from, blob), CopySourceIfMatch: &etag,
		IfNoneMatch:       aws.String("*"),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		MetadataDirective: types.MetadataDirectiveCopy,
	})
	return b.explain("copying "+blob.Digest+" from "+from.Name, err)
}

func copySource(from *Bucket, blob registry.Blob) *string {
	return aws.String(from.Name + "/" + config.BlobPrefix + "sha256%3A" + blob.Digest[len("sha256:"):])
}

// copyPartSize returns the size in bytes of the parts in which S3 copies to the bucket.
func (b *Bucket) copyPartSize() int64 { return min(copyPart, b.maxPutSize) }

// CopyParts is Copy for a blob above the limit of a single request. It continues until
// it is complete or stop returns true, and updates u, as Resume does. The objects must
// have the size of the blob.
func (b *Bucket) CopyParts(ctx context.Context, blob registry.Blob, u *Upload, from *Bucket, etag string, stop func() bool) (complete bool, err error) {
	return b.copyParts(ctx, blob, u, from, etag, stop, uncounted)
}

func (b *Bucket) copyParts(ctx context.Context, blob registry.Blob, u *Upload, from *Bucket, etag string, stop func() bool, copied func(n int64)) (complete bool, err error) {
	if u.From != etag { // the parts are of another object
		_ = b.abort(ctx, blob, u, nil)
	}
	if u.ID == "" {
		upload, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket: &b.Name, Key: key(blob.Digest),
			CacheControl: aws.String(cacheControl), ContentType: aws.String(contentType),
			Metadata: map[string]string{hashedKey: hashedValue},
		})
		if err != nil {
			return false, b.explain("copying "+blob.Digest+" from "+from.Name, err)
		}
		*u = Upload{ID: aws.ToString(upload.UploadId), From: etag, Size: blob.Size}
	} else if err := b.verify(ctx, blob, u, func(int) int64 { return b.copyPartSize() }); errors.Is(err, ErrDamaged) {
		_ = b.abort(ctx, blob, u, nil)
		return false, fmt.Errorf("bucket %q: resuming the copy of %s: %w", b.Name, blob.Digest, err)
	} else if err != nil {
		return false, b.explain("resuming the copy of "+blob.Digest, err)
	}
	for u.Offset < blob.Size {
		if err := b.copyStep(ctx, blob, u, copySource(from, blob), copied); err != nil {
			return false, b.explain("copying "+blob.Digest+" from "+from.Name, err)
		}
		if u.Offset < blob.Size && stop() {
			return false, nil
		}
	}
	err = b.complete(ctx, blob, u, "")
	return err == nil, b.explain("copying "+blob.Digest+" from "+from.Name, err)
}

// copyStep copies the next parts at the same time, but the first one alone: it fails if
// S3 cannot copy.
func (b *Bucket) copyStep(ctx context.Context, blob registry.Blob, u *Upload, source *string, copied func(n int64)) error {
	size := b.copyPartSize()
	n := int64(1)
	if len(u.Parts) > 0 {
		n = min(copyParallel, (blob.Size-u.Offset+size-1)/size)
	}
	parts := make([]Part, n)
	group, ctx := errgroup.WithContext(ctx)
	for i := range n {
		offset := u.Offset + i*size
		end := min(offset+size, blob.Size)
		group.Go(func() error {
			part, err := b.client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
				Bucket: &b.Name, Key: key(blob.Digest), UploadId: &u.ID, PartNumber: aws.Int32(int32(len(u.Parts)) + int32(i) + 1),
				CopySource: source, CopySourceIfMatch: &u.From,
				CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", offset, end-1)),
			})
			if err == nil && part.CopyPartResult == nil {
				err = errors.New("S3 returned no ETag for the copied part")
			}
			if err == nil {
				parts[i] = Part{aws.ToString(part.CopyPartResult.ETag), aws.ToString(part.CopyPartResult.ChecksumSHA256)}
				copied(end - offset)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	u.Parts = append(u.Parts, parts...)
	u.Offset = min(u.Offset+n*size, blob.Size)
	return nil
}
