package refresher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Bucket is a Store in S3. Client is for its region.
type Bucket struct {
	Name   string
	Client *s3.Client
}

// maxObject is the size in bytes of the largest object that Get reads.
const maxObject = 32 << 20

// Get implements Store.
func (b Bucket) Get(ctx context.Context, key string) (data []byte, etag string, err error) {
	o, err := b.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.Name, Key: &key})
	if err != nil {
		// Without s3:ListBucket a missing object is a 403. If reading is denied,
		// replacing fails.
		// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
		switch code, status := cause(err); {
		case code == "NoSuchKey", code == "AccessDenied", code == "" && status == http.StatusForbidden:
			return nil, "", nil
		}
		return nil, "", b.explain(key, err)
	}
	defer o.Body.Close()
	data, err = io.ReadAll(io.LimitReader(o.Body, maxObject))
	if err != nil {
		return nil, "", b.explain(key, err)
	}
	return data, aws.ToString(o.ETag), nil
}

// Put implements Store.
func (b Bucket) Put(ctx context.Context, key string, data []byte, replaces string) (etag string, err error) {
	in := &s3.PutObjectInput{
		Bucket: &b.Name, Key: &key, Body: bytes.NewReader(data),
		CacheControl: aws.String("no-cache"), ContentType: aws.String("application/octet-stream"),
	}
	if replaces == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = &replaces
	}
	o, err := b.Client.PutObject(ctx, in)
	if err != nil {
		// One that was deleted since is a 404.
		// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
		switch code, status := cause(err); {
		case status == http.StatusPreconditionFailed, status == http.StatusConflict, code == "NoSuchKey":
			return "", ErrChanged
		}
		return "", b.explain(key, err)
	}
	return aws.ToString(o.ETag), nil
}

// Delete implements Store.
func (b Bucket) Delete(ctx context.Context, key string) error {
	_, err := b.Client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.Name, Key: &key})
	if err != nil {
		return b.explain(key, err)
	}
	return nil
}

// Keys implements Store.
func (b Bucket) Keys(ctx context.Context, prefix string) (keys []string, err error) {
	pages := s3.NewListObjectsV2Paginator(b.Client, &s3.ListObjectsV2Input{Bucket: &b.Name, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.explain(prefix, err)
		}
		for _, o := range page.Contents {
			keys = append(keys, aws.ToString(o.Key))
		}
	}
	return keys, nil
}

// cause returns what S3 responded, empty if it did not.
func cause(err error) (code string, status int) {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		status = response.HTTPStatusCode()
	}
	return code, status
}

// explain makes an error of the SDK one line.
func (b Bucket) explain(key string, err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		text = api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return fmt.Errorf("bucket %q, %s: %s", b.Name, key, text)
}
