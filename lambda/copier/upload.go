package copier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"archeio/lambda/registry"
)

// hashedKey and hashedValue are user-defined metadata of an object that was written in
// parts by a process that has hashed all of them. It stands for the checksum of the
// whole object that S3 has for an object written at once only: objects are completed
// after their hash was checked. S3 copies and replicates it with the object.
const (
	hashedKey   = "hashed-by-writer"
	hashedValue = "sha256"
)

// Upload is the progress of a multipart upload, so that another process can
// continue it. The zero value is an upload that has not started.
type Upload struct {
	ID    string `json:"id"`
	Parts []Part `json:"parts"`
	// Offset is the size of the parts in bytes, Hash the state of their hash.
	Offset int64  `json:"offset"`
	Hash   []byte `json:"hash,omitempty"`
	// Size is that of the blob, 0 if unknown.
	Size int64 `json:"size,omitempty"`
	// From is the ETag of the object that S3 copies the parts from; empty if they are
	// uploaded. There is no Hash then.
	From string `json:"from,omitempty"`

	etag string // of the object, once it is complete
}

// Part is one part of an upload.
type Part struct {
	ETag   string `json:"etag"`
	SHA256 string `json:"sha256,omitempty"`
}

// ErrDamaged is the error for a saved Upload that does not match what S3 has. The
// upload has been aborted and must start again.
var ErrDamaged = errors.New("the saved upload does not match the parts in S3")

// verify compares the parts of a saved upload with those that S3 lists: their ETags,
// checksums and sizes, of which the size of each is sizeOf its position and the last
// one may be smaller. Parts after the saved ones are uploaded again.
func (b *Bucket) verify(ctx context.Context, blob registry.Blob, u *Upload, sizeOf func(n int) int64) error {
	if len(u.Parts) == 0 {
		if u.Offset != 0 {
			return fmt.Errorf("%w: it has %d bytes and no parts", ErrDamaged, u.Offset)
		}
		return nil
	}
	pages := s3.NewListPartsPaginator(b.client, &s3.ListPartsInput{Bucket: &b.Name, Key: key(blob.Digest), UploadId: &u.ID})
	n, offset := 0, int64(0)
	for pages.HasMorePages() && n < len(u.Parts) {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, there := range page.Parts[:min(len(page.Parts), len(u.Parts)-n)] {
			saved, size := u.Parts[n], aws.ToInt64(there.Size)
			n++
			last := n == len(u.Parts)
			switch sum := aws.ToString(there.ChecksumSHA256); {
			case aws.ToInt32(there.PartNumber) != int32(n):
				return fmt.Errorf("%w: part %d is missing", ErrDamaged, n)
			case aws.ToString(there.ETag) != saved.ETag, sum != "" && saved.SHA256 != "" && sum != saved.SHA256:
				return fmt.Errorf("%w: part %d is another one", ErrDamaged, n)
			case size != sizeOf(n-1) && !(last && size < sizeOf(n-1)):
				return fmt.Errorf("%w: part %d has %d bytes", ErrDamaged, n, size)
			}
			offset += size
		}
	}
	if n != len(u.Parts) || offset != u.Offset {
		return fmt.Errorf("%w: S3 has %d bytes in %d parts, but %d bytes in %d parts were saved", ErrDamaged, offset, n, u.Offset, len(u.Parts))
	}
	return nil
}

// Resume continues a multipart upload until it is complete or stop returns true,
// and updates u. open opens the content at an offset in bytes and returns the size of
// the whole, negative if unknown. After an error the upload can be resumed, unless the
// content is invalid or u is damaged: then it is aborted.
func (b *Bucket) Resume(ctx context.Context, blob registry.Blob, u *Upload, open func(from int64) (io.ReadCloser, int64, error), stop func() bool) (complete bool, err error) {
	digest, ok := ParseDigest(blob.Digest)
	if !ok {
		return false, fmt.Errorf("writing %q: not a SHA-256 digest", blob.Digest)
	}
	blob.Size = registry.SizeUnknown
	if u.Size > 0 {
		blob.Size = u.Size
	}
	if u.From != "" { // it was to be copied from another bucket
		_ = b.abort(ctx, blob, u, nil)
	}
	err = b.verify(ctx, blob, u, b.sizeOf)
	if err == nil && u.Offset > 0 {
		err = newCheckedReader(nil, digest, 0).resume(u.Hash, u.Offset)
		if err != nil {
			err = fmt.Errorf("%w: its hash state is invalid: %v", ErrDamaged, err)
		}
	}
	if errors.Is(err, ErrDamaged) {
		_ = b.abort(ctx, blob, u, nil)
		return false, fmt.Errorf("bucket %q: resuming the upload of %s: %w", b.Name, blob.Digest, err)
	} else if err != nil {
		return false, b.explain("resuming the upload of "+blob.Digest, err)
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
			Metadata:          map[string]string{hashedKey: hashedValue},
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
		// S3 compares it with the sum of the parts.
		MpuObjectSize: &u.Offset,
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
	id := u.ID
	*u = Upload{}
	if id == "" {
		return why
	}
	_, err := b.client.AbortMultipartUpload(context.WithoutCancel(ctx), &s3.AbortMultipartUploadInput{Bucket: &b.Name, Key: key(blob.Digest), UploadId: &id})
	if err != nil && !errors.Is(why, errConflict) {
		return fmt.Errorf("%w (aborting the upload failed: %v)", why, err)
	}
	return why
}
