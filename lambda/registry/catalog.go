package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"archeio/lambda/oci"
)

const catalogPath = "/v2/_catalog"

// Roots calls yield with the repositories to start from, page by page: the
// prefix itself if the registry lists its children, or else the part of the
// catalog below the prefix. next is where the following page starts, an opaque
// string, empty for the last page. after is the next of an earlier call, empty
// to start at the beginning.
//
// A page may have no repositories below the prefix. If none has, the error is nil
// if the registry lists the prefix or the whole catalog as empty, and an ErrAbsent
// if nothing proves that the prefix exists. It is an ErrIncomplete if the catalog is
// not known to be complete, and one that says what to do if there is no catalog.
func (c *Client) Roots(ctx context.Context, after string, yield func(repositories []string, next string) error) error {
	listed := false    // the prefix is, but some registries list any name
	var unproven error // why it is unknown whether the prefix exists
	if c.prefix != "" && after == "" {
		l, err := c.List(ctx, c.prefix)
		switch {
		case err == nil && l.Complete && len(l.Entries)+len(l.Children) == 0:
			return nil
		case err == nil && l.Complete:
			return yield([]string{c.prefix}, "")
		case err == nil:
			listed = true
		case ctx.Err() != nil || errors.Is(err, ErrIncomplete):
			return err
		default: // with other registries a prefix is not a repository, and the error differs
			unproven = err
		}
	}
	w := &catalog{client: c, pages: c.pages(catalogPath, "", &c.catalogPage), yield: yield}
	found, err := w.all(ctx, after)
	var failed *yieldError
	switch {
	case errors.As(err, &failed):
		return failed.err
	case err != nil && w.first && refusesCatalog(err):
		return c.noCatalog(err)
	case err != nil:
		return c.explain("listing repositories", err)
	case found || after != "" || c.prefix == "" || listed && !w.named:
		return nil
	case unproven != nil && !clientError(unproven):
		return unproven
	}
	return c.explain("listing repositories", fmt.Errorf("no repository below %s: %w", quote(c.prefix), ErrAbsent))
}

// refusesCatalog reports whether a registry has no catalog for these credentials.
func refusesCatalog(err error) bool { return errors.Is(err, ErrUnauthorized) || clientError(err) }

// noCatalog returns the error for a registry without a catalog, which is no
// ErrAbsent.
func (c *Client) noCatalog(err error) error {
	if errors.Is(err, ErrUnauthorized) {
		return &lineError{fmt.Sprintf("%s: listing repositories: %v: log in with an account that may list the catalog, or name the repositories with -repositories", c.Host(), ErrUnauthorized), ErrUnauthorized}
	}
	return fmt.Errorf("%s: listing repositories: the registry has no catalog (%s): name the repositories with -repositories", c.Host(), line(err.Error()))
}

// yieldError is an error of yield.
type yieldError struct{ err error }

func (e *yieldError) Error() string { return e.err.Error() }

// catalog reads a catalog.
// https://distribution.github.io/distribution/spec/api/#listing-repositories
type catalog struct {
	client *Client
	pages  *pages
	yield  func([]string, string) error
	first  bool // the first page is being read
	named  bool // there was a repository, below the prefix or not
}

// all reads the catalog from a place on and reports whether there was a
// repository below the prefix. It follows links. Only if there are none it asks
// for the names after the last one.
func (w *catalog) all(ctx context.Context, after string) (found bool, err error) {
	p, last, count := w.pages, "", 0
	if strings.HasPrefix(after, catalogPath) {
		p.address, p.linked = after, true
	} else if after != "" {
		last = after
		p.address = p.from(last)
	}
	for w.first = after == ""; ; w.first = false {
		resp, body, err := p.fetch(ctx, last)
		if err != nil && !w.first && !p.linked && count > 0 && clientError(err) {
			return found, w.end(count)
		} else if err != nil {
			return found, err
		}
		var page struct {
			Repositories names `json:"repositories"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return found, fmt.Errorf("invalid JSON: %s", line(err.Error()))
		}
		if !page.Repositories.found {
			return found, errNoList
		}
		names := page.Repositories.list
		// What is not behind last was in an earlier page: the registry ignores it.
		start := slices.Index(names, last) + 1
		var below []string
		fresh := 0
		for i, name := range names {
			if !p.isNew(name) || i < start {
				continue
			}
			fresh++
			w.named = true
			if w.client.isBelow(name) && oci.ValidName(name) {
				below = append(below, name)
			}
		}
		more, err := p.next(resp, fresh, len(names))
		if err != nil {
			return found, err
		}
		next := ""
		switch {
		case more:
			next = p.address
		case p.linked || len(names) == 0:
		case fresh == 0:
			return found, w.end(len(names))
		default:
			last = names[len(names)-1] // in the order of the registry
			next = last
			p.address, count = p.from(last), len(names)
		}
		if found = found || len(below) > 0; fresh > 0 {
			if err := w.yield(below, next); err != nil {
				return found, &yieldError{err}
			}
		}
		if next == "" {
			return found, nil
		}
	}
}

// end returns an ErrIncomplete if the number of names in a page may be a limit of
// a registry without a next page.
func (w *catalog) end(names int) error {
	if asked := w.pages.asked; asked != none && int64(names) >= asked || names%100 == 0 {
		return incomplete("the registry listed %d repositories and ignores the request for more", names)
	}
	return nil
}

// isBelow reports whether a repository is the prefix or below it.
func (c *Client) isBelow(repository string) bool {
	return c.prefix == "" || repository == c.prefix || strings.HasPrefix(repository, c.prefix+"/")
}
