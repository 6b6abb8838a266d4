package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"archeio/scripts/prove/cli"
)

// listTags lists the tags of singleRepository, which has several pages.
func (s *testSystem) listTags(ctx context.Context, c *client, e entryPoint, images *testImages, r *clientResult) error {
	out, err := c.tags(ctx, e.host()+"/"+singleRepository)
	hops := s.recorder.drain()
	countHops(hops, r)
	if c.pageError != "" && !s.token() {
		// The redirect leads to another host than that of the request, so the
		// redirector cannot help. Fail when a new version of the client can do it.
		switch {
		case err == nil:
			return errors.New("the client follows page links now: remove its pageError")
		case !strings.Contains(err.Error(), c.pageError):
			return err
		}
		return fmt.Errorf("%w: the client accepts a second page only from the host of the first (%s)", cli.ErrSkipped, c.pageError)
	}
	if err != nil {
		return err
	}
	if err := listed(out, append([]string{tag, signatureTag(images.single.digest)}, images.extraTags...)...); err != nil {
		return err
	}
	pages, from := 0, "upstream"
	if s.token() {
		from = e.kind // pages are relayed, some of them from memory
	}
	for _, h := range hops {
		if h.Server == from && strings.HasSuffix(h.Path, "/tags/list") && h.Status == http.StatusOK {
			pages++
		}
	}
	if want := extraTags/pageSize + 1; pages < want {
		return fmt.Errorf("%d pages were served, want at least %d", pages, want)
	}
	return s.checkHops(hops)
}

// listOnePage lists the tags of multiRepository, which has one page.
func (s *testSystem) listOnePage(ctx context.Context, c *client, e entryPoint, images *testImages, r *clientResult) error {
	out, err := c.tags(ctx, e.host()+"/"+images.multi.repository)
	hops := s.recorder.drain()
	countHops(hops, r)
	if err != nil {
		return err
	}
	if err := listed(out, tag); err != nil {
		return err
	}
	return s.checkHops(hops)
}

// listed returns an error unless a client's output has all names.
func listed(out string, names ...string) error {
	for _, name := range names {
		if !strings.Contains(out, name) {
			return fmt.Errorf("%s is not listed", shortDigest(name))
		}
	}
	return nil
}
