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

// Bucket is a mirror's bucket. It is safe for concurrent use.
type Bucket struct {
	Name   string
	client *s3.Client
	// maxPutSize is the constant of that name, less in tests.
	maxPutSize int64
	partSize   int64
}

// NewBucket makes a Bucket of a client for its region. Nothing is asked yet.
func NewBucket(name string, client *s3.Client) *Bucket {
	return &Bucket{Name: name, client: client, maxPutSize: maxPutSize, partSize: partSize}
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

// key is where a bucket keeps a blob.
func key(digest string) *string { return aws.String(config.BlobPrefix + digest) }

// Page lists up to 1,000 blobs with their sizes in bytes, in the order of their
// digests, from the one after a digest on; empty is from the first. last is
// what the next page begins after, empty if this was the last one. Keys that
// are no digest are passed over.
func (b *Bucket) Page(ctx context.Context, after string, take func(Digest, int64)) (last string, err error) {
	in := &s3.ListObjectsV2Input{Bucket: &b.Name, Prefix: aws.String(config.BlobPrefix)}
	if after != "" {
		in.StartAfter = aws.String(config.BlobPrefix + after)
	}
	page, err := b.client.ListObjectsV2(ctx, in)
	if err != nil {
		return "", b.explain("listing", err)
	}
	for _, o := range page.Contents {
		last = strings.TrimPrefix(aws.ToString(o.Key), config.BlobPrefix)
		if d, ok := ParseDigest(last); ok {
			take(d, aws.ToInt64(o.Size))
		}
	}
	if !aws.ToBool(page.IsTruncated) {
		last = ""
	}
	return last, nil
}

// List answers the blobs that the bucket has, with their sizes in bytes, by
// listing it, 1,000 keys a request.
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

// Object is what a bucket says of a blob that it has.
type Object struct {
	Size int64
	ETag string
	// ChecksumVerified tells that S3 has hashed the whole of it and that it is what its
	// key says. S3 keeps no such hash of what was put in parts.
	ChecksumVerified bool
	// Replication is how far S3 is with carrying it on to the bucket's
	// replicas; empty where there are none.
	Replication types.ReplicationStatus
}

// Stat asks for one blob; nil if the bucket does not have it. S3 says 403 of
// what is missing to who may not list all of the bucket; who may not read either
// is told when the blob is put.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func (b *Bucket) Stat(ctx context.Context, digest string) (*Object, error) {
	o, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.Name, Key: key(digest), ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		switch status(err) {
		case http.StatusNotFound, http.StatusForbidden:
			return nil, nil
		}
		return nil, b.explain("looking for "+digest, err)
	}
	d, _ := ParseDigest(digest)
	return &Object{
		Size: aws.ToInt64(o.ContentLength), ETag: aws.ToString(o.ETag), Replication: o.ReplicationStatus,
		ChecksumVerified: aws.ToString(o.ChecksumSHA256) == base64.StdEncoding.EncodeToString(d[:]),
	}, nil
}

// Open reads a blob, whatever it is. Its second answer is the ETag of what is
// read.
func (b *Bucket) Open(ctx context.Context, digest string) (io.ReadCloser, string, error) {
	o, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.Name, Key: key(digest)})
	if err != nil {
		return nil, "", b.explain("reading "+digest, err)
	}
	return o.Body, aws.ToString(o.ETag), nil
}

// Remove deletes every version of a blob, and answers how many there were.
func (b *Bucket) Remove(ctx context.Context, digest string) (versions int, err error) {
	pages := s3.NewListObjectVersionsPaginator(b.client, &s3.ListObjectVersionsInput{Bucket: &b.Name, Prefix: key(digest)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return versions, b.explain("listing the versions of "+digest, err)
		}
		var ids []*string
		for _, v := range page.Versions {
			if aws.ToString(v.Key) == *key(digest) { // other keys may begin so
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
				return versions, b.explain("removing "+digest, err)
			}
			versions++
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

// explain makes one line of an error of S3, that says what to do about it.
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
		reason = "there is no such bucket"
	case status == http.StatusMovedPermanently || code == "AuthorizationHeaderMalformed" || code == "IllegalLocationConstraintException":
		reason = fmt.Sprintf("it is not in the region that was named; name its own, as %s@eu-central-1", b.Name)
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		reason = fmt.Sprintf("these credentials may not (%s)", cmp.Or(code, http.StatusText(status)))
	case errors.As(err, &api):
		reason = code + ": " + api.ErrorMessage()
	}
	text, _, _ := strings.Cut(reason, "\n")
	return fmt.Errorf("bucket %q: %s: %w", b.Name, doing, &oneLine{text, err})
}
