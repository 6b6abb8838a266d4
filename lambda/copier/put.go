package copier

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"archeio/lambda/registry"
)

const (
	// maxPutSize is the size limit in bytes of a single PUT, maxParts the limit
	// of parts in an upload.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	maxPutSize = 5_000_000_000
	maxParts   = 10_000

	// partSize is the size in bytes of the first parts of an upload, which are
	// buffered in memory. It doubles after each partsPerSize parts, at most
	// maxDoublings times. So no size has to be known, which could be wrong. S3
	// requires at least 5 MiB, except for the last part.
	partSize     = 8 << 20
	partsPerSize = 1000
	maxDoublings = 3

	cacheControl = "public, max-age=31536000, immutable"
	contentType  = "application/octet-stream"
)

// partBuffers limits the part buffers in memory: other uploads of the process
// wait.
var partBuffers = make(chan struct{}, 4)

var (
	// ErrExists is the error for a blob that another writer has written first,
	// and for a blob to replace that has changed since.
	ErrExists = errors.New("the object already exists or has changed")

	// errTooLarge is the error for a blob that does not fit into the parts of an
	// upload.
	errTooLarge = errors.New("too large for S3")

	// errConflict is the error for a write during another write of the same key.
	// It can be retried.
	errConflict = errors.New("another write of the object is in progress")
)

// Put writes a blob from a stream and returns its ETag. The object becomes visible
// only if the content matches the digest, and the size unless that is negative:
// unknown.
//
// replaces is the ETag of the object to overwrite; empty for a blob that must not
// exist yet.
func (b *Bucket) Put(ctx context.Context, blob registry.Blob, content io.Reader, replaces string) (etag string, err error) {
	digest, ok := ParseDigest(blob.Digest)
	if !ok {
		return "", fmt.Errorf("writing %q: not a SHA-256 digest", blob.Digest)
	}
	if blob.Size > b.maxUploadSize() {
		return "", b.tooLarge(blob)
	}
	if blob.Size < 0 {
		start := &bytes.Buffer{}
		n, err := io.CopyN(start, content, b.partSize)
		switch {
		case err == io.EOF:
			blob.Size, content = n, start
		case err != nil:
			return "", b.explain("reading "+blob.Digest, err)
		default:
			content = io.MultiReader(start, content)
		}
	}
	checked := newCheckedReader(content, digest, blob.Size)
	if blob.Size < 0 || blob.Size > b.maxPutSize {
		u := &Upload{}
		if _, err = b.parts(ctx, blob, u, checked, never, replaces); err != nil {
			err = b.abort(ctx, blob, u, err)
		}
		etag = u.etag
	} else {
		etag, err = b.putWhole(ctx, blob, digest, checked, replaces)
	}
	return etag, b.explainPut(blob, checked, err)
}

func never() bool { return false }

// sizeOf returns the size in bytes of the n-th part of an upload, from 0 on.
func (b *Bucket) sizeOf(n int) int64 { return b.partSize << min(n/partsPerSize, maxDoublings) }

// maxUploadSize returns the size in bytes of the largest upload.
func (b *Bucket) maxUploadSize() (size int64) {
	for n := 0; n < maxParts; n += partsPerSize {
		size += partsPerSize * b.sizeOf(n)
	}
	return size
}

func (b *Bucket) tooLarge(blob registry.Blob) error {
	return fmt.Errorf("bucket %q: writing %s: %w: it has more than the %d bytes of %d parts of at most %d MiB", b.Name, blob.Digest, errTooLarge, b.maxUploadSize(), maxParts, b.sizeOf(maxParts)>>20)
}

// explainPut prefers an error of the content to that of S3, which is then only a
// consequence.
func (b *Bucket) explainPut(blob registry.Blob, content *checkedReader, err error) error {
	if wrong := content.failed(); wrong != nil && err != nil {
		return fmt.Errorf("reading %s for bucket %q: %w", blob.Digest, b.Name, wrong)
	}
	return b.explain("writing "+blob.Digest, err)
}

// conditions returns the conditional headers of a write: replaces must be the
// current ETag, or there must be no object if it is empty.
func conditions(replaces string) (ifMatch, ifNoneMatch *string) {
	if replaces != "" {
		return &replaces, nil
	}
	return nil, aws.String("*")
}

// putWhole makes S3 check the digest twice: as the hash of the payload and as the
// checksum of the object.
func (b *Bucket) putWhole(ctx context.Context, blob registry.Blob, digest Digest, content io.Reader, replaces string) (string, error) {
	in := &s3.PutObjectInput{
		Bucket:         &b.Name,
		Key:            key(blob.Digest),
		Body:           content,
		ContentLength:  &blob.Size,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(digest[:])),
		CacheControl:   aws.String(cacheControl),
		ContentType:    aws.String(contentType),
	}
	in.IfMatch, in.IfNoneMatch = conditions(replaces)
	out, err := b.client.PutObject(ctx, in, once, payloadHash(hex.EncodeToString(digest[:])))
	if err != nil {
		return "", err
	}
	return aws.ToString(out.ETag), nil
}

// once turns off retries, because a stream cannot be sent again.
func once(o *s3.Options) { o.RetryMaxAttempts = 1 }

// payloadHash sets the hash to sign, which the SDK would otherwise compute by
// reading the stream.
func payloadHash(sum string) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			_, err := stack.Finalize.Swap("ComputePayloadHash", knownHash(sum))
			return err
		})
	}
}

type knownHash string

func (knownHash) ID() string { return "ComputePayloadHash" }

func (h knownHash) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	return next.HandleFinalize(v4.SetPayloadHash(ctx, string(h)), in)
}
