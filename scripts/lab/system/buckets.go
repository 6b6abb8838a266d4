package system

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/config"
)

// S3 returns a client for the S3 server of a region, with full access.
func (s *System) S3(region string) *s3.Client { return client(s.mirrors[region], region) }

func client(endpoint, region string) *s3.Client {
	return s3.New(s3.Options{
		Region:       region,
		BaseEndpoint: &endpoint,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(AccessKey, SecretKey, ""),
	})
}

// buckets returns the region of every mirror bucket.
func buckets() map[string]string {
	all := map[string]string{defaultBucket: Regions[0]}
	for _, region := range Regions {
		all["mirror-"+region] = region
	}
	return all
}

// createBuckets creates the mirror buckets. Their blobs can be read anonymously,
// and nothing else can.
func (s *System) createBuckets(ctx context.Context) error {
	for bucket, region := range buckets() {
		c := s.S3(region)
		if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			return fmt.Errorf("creating bucket %q: %w", bucket, err)
		}
		policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/%s*"}]}`, bucket, config.BlobPrefix)
		if _, err := c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &policy}); err != nil {
			return fmt.Errorf("setting the policy of bucket %q: %w", bucket, err)
		}
	}
	return nil
}

// PutBlob stores a blob in every mirror, with its checksum.
func (s *System) PutBlob(ctx context.Context, blob []byte) error {
	sum := sha256.Sum256(blob)
	key := fmt.Sprintf("%ssha256:%x", config.BlobPrefix, sum)
	for bucket, region := range buckets() {
		if _, err := s.S3(region).PutObject(ctx, &s3.PutObjectInput{
			Bucket:         &bucket,
			Key:            &key,
			Body:           bytes.NewReader(blob),
			ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
		}); err != nil {
			return fmt.Errorf("putting %q into bucket %q: %w", key, bucket, err)
		}
	}
	return nil
}
