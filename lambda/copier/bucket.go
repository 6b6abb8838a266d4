package copier

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"archeio/lambda/config"
)

// Bucket is the bucket of a mirror. It is safe for concurrent use.
type Bucket struct {
	Name   string
	client *s3.Client
	// maxPutSize and partSize are the constants of these names, less in tests.
	maxPutSize int64
	partSize   int64
	// pages is page without S3, for tests.
	pages func(digits, after string, yield func(Digest, int64)) (last string, err error)
}

// NewBucket returns a Bucket that uses a client for its region. It sends no
// requests yet.
func NewBucket(name string, client *s3.Client) *Bucket {
	return &Bucket{Name: name, client: client, maxPutSize: maxPutSize, partSize: partSize}
}

// Digest is a SHA-256 digest, a compact map key.
type Digest [sha256.Size]byte

// ParseDigest parses "sha256:" and 64 lower-case hexadecimal digits.
func ParseDigest(s string) (d Digest, ok bool) {
	text, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(text) != hex.EncodedLen(len(d)) || strings.ToLower(text) != text {
		return d, false
	}
	_, err := hex.Decode(d[:], []byte(text))
	return d, err == nil
}

// String returns "sha256:" and 64 hexadecimal digits.
func (d Digest) String() string { return "sha256:" + hex.EncodeToString(d[:]) }

// key returns the object key of a blob.
func key(digest string) *string { return aws.String(config.BlobPrefix + digest) }

// Page calls yield with up to 1,000 blobs and their sizes in bytes, in the order
// of their digests, starting after a digest; empty is the beginning. last is the
// after of the next page, empty if this was the last one. Keys that are not
// digests are skipped.
func (b *Bucket) Page(ctx context.Context, after string, yield func(Digest, int64)) (last string, err error) {
	return b.page(ctx, "", after, yield)
}

// page is Page of the digests that begin with some hexadecimal digits.
func (b *Bucket) page(ctx context.Context, digits, after string, yield func(Digest, int64)) (last string, err error) {
	if b.pages != nil {
		return b.pages(digits, after, yield)
	}
	in := &s3.ListObjectsV2Input{Bucket: &b.Name, Prefix: aws.String(config.BlobPrefix)}
	if digits != "" {
		in.Prefix = aws.String(config.BlobPrefix + "sha256:" + digits)
	}
	if after != "" {
		in.StartAfter = aws.String(config.BlobPrefix + after)
	}
	for {
		page, err := b.client.ListObjectsV2(ctx, in)
		if err != nil {
			return "", b.explain("listing", err)
		}
		for _, o := range page.Contents {
			last = strings.TrimPrefix(aws.ToString(o.Key), config.BlobPrefix)
			if d, ok := ParseDigest(last); ok {
				yield(d, aws.ToInt64(o.Size))
			}
		}
		switch more, err := continues(page.IsTruncated, in.ContinuationToken, page.NextContinuationToken); {
		case err != nil:
			return "", b.explain("listing", err)
		case !more:
			return "", nil
		case last != "" && last <= after:
			return "", b.explain("listing", fmt.Errorf("the response ends with %q: want keys after %q", last, after))
		case last != "":
			return last, nil
		}
		in.ContinuationToken = page.NextContinuationToken // a page without keys
	}
}

// continues reports whether there is another page after one of a listing. A response that
// does not say so, or that has no new token for the next page, is an error: what is not
// listed would count as deleted.
func continues(truncated *bool, token, next *string) (bool, error) {
	switch {
	case truncated == nil:
		return false, errors.New("the response does not say whether it is complete: want IsTruncated")
	case *truncated && (aws.ToString(next) == "" || aws.ToString(next) == aws.ToString(token)):
		return false, errors.New("the response is truncated, without a new continuation token")
	}
	return *truncated, nil
}

// List lists all blobs of the bucket with their sizes in bytes, 1,000 keys per
// request.
func (b *Bucket) List(ctx context.Context) (map[Digest]int64, error) {
	held := map[Digest]int64{}
	for after := ""; ; {
		last, err := b.Page(ctx, after, func(d Digest, size int64) { held[d] = size })
		if err != nil {
			return nil, err
		}
		if last == "" {
			return held, nil
		}
		after = last
	}
}

// Object is a blob in a bucket.
type Object struct {
	Size int64
	ETag string
	// ChecksumVerified reports whether S3 has a SHA-256 checksum of the whole
	// object that matches its key. S3 has none for multipart uploads.
	ChecksumVerified bool
	// HashedByWriter reports whether the object was written in parts by a process that
	// has hashed them, according to its metadata.
	HashedByWriter bool
	// Replication is the status of S3 replication to other buckets; empty if
	// there is none.
	Replication types.ReplicationStatus
}

// Stat returns a blob of the bucket, nil if it does not exist. That includes a
// 403, which S3 returns for missing objects without s3:ListBucket; if reading is
// denied as well, writing the blob fails.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func (b *Bucket) Stat(ctx context.Context, digest string) (*Object, error) {
	o, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.Name, Key: key(digest), ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		switch status(err) {
		case http.StatusNotFound, http.StatusForbidden:
			return nil, nil
		}
		return nil, b.explain("checking "+digest, err)
	}
	d, _ := ParseDigest(digest)
	return &Object{
		Size: aws.ToInt64(o.ContentLength), ETag: aws.ToString(o.ETag), Replication: o.ReplicationStatus,
		ChecksumVerified: aws.ToString(o.ChecksumSHA256) == base64.StdEncoding.EncodeToString(d[:]),
		HashedByWriter:   o.Metadata[hashedKey] == hashedValue,
	}, nil
}

// hashed reports whether the object is known to match its digest, so that S3 may copy
// it.
func (o *Object) hashed() bool { return o.ChecksumVerified || o.HashedByWriter }

// replicated reports whether S3 has replicated the object to all buckets of its rules.
func (o *Object) replicated() bool {
	return o.Replication == types.ReplicationStatusComplete || o.Replication == types.ReplicationStatusCompleted
}

// Open opens a blob without verifying it, and returns its ETag.
func (b *Bucket) Open(ctx context.Context, digest string) (io.ReadCloser, string, error) {
	o, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.Name, Key: key(digest)})
	if err != nil {
		return nil, "", b.explain("reading "+digest, err)
	}
	return o.Body, aws.ToString(o.ETag), nil
}

// Remove deletes every version of a blob and returns the number of versions.
func (b *Bucket) Remove(ctx context.Context, digest string) (versions int, err error) {
	pages := s3.NewListObjectVersionsPaginator(b.client, &s3.ListObjectVersionsInput{Bucket: &b.Name, Prefix: key(digest)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return versions, b.explain("listing versions of "+digest, err)
		}
		var ids []*string
		for _, v := range page.Versions {
			if aws.ToString(v.Key) == *key(digest) { // the prefix of other keys
				ids = append(ids, v.VersionId)
			}
		}
		for _, v := range page.DeleteMarkers {
			if aws.ToString(v.Key) == *key(digest) {
				ids = append(ids, v.VersionId)
			}
		}
		for _, id := range ids {
			if _, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.Name, Key: key(digest), VersionId: id}); err != nil {
				return versions, b.explain("deleting "+digest, err)
			}
			versions++
		}
		if _, err := continues(page.IsTruncated, nil, page.NextKeyMarker); err != nil {
			return versions, b.explain("listing versions of "+digest, err)
		}
	}
	return versions, nil
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func status(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// explain makes an error of S3 one line that says what to do.
func (b *Bucket) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	code, status := code(err), status(err)
	reason := err.Error()
	var api smithy.APIError
	switch {
	case code == "PreconditionFailed" || status == http.StatusPreconditionFailed:
		return ErrExists
	case code == "ConditionalRequestConflict" || status == http.StatusConflict:
		return errConflict
	case code == "NoSuchBucket":
		reason = "the bucket does not exist"
	case status == http.StatusMovedPermanently || code == "AuthorizationHeaderMalformed" || code == "IllegalLocationConstraintException":
		reason = fmt.Sprintf("the bucket is in another region: add its region, for example %s@eu-central-1", b.Name)
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		reason = fmt.Sprintf("access denied (%s): check the credentials and their policies", cmp.Or(code, http.StatusText(status)))
	case errors.As(err, &api):
		reason = code + ": " + api.ErrorMessage()
	}
	text, _, _ := strings.Cut(reason, "\n")
	return fmt.Errorf("bucket %q: %s: %w", b.Name, doing, &oneLine{text, err})
}

// oneLine is an error with another text.
type oneLine struct {
	text string
	err  error
}

func (e *oneLine) Error() string { return e.text }
func (e *oneLine) Unwrap() error { return e.err }
