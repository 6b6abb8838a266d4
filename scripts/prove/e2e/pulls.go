package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// row is what one client did through one front, as somebody in one place.
type row struct {
	Client  string         `json:"client"`
	Front   string         `json:"front"`
	Place   string         `json:"place"`
	What    string         `json:"what"`
	Hops    map[string]int `json:"hops"`
	Blobs   map[string]int `json:"blobs"`
	Ran     bool           `json:"ran"`
	Took    float64        `json:"seconds"`
	Verdict string         `json:"verdict"`
}

const good = "ok"

// pulls has every client do what it can at every door.
func (w *world) pulls(ctx context.Context, c *client, images *images, only func(string) bool) (rows []row) {
	do := func(d door, what string, f func(*row) error) {
		r := row{Client: c.name, Front: d.front, Place: d.client.Name, What: what, Hops: map[string]int{}, Blobs: map[string]int{}, Verdict: good}
		if ctx.Err() != nil || !only(strings.Join([]string{r.Client, r.Front, r.Place, r.What}, "/")) {
			return
		}
		w.recorder.take()
		began := time.Now()
		if err := f(&r); err != nil {
			r.Verdict = "FAILED: " + lastLine(err.Error())
		}
		r.Took = time.Since(began).Seconds()
		rows = append(rows, r)
	}
	for _, d := range w.doors {
		if !d.apart {
			do(d, "pull", func(r *row) error { return w.pullAll(ctx, c, d, images, r) })
		}
	}
	for _, d := range w.doors {
		if d.client.Name != w.doors[len(w.doors)-1].client.Name {
			continue
		}
		source, what, from, why := images.near, "", "upstream", "mirror-absent"
		if d.apart {
			source, what, from, why = images.apart, ", apart", "signature upstream", "signature"
		}
		if c.tags != nil && !d.apart {
			do(d, "tags", func(r *row) error { return w.listTags(ctx, c, d, singleRepo, images, r) })
			if c.onePage != "" {
				do(d, "tags, one page", func(r *row) error { return w.listTags(ctx, c, d, multiRepo, images, r) })
			}
		}
		if c.referrers != nil {
			do(d, "referrers"+what, func(r *row) error { return w.listReferrers(ctx, c, d, images, source, from, r) })
		}
		if c.artifacts {
			do(d, "signature"+what, func(r *row) error {
				p := &published{repo: singleRepo, digest: source.signature, here: source.signatureBlobs}
				return w.pullOne(ctx, c, d, p, ":"+signatureTag(images.single.digest), func(v1.Hash) (string, string) { return from, why }, r)
			})
		}
	}
	return rows
}

// pullAll pulls an image and an index, by tag and by digest.
func (w *world) pullAll(ctx context.Context, c *client, d door, images *images, r *row) error {
	for _, p := range []*published{images.single, images.multi} {
		for _, by := range []string{":" + tag, "@" + p.digest.String()} {
			want := func(blob v1.Hash) (string, string) {
				if p.lacking[blob.String()] {
					return d.client.Want.Missing, d.client.Want.MissingWhy
				}
				return d.client.Want.Present, d.client.Want.PresentWhy
			}
			if err := w.pullOne(ctx, c, d, p, by, want, r); err != nil {
				return fmt.Errorf("%s%s: %w", p.repo, short(by), err)
			}
		}
	}
	return nil
}

// pullOne pulls once and checks what came and from where.
func (w *world) pullOne(ctx context.Context, c *client, d door, p *published, by string, want func(v1.Hash) (from, why string), r *row) (err error) {
	ref := d.host() + "/" + p.repo + by
	if c.remove != nil {
		defer func() {
			if e := c.remove(ctx, ref); err == nil && e != nil {
				err = fmt.Errorf("removing what was pulled: %w", e)
			}
		}()
	}
	digests, err := c.pull(ctx, ref)
	hops := w.recorder.take()
	served := count(hops, r)
	if err != nil {
		return err
	}
	digest := p.digest
	if c.instance && p.image != (v1.Hash{}) {
		digest = p.image
	}
	if !strings.Contains(digests, digest.String()) {
		return fmt.Errorf("got %q, published was %s", strings.TrimSpace(digests), digest)
	}
	if err := clean(hops); err != nil {
		return err
	}
	blobs := p.here
	if c.all && p.all != nil {
		blobs = p.all
	}
	for _, blob := range blobs {
		from, why := want(blob)
		got, ok := served[blob.String()]
		if !ok {
			return fmt.Errorf("blob %s was not fetched", blob.Hex[:12])
		}
		if got.from != from || got.why != why {
			return fmt.Errorf("blob %s came from %s (%s), it must come from %s (%s)", blob.Hex[:12], got.from, got.why, from, why)
		}
	}
	if c.run != nil && !r.Ran {
		if err := ran(c.run(ctx, ref)); err != nil {
			return err
		}
		r.Ran = true
	}
	return nil
}

// listTags lists the tags of single, which take several pages, or of multi.
func (w *world) listTags(ctx context.Context, c *client, d door, repo string, images *images, r *row) error {
	out, err := c.tags(ctx, d.host()+"/"+repo)
	hops := w.recorder.take()
	count(hops, r)
	several := repo == singleRepo
	if c.onePage != "" && several {
		// The redirect leads to another host than the one that was asked, so no
		// answer of a front can help; it must be seen when that changes.
		if err == nil || !strings.Contains(err.Error(), c.onePage) {
			return fmt.Errorf("it follows page links now, expect that: %v", err)
		}
		r.Verdict = "skipped: the client takes a second page only from the host it asked (" + c.onePage + ")"
		return nil
	}
	if err != nil {
		return err
	}
	want := []string{tag}
	if several {
		want = append(want, signatureTag(images.single.digest))
		want = append(want, images.pageTags...)
	}
	for _, t := range want {
		if !strings.Contains(out, t) {
			return fmt.Errorf("tag %s is not listed", t)
		}
	}
	pages := 0
	for _, h := range hops {
		if h.Server == "upstream" && strings.HasSuffix(h.Path, "/tags/list") && h.Status == http.StatusOK {
			pages++
		}
	}
	if several && pages <= tags/pageSize {
		return fmt.Errorf("the upstream was asked for %d pages only", pages)
	}
	return clean(hops)
}

func (w *world) listReferrers(ctx context.Context, c *client, d door, images *images, s *signed, from string, r *row) error {
	out, err := c.referrers(ctx, d.host()+"/"+singleRepo+"@"+images.single.digest.String())
	hops := w.recorder.take()
	count(hops, r)
	if err != nil {
		return err
	}
	if !strings.Contains(out, s.referrer.String()) {
		return fmt.Errorf("%s is not listed", short("@"+s.referrer.String()))
	}
	if r.Hops[from] == 0 {
		return fmt.Errorf("the %s was not asked", from)
	}
	// An upstream without the referrers API says so, and then a tag is asked.
	// What refers to nothing has neither.
	hops = slices.DeleteFunc(hops, func(h hop) bool {
		return h.Status == http.StatusNotFound && (strings.Contains(h.Path, "/referrers/") || strings.Contains(h.Path, "/manifests/sha256-"))
	})
	if err := clean(hops); err != nil {
		return err
	}
	// What refers to it, by digest, with its blobs.
	why := map[bool]string{true: "signature", false: "mirror-absent"}[d.apart]
	p := &published{repo: singleRepo, digest: s.referrer, here: s.referrerBlobs}
	return w.pullOne(ctx, c, d, p, "@"+s.referrer.String(), func(v1.Hash) (string, string) { return from, why }, r)
}

// origin is who served a blob, and why a front sent the client there.
type origin struct{ from, why string }

// count notes the hops of clients in a row, and answers who served which blob.
func count(hops []hop, r *row) map[string]origin {
	served := map[string]origin{}
	for _, h := range hops {
		if h.own() {
			continue
		}
		r.Hops[h.Server]++
		d := h.digest()
		if d == "" || h.Method != http.MethodGet {
			continue
		}
		o := served[d]
		switch h.Status {
		case http.StatusTemporaryRedirect:
			o.why = h.Reason
		case http.StatusOK, http.StatusPartialContent:
			o.from = h.Server
		}
		served[d] = o
	}
	for _, o := range served {
		r.Blobs[o.from+" ("+o.why+")"]++
	}
	return served
}

// clean tells of errors that clients saw, and of tokens.
func clean(hops []hop) error {
	for _, h := range hops {
		switch {
		case h.Token:
			return fmt.Errorf("%s %s at %s: a token was asked for or sent", h.Method, short(h.Path), h.Server)
		case h.Status >= 400 && !h.own():
			return fmt.Errorf("%s %s at %s: %d", h.Method, short(h.Path), h.Server, h.Status)
		}
	}
	return nil
}

// short cuts a digest to what tells it from others.
func short(s string) string {
	before, hex, ok := strings.Cut(s, "sha256:")
	if !ok || len(hex) < 12 {
		return s
	}
	return before + "sha256:" + hex[:12]
}
