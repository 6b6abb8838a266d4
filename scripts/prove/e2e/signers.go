package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"archeio/scripts/lab/system"
)

func (t tools) cosign() *client {
	key := filepath.Join(t.dir, "cosign")
	return &client{
		name: "cosign", version: []string{"version", "--json"},
		start: func(ctx context.Context, _ io.Writer) error {
			_, err := t.command(ctx, "cosign", "generate-key-pair", "--output-key-prefix", key)
			return err
		},
		sign: func(ctx context.Context, ref, repository string, referrer bool) error {
			// With the annotation, no other repository has the same blob.
			args := []string{"sign", "--yes", "--key", key + ".key", "--tlog-upload=false", "--allow-http-registry", "--annotations", "stored=" + repository, ref}
			env := []string{"COSIGN_REPOSITORY=" + repository}
			if referrer {
				args, env = append(args, "--registry-referrers-mode", "oci-1-1"), []string{"COSIGN_EXPERIMENTAL=1"}
			}
			_, _, err := t.commandWith(ctx, env, "cosign", args...)
			return err
		},
		verify: func(ctx context.Context, ref string, referrer bool) error {
			_, err := t.command(ctx, "cosign", "verify", "--key", key+".pub", "--insecure-ignore-tlog", "--allow-http-registry", fmt.Sprintf("--experimental-oci11=%v", referrer), ref)
			return err
		},
	}
}

// signed returns the image that has a signature of a kind: with a tag, or as a referrer.
// A client that finds no referrer looks for the tag, so they are two images.
func (i *testImages) signed(referrer bool) string {
	digest := i.multi.digest
	if referrer {
		digest = i.multi.native
	}
	return i.multi.repository + "@" + digest.String()
}

// signImages signs at the publisher, once with each kind of signature, and once more with
// the signature at the signature upstream.
func (s *testSystem) signImages(ctx context.Context, c *client, images *testImages) error {
	own := s.local.Publisher() + "/"
	separate := s.signatures.address + "/" + system.Prefix + "/"
	for _, x := range []struct {
		registry string // of the signature
		referrer bool
	}{{own, false}, {own, true}, {separate, false}} {
		if err := c.sign(ctx, own+images.signed(x.referrer), x.registry+images.multi.repository, x.referrer); err != nil {
			return fmt.Errorf("signing an image: %w", err)
		}
	}
	return nil
}

// verifySignature verifies the signature of an image, and checks where it came from.
func (s *testSystem) verifySignature(ctx context.Context, c *client, e entryPoint, images *testImages, referrer bool, want blobSource, r *clientResult) error {
	err := c.verify(ctx, e.host()+"/"+images.signed(referrer), referrer)
	hops := s.recorder.drain()
	sources := countHops(hops, r)
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return errors.New("no blob of the signature was requested")
	}
	for digest := range sources {
		blob, err := v1.NewHash(digest)
		if err != nil {
			return err
		}
		if err := checkSources(sources, []v1.Hash{blob}, func(v1.Hash) blobSource { return want }); err != nil {
			return err
		}
	}
	return s.checkHops(withoutReferrerMisses(hops))
}
