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
)

const (
	// maxPutSize is the largest object of a single PUT, maxParts how many
	// parts an upload has at most.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	maxPutSize = 5_000_000_000
	maxParts   = 10_000

	// partSize is what an upload in parts keeps in cache at a time, more only
	// for a blob above 80 GB. S3 takes no part below 5 MiB but the last.
	partSize = 8 << 20

	cacheControl = "public, max-age=31536000, immutable"
	contentType  = "application/octet-stream"
)

// partBuffers are the cache of all uploads in parts of a process: others wait.
var partBuffers = make(chan struct{}, 4)

var (
	// ErrExists is the error for a blob that another writer has put first, and
	// for one that was to be replaced and is another one now.
	ErrExists = errors.New("the bucket has it already")

	// errConflict asks for another try: the write met another one of the same key.
	errConflict = errors.New("another writer is writing it")
)

// Put stores a blob of a known size from a stream, and answers its ETag. It
// becomes visible only if its bytes hash to its digest and there are exactly
// size of them.
//
// replaces is the ETag of what it is written over; empty for a blob that must
// not be there yet.
func (b *Bucket) Put(ctx context.Context, blob Blob, content io.Reader, replaces string) (etag string, err error) {
	digest, ok := ParseDigest(blob.Digest)
	if !ok {
		return "", fmt.Errorf("putting %q: it is no SHA-256 digest", blob.Digest)
	}
	checked := newCheckedReader(content, digest, blob.Size)
	if blob.Size > b.maxPutSize {
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

// explainPut tells errors of the content from those of S3, which then only says
// what came of it.
func (b *Bucket) explainPut(blob Blob, content *checkedReader, err error) error {
	if wrong := content.failed(); wrong != nil && err != nil {
		return fmt.Errorf("reading %s for bucket %q: %w", blob.Digest, b.Name, wrong)
	}
	return b.explain("putting "+blob.Digest, err)
}

// conditions are the header fields of a write that must not be lost or undone
// by another one.
func conditions(replaces string) (ifMatch, ifNoneMatch *string) {
	if replaces != "" {
		return &replaces, nil
	}
	return nil, aws.String("*")
}

// putWhole has S3 check the digest, twice: as the payload's and as the
// object's checksum.
func (b *Bucket) putWhole(ctx context.Context, blob Blob, digest Digest, content io.Reader, replaces string) (string, error) {
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

// once: a stream cannot be sent again.
func once(o *s3.Options) { o.RetryMaxAttempts = 1 }

// payloadHash saves the SDK from reading the stream to hash it before it signs.
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

// Upload is how far an upload in parts has come, so that another process can
// go on with it. The zero value is one that has not begun.
type Upload struct {
	ID    string `json:"id"`
	Parts []Part `json:"parts"`
	// Offset is how many bytes the parts have, Hash the state of their hash.
	Offset int64  `json:"offset"`
	Hash   []byte `json:"hash"`

	etag string // of the object, once it is complete
}

// Part is one part of an upload, in the order of the parts.
type Part struct {
	ETag   string `json:"etag"`
	SHA256 string `json:"sha256"`
}

// Resume uploads a blob in parts from where an upload is, until stop says that
// it is to be left for later, and brings the upload up to date. open opens the
// content from an offset on. The upload stays where there is an error, unless
// the content is wrong: then it is aborted.
func (b *Bucket) Resume(ctx context.Context, blob Blob, u *Upload, open func(from int64) (io.ReadCloser, error), stop func() bool) (complete bool, err error) {
	digest, ok := ParseDigest(blob.Digest)
	if !ok {
		return false, fmt.Errorf("putting %q: it is no SHA-256 digest", blob.Digest)
	}
	content := io.NopCloser(bytes.NewReader(nil))
	if u.Offset == 0 || u.Offset < blob.Size { // registries refuse what begins behind the end
		if content, err = open(u.Offset); err != nil {
			return false, err
		}
	}
	defer content.Close()
	checked := newCheckedReader(content, digest, blob.Size)
	if u.Offset > 0 {
		if err := checked.resume(u.Hash, u.Offset); err != nil {
			return false, fmt.Errorf("going on with the upload of %s: %w", blob.Digest, err)
		}
	}
	complete, err = b.parts(ctx, blob, u, checked, stop, "")
	if errors.Is(err, ErrContent) {
		err = b.abort(ctx, blob, u, err)
	}
	return complete, b.explainPut(blob, checked, err)
}

// parts completes only when the running hash and the length agree.
func (b *Bucket) parts(ctx context.Context, blob Blob, u *Upload, content *checkedReader, stop func() bool, replaces string) (complete bool, err error) {
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
	buffer := make([]byte, min(max(b.partSize, (blob.Size+maxParts-1)/maxParts), max(blob.Size, 1)))
	for {
		n, readErr := io.ReadFull(content, buffer)
		if readErr != nil && readErr != io.EOF && readErr != io.ErrUnexpectedEOF {
			return false, readErr
		}
		if n > 0 || len(u.Parts) == 0 { // S3 wants at least one
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

func (b *Bucket) part(ctx context.Context, blob Blob, u *Upload, content []byte) error {
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

func (b *Bucket) complete(ctx context.Context, blob Blob, u *Upload, replaces string) error {
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

// abort removes what was uploaded, also after Ctrl-C; the bucket's lifecycle
// aborts what is left.
func (b *Bucket) abort(ctx context.Context, blob Blob, u *Upload, why error) error {
	if u.ID == "" {
		return why
	}
	_, err := b.client.AbortMultipartUpload(context.WithoutCancel(ctx), &s3.AbortMultipartUploadInput{Bucket: &b.Name, Key: key(blob.Digest), UploadId: &u.ID})
	*u = Upload{}
	if err != nil && !errors.Is(why, errConflict) {
		return fmt.Errorf("%w (and its parts could not be removed: %v)", why, err)
	}
	return why
}

// copyPart is how many bytes S3 copies at a time where the whole is too large.
const copyPart = 1 << 30

// Copy has S3 copy a blob from another bucket, as the object that from was when
// its ETag was seen. Nobody but S3 sees the bytes, so ask for it only where that
// object is known to be what its digest says.
func (b *Bucket) Copy(ctx context.Context, blob Blob, from *Bucket, etag string) error {
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

func (b *Bucket) copyParts(ctx context.Context, blob Blob, source *string, etag string) (err error) {
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
			return errors.New("S3 did not say what it copied")
		}
		u.Parts = append(u.Parts, Part{ETag: aws.ToString(part.CopyPartResult.ETag)})
	}
	return b.complete(ctx, blob, u, "")
}
