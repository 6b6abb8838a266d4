package main

import (
	"context"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// operation is one thing that a client does at an entry point.
type operation struct {
	name string
	at   entryPoint
	run  func(context.Context, *clientResult) error
}

// operations returns the operations of a client: pulls at every entry point,
// and what does not depend on the client's location at those of the last
// location only.
func (s *testSystem) operations(c *client, images *testImages) (all []operation) {
	add := func(name string, at entryPoint, run func(context.Context, *clientResult) error) {
		all = append(all, operation{name, at, run})
	}
	for _, e := range s.entryPoints {
		if c.pull != nil && !e.separateSignatures {
			name := "pull"
			if e.singleHost {
				name = "pull, single host"
			}
			add(name, e, func(ctx context.Context, r *clientResult) error { return s.pullImages(ctx, c, e, images, r) })
		}
	}
	last := s.entryPoints[len(s.entryPoints)-1].client.Name
	for _, e := range s.entryPoints {
		if e.client.Name != last {
			continue
		}
		if c.tags != nil && !e.separateSignatures {
			add("tags", e, func(ctx context.Context, r *clientResult) error { return s.listTags(ctx, c, e, images, r) })
			if c.pageError != "" {
				add("tags, one page", e, func(ctx context.Context, r *clientResult) error { return s.listOnePage(ctx, c, e, images, r) })
			}
		}
		a, want, suffix := images.attached, blobSource{e.client.Want.Missing, e.client.Want.MissingReason}, ""
		if e.separateSignatures {
			a, want, suffix = images.separate, blobSource{"signature upstream", "signature"}, ", separate upstream"
		}
		always := func(v1.Hash) blobSource { return want }
		if c.referrers != nil {
			add("referrers"+suffix, e, func(ctx context.Context, r *clientResult) error {
				return s.listReferrers(ctx, c, e, images.single.digest, a, always, r)
			})
		}
		if c.verify != nil {
			add("verify"+suffix, e, func(ctx context.Context, r *clientResult) error {
				return s.verifySignature(ctx, c, e, images, false, want, r)
			})
			if !e.separateSignatures {
				add("verify by referrers", e, func(ctx context.Context, r *clientResult) error {
					return s.verifySignature(ctx, c, e, images, true, want, r)
				})
			}
		}
		if c.artifacts {
			add("signature"+suffix, e, func(ctx context.Context, r *clientResult) error {
				p := &testImage{repository: singleRepository, digest: a.signature, nativeBlobs: a.signatureBlobs}
				return s.pullOne(ctx, c, e, p, ":"+signatureTag(images.single.digest), always, r)
			})
		}
	}
	return all
}

// listReferrers lists the referrers of an image and pulls the one that a has,
// by its digest.
func (s *testSystem) listReferrers(ctx context.Context, c *client, e entryPoint, image v1.Hash, a *attachments, want func(v1.Hash) blobSource, r *clientResult) error {
	out, err := c.referrers(ctx, e.host()+"/"+singleRepository+"@"+image.String())
	hops := s.recorder.drain()
	countHops(hops, r)
	if err != nil {
		return err
	}
	if err := listed(out, a.referrer.String()); err != nil {
		return err
	}
	from := "upstream"
	if e.separateSignatures {
		from = "signature upstream"
	}
	relayed := s.token() && !e.separateSignatures // perhaps from memory
	if !relayed && !slices.ContainsFunc(hops, func(h hop) bool { return h.Server == from }) {
		return fmt.Errorf("no request reached the %s", from)
	}
	if err := s.checkHops(withoutReferrerMisses(hops)); err != nil {
		return err
	}
	p := &testImage{repository: singleRepository, digest: a.referrer, nativeBlobs: a.referrerBlobs}
	return s.pullOne(ctx, c, e, p, "@"+a.referrer.String(), want, r)
}
