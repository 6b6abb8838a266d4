package copier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"archeio/lambda/config"
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

// Upload is the progress of a multipart upload, so that another process can
// continue it. The zero value is an upload that has not started.
type Upload struct {
	ID    string `json:"id"`
	Parts []Part `json:"parts"`
	// Offset is the size of the parts in bytes, Hash the state of their hash.
	Offset int64  `json:"offset"`
	Hash   []byte `json:"hash"`
	// Size is that of the blob, 0 if unknown.
	Size int64 `json:"size,omitempty"`

	etag string // of the object, once it is complete
}

// Part is one part of an upload.
type Part struct {
	ETag   string `json:"etag"`
	SHA256 string `json:"sha256"`
}

// Resume continues a multipart upload until it is complete or stop returns true,
// and updates u. open opens the content at an offset in bytes and returns the size of
// the whole, negative if unknown. After an error the upload can be resumed, unless the
// content is invalid: then it is aborted.
func (b *Bucket) Resume(ctx context.Context, blob registry.Blob, u *Upload, open func(from int64) (io.ReadCloser, int64, error), stop func() bool) (complete bool, err error) {
	digest, ok := ParseDigest(blob.Digest)
	if !ok {
		return false, fmt.Errorf("writing %q: not a SHA-256 digest", blob.Digest)
	}
	blob.Size = registry.SizeUnknown
	if u.Size > 0 {
		blob.Size = u.Size
	}
	content := io.NopCloser(bytes.NewReader(nil))
	if u.Offset == 0 || u.Offset != u.Size { // registries reject a range after the end
		var size int64
		if content, size, err = open(u.Offset); err != nil {
			return false, err
		}
		if size >= 0 {
			blob.Size, u.Size = size, size
		}
	}
	defer content.Close()
	if blob.Size > b.maxUploadSize() {
		return false, b.abort(ctx, blob, u, b.tooLarge(blob))
	}
	checked := newCheckedReader(content, digest, blob.Size)
	if u.Offset > 0 {
		if err := checked.resume(u.Hash, u.Offset); err != nil {
			return false, fmt.Errorf("resuming the upload of %s: %w", blob.Digest, err)
		}
	}
	complete, err = b.parts(ctx, blob, u, checked, stop, "")
	if errors.Is(err, ErrContent) || errors.Is(err, errTooLarge) {
		err = b.abort(ctx, blob, u, err)
	}
	return complete, b.explainPut(blob, checked, err)
}

// parts uploads parts, and completes the upload only if the hash and the size
// match.
func (b *Bucket) parts(ctx context.Context, blob registry.Blob, u *Upload, content *checkedReader, stop func() bool, replaces string) (complete bool, err error) {
	select {
	case partBuffers <- struct{}{}:
		defer func() { <-partBuffers }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	if u.ID == "" {
		upload, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket:            &b.Name,
			Key:               key(blob.Digest),
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
			CacheControl:      aws.String(cacheControl),
			ContentType:       aws.String(contentType),
		})
		if err != nil {
			return false, err
		}
		u.ID = aws.ToString(upload.UploadId)
	}
	var buffer []byte
	for {
		if len(u.Parts) == maxParts {
			return false, b.tooLarge(blob)
		}
		if size := b.sizeOf(len(u.Parts)); int64(len(buffer)) != size {
			buffer = make([]byte, size)
		}
		n, readErr := io.ReadFull(content, buffer)
		if readErr != nil && readErr != io.EOF && readErr != io.ErrUnexpectedEOF {
			return false, readErr
		}
		if n > 0 || len(u.Parts) == 0 { // S3 requires at least one
			if err := b.part(ctx, blob, u, buffer[:n]); err != nil {
				return false, err
			}
			u.Offset += int64(n)
			if u.Hash, err = content.state(); err != nil {
				return false, err
			}
		}
		if readErr != nil {
			break
		}
		if stop() {
			return false, nil
		}
	}
	if err := content.finished(); err != nil {
		return false, err
	}
	err = b.complete(ctx, blob, u, replaces)
	return err == nil, err
}

func (b *Bucket) part(ctx context.Context, blob registry.Blob, u *Upload, content []byte) error {
	sum := sha256.Sum256(content)
	checksum := base64.StdEncoding.EncodeToString(sum[:])
	part, err := b.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &b.Name, Key: key(blob.Digest), UploadId: &u.ID, PartNumber: aws.Int32(int32(len(u.Parts) + 1)),
		Body: bytes.NewReader(content), ChecksumSHA256: &checksum,
	})
	if err != nil {
		return err
	}
	u.Parts = append(u.Parts, Part{aws.ToString(part.ETag), checksum})
	return nil
}

func (b *Bucket) complete(ctx context.Context, blob registry.Blob, u *Upload, replaces string) error {
	parts := make([]types.CompletedPart, len(u.Parts))
	for i := range u.Parts {
		parts[i] = types.CompletedPart{ETag: &u.Parts[i].ETag, PartNumber: aws.Int32(int32(i + 1))}
		if u.Parts[i].SHA256 != "" {
			parts[i].ChecksumSHA256 = &u.Parts[i].SHA256
		}
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &b.Name, Key: key(blob.Digest), UploadId: &u.ID,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	in.IfMatch, in.IfNoneMatch = conditions(replaces)
	out, err := b.client.CompleteMultipartUpload(ctx, in)
	if err != nil {
		return err
	}
	u.etag = aws.ToString(out.ETag)
	return nil
}

// abort aborts an upload, also after an interrupt, and returns why. Uploads that
// remain are aborted by the lifecycle of the bucket.
func (b *Bucket) abort(ctx context.Context, blob registry.Blob, u *Upload, why error) error {
	if u.ID == "" {
		return why
	}
	_, err := b.client.AbortMultipartUpload(context.WithoutCancel(ctx), &s3.AbortMultipartUploadInput{Bucket: &b.Name, Key: key(blob.Digest), UploadId: &u.ID})
	*u = Upload{}
	if err != nil && !errors.Is(why, errConflict) {
		return fmt.Errorf("%w (aborting the upload failed: %v)", why, err)
	}
	return why
}

// copyPart is the size in bytes of the parts in which S3 copies a large object.
const copyPart = 1 << 30

// Copy makes S3 copy a blob from another bucket, if the object there still has
// this ETag. The content is not verified, so the object must be known to match
// its digest.
func (b *Bucket) Copy(ctx context.Context, blob registry.Blob, from *Bucket, etag string) error {
	source := aws.String(from.Name + "/" + config.BlobPrefix + "sha256%3A" + blob.Digest[len("sha256:"):])
	if blob.Size > b.maxPutSize {
		return b.explain("copying "+blob.Digest+" from "+from.Name, b.copyParts(ctx, blob, source, etag))
	}
	_, err := b.client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &b.Name, Key: key(blob.Digest),
		CopySource: source, CopySourceIfMatch: &etag,
		IfNoneMatch:       aws.String("*"),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		MetadataDirective: types.MetadataDirectiveCopy,
	})
	return b.explain("copying "+blob.Digest+" from "+from.Name, err)
}

func (b *Bucket) copyParts(ctx context.Context, blob registry.Blob, source *string, etag string) (err error) {
	upload, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &b.Name, Key: key(blob.Digest),
		CacheControl: aws.String(cacheControl), ContentType: aws.String(contentType),
	})
	if err != nil {
		return err
	}
	u := &Upload{ID: aws.ToString(upload.UploadId)}
	defer func() {
		if err != nil {
			err = b.abort(ctx, blob, u, err)
		}
	}()
	size := min(copyPart, b.maxPutSize)
	for offset := int64(0); offset < blob.Size; offset += size {
		part, err := b.client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
			Bucket: &b.Name, Key: key(blob.Digest), UploadId: &u.ID, PartNumber: aws.Int32(int32(len(u.Parts) + 1)),
			CopySource: source, CopySourceIfMatch: &etag,
			CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", offset, min(offset+size, blob.Size)-1)),
		})
		if err != nil {
			return err
		}
		if part.CopyPartResult == nil {
			return errors.New("S3 returned no ETag for the copied part")
		}
		u.Parts = append(u.Parts, Part{ETag: aws.ToString(part.CopyPartResult.ETag)})
	}
	return b.complete(ctx, blob, u, "")
}
