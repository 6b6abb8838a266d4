package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/config"
	"archeio/scripts/lab/system"
)

// blobSets are the digests of the blobs of the load, by the mirrors that have
// them.
type blobSets struct {
	everywhere []string // in all mirrors
	indexed    []string // in all mirrors and in the index
	near       []string // in the mirror in us-east-1 only
	far        []string // in the mirror in eu-central-1 only
	byDefault  []string // in the default mirror only
	absent     []string // in no mirror
}

func newBlobSets() *blobSets {
	set := func(name string, n int) (digests []string) {
		for i := range n {
			digests = append(digests, digestOf(blobOf(name, i)))
		}
		return digests
	}
	return &blobSets{
		everywhere: set("everywhere", 40), indexed: set("indexed", 80), near: set("near", 10),
		far: set("far", 10), byDefault: set("default", 10), absent: set("absent", 30),
	}
}

// blobOf returns a blob of a set.
func blobOf(set string, i int) []byte { return fmt.Appendf(nil, "%s %d", set, i) }

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// store puts the blobs into the mirrors.
func (b *blobSets) store(ctx context.Context, local *system.System) error {
	for name, digests := range map[string][]string{"everywhere": b.everywhere, "indexed": b.indexed} {
		for i := range digests {
			if err := local.PutBlob(ctx, blobOf(name, i)); err != nil {
				return err
			}
		}
	}
	near, far := system.Regions[0], system.Regions[1]
	for _, x := range []struct {
		name           string
		digests        []string
		bucket, region string
	}{
		{"near", b.near, "mirror-" + near, near},
		{"far", b.far, "mirror-" + far, far},
		{"default", b.byDefault, system.Buckets[1], near},
	} {
		for i, digest := range x.digests {
			if err := putBlob(ctx, local.S3(x.region), x.bucket, blobOf(x.name, i), digest); err != nil {
				return err
			}
		}
	}
	return nil
}

func putBlob(ctx context.Context, client *s3.Client, bucket string, blob []byte, digest string) error {
	sum, err := hex.DecodeString(strings.TrimPrefix(digest, "sha256:"))
	if err != nil {
		return err
	}
	key := config.BlobPrefix + digest
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: bytes.NewReader(blob), ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum)),
	}); err != nil {
		return fmt.Errorf("putting %q into bucket %q: %w", key, bucket, err)
	}
	return nil
}
