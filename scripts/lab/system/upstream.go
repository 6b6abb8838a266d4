package system

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// storageBucket is the bucket that an upstream which requires a token stores its
// content in.
const storageBucket = "upstream"

// startUpstream starts the registry that is the upstream. If it requires a token,
// there are two processes with the same storage: the upstream, which only permits to
// pull, and another one to push to.
func (s *System) startUpstream(ctx context.Context, registry, s3Server string, token bool) (err error) {
	if !token {
		s.Upstream, err = s.startServer(ctx, registry, "-root", filepath.Join(s.dir, "registry"))
		s.publisher = s.Upstream
		return err
	}
	if s.storage, err = s.startServer(ctx, s3Server, "-region", Regions[0], "-root", filepath.Join(s.dir, "storage")); err != nil {
		return err
	}
	bucket := storageBucket
	if _, err := client(s.storage, Regions[0]).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		return fmt.Errorf("creating bucket %q: %w", bucket, err)
	}
	s.step("building a token server")
	tokens, err := serverBinary(ctx, "tokens")
	if err != nil {
		return err
	}
	keys := filepath.Join(s.dir, "keys.json")
	if s.tokens, err = s.startServer(ctx, tokens, "-keys", keys); err != nil {
		return err
	}
	stored := []string{"-s3", s.storage + "/" + bucket, "-region", Regions[0]}
	if s.publisher, err = s.startServer(ctx, registry, stored...); err != nil {
		return err
	}
	s.Upstream, err = s.startServer(ctx, registry, append(stored, "-realm", s.tokens+"/token", "-keys", keys)...)
	return err
}

// Publisher returns what images are pushed to: the host of the registry and the
// repository prefix. Unless the upstream requires a token, it is the Source.
func (s *System) Publisher() string { return hostOf(s.publisher) + "/" + Prefix }
