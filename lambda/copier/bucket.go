package copier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"archeio/lambda/config"
)

const (
	// largestPut is the largest object of a single PUT, mostParts how many
	// parts an upload has at most.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	largestPut = 5_000_000_000
	mostParts  = 10_000

	// partSize is what an upload in parts keeps in memory at a time. With it
	// a blob may have 320 GB.
	partSize = 32 << 20

	cacheControl = "public, max-age=31536000, immutable"
)

// Bucket is a mirror's bucket. It is safe for concurrent use.
type Bucket struct {
	Name   string
	client *s3.Client
	// largestPut is the constant of that name, less in tests.
	largestPut int64
	partSize   int64
}

// NewBucket makes a Bucket of a client for its region. Nothing is asked yet.
func NewBucket(name string, client *s3.Client) *Bucket {
	return &Bucket{Name: name, client: client, largestPut: largestPut, partSize: partSize}
}

// Digest is a SHA-256, as a key of maps that are large.
type Digest [sha256.Size]byte

// ParseDigest reads "sha256:" and 64 lower-case hexadecimal digits.
func ParseDigest(s string) (d Digest, ok bool) {
	text, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(text) != hex.EncodedLen(len(d)) || strings.ToLower(text) != text {
		return d, false
	}
	_, err := hex.Decode(d[:], []byte(text))
	return d, err == nil
}

func (d Digest) String() string { return "sha256:" + hex.EncodeToString(d[:]) }

// List answers the blobs that the bucket has, with their sizes in bytes, by
// listing it, 1,000 keys a request. Keys that are no digest are passed over.
func (b *Bucket) List(ctx context.Context) (map[Digest]int64, error) {
	held := map[Digest]int64{}
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.Name, Prefix: aws.String(config.BlobPrefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.explain("listing", err)
		}
		for _, o := range page.Contents {
			if d, ok := ParseDigest(strings.TrimPrefix(aws.ToString(o.Key), config.BlobPrefix)); ok {
				held[d] = aws.ToInt64(o.Size)
			}
		}
	}
	return held, nil
}

// ErrExists is the error of Put for a blob that another writer has put first.
var ErrExists = errors.New("the bucket has it already")

// errAgain asks for another try: the write met another one of the same key.
var errAgain = errors.New("another writer is writing it")

// ErrContent is wrapped by the error for content that is not what its digest or
// its length says.
var ErrContent = errors.New("the content is not what was promised")

// Put stores a blob of a known size from a stream. It becomes visible only if
// its bytes hash to its digest and there are exactly size of them.
func (b *Bucket) Put(ctx context.Context, blob Blob, content io.Reader) error {
	digest, ok := ParseDigest(blob.Digest)
	if !ok {
		return fmt.Errorf("putting %q: it is no SHA-256 digest", blob.Digest)
	}
	checked := &checkedReader{from: content, digest: digest, left: blob.Size, hash: sha256.New()}
	var err error
	if blob.Size > b.largestPut {
		err = b.putParts(ctx, blob, checked)
	} else {
		err = b.putWhole(ctx, blob, digest, checked)
	}
	if checked.err != nil {
		err = checked.err // what S3 says then is only what came of it
	}
	return b.explain("putting "+blob.Digest, err)
}

// putWhole has S3 check the digest, twice: as the payload's and as the
// object's checksum.
func (b *Bucket) putWhole(ctx context.Context, blob Blob, digest Digest, content io.Reader) error {
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:         &b.Name,
		Key:            aws.String(config.BlobPrefix + blob.Digest),
		Body:           content,
		ContentLength:  &blob.Size,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(digest[:])),
		CacheControl:   aws.String(cacheControl),
		ContentType:    aws.String("application/octet-stream"),
		IfNoneMatch:    aws.String("*"),
	}, once, payloadHash(hex.EncodeToString(digest[:])))
	return err
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

// putParts completes only when the running hash and the length agree.
func (b *Bucket) putParts(ctx context.Context, blob Blob, content *checkedReader) (err error) {
	if blob.Size > b.partSize*mostParts {
		return fmt.Errorf("it has %d bytes; %d are the most", blob.Size, b.partSize*mostParts)
	}
	key := aws.String(config.BlobPrefix + blob.Digest)
	upload, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket:            &b.Name,
		Key:               key,
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		CacheControl:      aws.String(cacheControl),
		ContentType:       aws.String("application/octet-stream"),
	})
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			return
		}
		// Also after Ctrl-C; the bucket's lifecycle aborts what is left.
		_, aborted := b.client.AbortMultipartUpload(context.WithoutCancel(ctx), &s3.AbortMultipartUploadInput{Bucket: &b.Name, Key: key, UploadId: upload.UploadId})
		if aborted != nil && !errors.Is(err, errAgain) {
			err = fmt.Errorf("%w (and its parts could not be removed: %v)", err, aborted)
		}
	}()
	var parts []types.CompletedPart
	buffer := make([]byte, min(b.partSize, blob.Size))
	for {
		n, readErr := io.ReadFull(content, buffer)
		if readErr != nil && readErr != io.EOF && readErr != io.ErrUnexpectedEOF {
			return readErr
		}
		if n > 0 {
			sum := sha256.Sum256(buffer[:n])
			checksum := aws.String(base64.StdEncoding.EncodeToString(sum[:]))
			number := aws.Int32(int32(len(parts) + 1))
			part, err := b.client.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: &b.Name, Key: key, UploadId: upload.UploadId, PartNumber: number,
				Body: bytes.NewReader(buffer[:n]), ChecksumSHA256: checksum,
			})
			if err != nil {
				return err
			}
			parts = append(parts, types.CompletedPart{ETag: part.ETag, PartNumber: number, ChecksumSHA256: checksum})
		}
		if readErr != nil {
			break
		}
	}
	if err := content.finished(); err != nil {
		return err
	}
	_, err = b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &b.Name, Key: key, UploadId: upload.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		IfNoneMatch:     aws.String("*"),
	})
	return err
}

// explain makes one line of an error of S3, that says what to do about it.
func (b *Bucket) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var api smithy.APIError
	code := ""
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	var response interface{ HTTPStatusCode() int }
	status := 0
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	reason := err
	switch {
	case code == "PreconditionFailed" || status == http.StatusPreconditionFailed:
		return ErrExists
	case code == "ConditionalRequestConflict" || status == http.StatusConflict:
		return errAgain
	case code == "NoSuchBucket":
		reason = errors.New("there is no such bucket")
	case status == http.StatusMovedPermanently || code == "AuthorizationHeaderMalformed" || code == "IllegalLocationConstraintException":
		reason = errors.New("it is in another region than the one that was named")
	case status == http.StatusForbidden:
		reason = fmt.Errorf("these credentials may not (%s)", code)
	case api != nil:
		reason = fmt.Errorf("%s: %s", code, api.ErrorMessage())
	}
	return fmt.Errorf("bucket %q: %s: %w", b.Name, doing, reason)
}

// checkedReader fails where the content ends early, goes on too long, or does
// not hash to its digest; then err tells.
type checkedReader struct {
	from   io.Reader
	digest Digest
	left   int64
	hash   hash.Hash
	done   bool
	err    error
}

func (r *checkedReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.done {
		return 0, io.EOF
	}
	n, err := r.from.Read(p)
	r.left -= int64(n)
	r.hash.Write(p[:n])
	switch {
	case r.left < 0:
		r.err = fmt.Errorf("%w: it is longer", ErrContent)
	case err == io.EOF:
		r.err = r.finished()
	case err != nil:
		r.err = err
	case r.left == 0:
		// The last byte is not handed on before the hash is known to be right,
		// so that nobody takes a wrong blob for a whole one.
		r.err = r.end()
	}
	if r.err != nil {
		return 0, r.err
	}
	if err == io.EOF {
		r.done = true
		return n, io.EOF
	}
	return n, nil
}

// end sees to it that nothing follows the last byte, and checks the digest.
func (r *checkedReader) end() error {
	var more [1]byte
	for {
		switch n, err := r.from.Read(more[:]); {
		case n > 0:
			return fmt.Errorf("%w: it is longer", ErrContent)
		case err == io.EOF:
			r.done = true
			return r.finished()
		case err != nil:
			return err
		}
	}
}

func (r *checkedReader) finished() error {
	if r.left > 0 {
		return fmt.Errorf("%w: %d bytes are missing", ErrContent, r.left)
	}
	if got := Digest(r.hash.Sum(nil)); got != r.digest {
		return fmt.Errorf("%w: it hashes to %s", ErrContent, got)
	}
	return nil
}
