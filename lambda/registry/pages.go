package registry

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"sync/atomic"
)

const (
	// maxPageSize in bytes limits a page of a listing, maxListingSize all pages
	// together, to bound memory.
	maxPageSize    = 32 << 20
	maxListingSize = 128 << 20
	// maxEmptyPages limits how many pages without anything new may follow each
	// other.
	maxEmptyPages = 50
	// largestPage is the number of names that are requested at first, the most that
	// Artifact Registry returns. Other registries refuse it, or return fewer.
	// https://github.com/google/go-containerregistry/pull/1645
	largestPage = 10_000
	// usualPage is the number that is requested once a registry has refused more.
	usualPage = 1000
)

// pageSize is the number of names that a registry returns per page on request. It
// is halved as long as the registry refuses it. It is safe for concurrent use.
type pageSize struct{ halved atomic.Int64 }

// none is a page size that is not sent.
const none = -1

func (s *pageSize) get() int64 {
	if n := s.halved.Load(); n != 0 {
		return n
	}
	return largestPage
}

// smaller returns the page size after one that was refused, and whether there is
// one.
func smaller(n int64) (int64, bool) {
	switch {
	case n > usualPage:
		return usualPage, true
	case n > 1:
		return n / 2, true
	case n == 1:
		return none, true
	}
	return 0, false
}

// refusesSize reports whether an error may be about the page size.
func refusesSize(err error) bool {
	var e *ResponseError
	if !errors.As(err, &e) || e.absent() || e.unauthorized() {
		return false
	}
	switch e.Status {
	case http.StatusMethodNotAllowed, http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusTooEarly:
		return e.has("PAGINATION_NUMBER_INVALID")
	}
	return e.Status >= 400 && e.Status <= 499
}

// pages reads the pages of one listing. It ends with an ErrIncomplete as soon as
// it is not certain that all pages are read.
type pages struct {
	client     *Client
	what       string // "/v2/_catalog", or the path of another listing
	repository string
	size       *pageSize // nil sends no page size
	accept     string

	address string // of the next page
	asked   int64  // page size in the address, none if there is none
	linked  bool   // a link was sent
	bytes   int64
	idle    int // consecutive pages without anything new
	visited map[uint64]bool
	names   map[uint64]bool
	seed    maphash.Seed
}

func (c *Client) pages(what, repository string, size *pageSize) *pages {
	p := &pages{client: c, what: what, repository: repository, size: size, asked: none,
		visited: map[uint64]bool{}, names: map[uint64]bool{}, seed: maphash.MakeSeed()}
	p.address = p.from("")
	return p
}

// from returns the address of the page after a name.
func (p *pages) from(last string) string {
	q := url.Values{}
	if p.size != nil {
		if p.asked = p.size.get(); p.asked != none {
			q.Set("n", fmt.Sprint(p.asked))
		}
	}
	if last != "" {
		q.Set("last", last)
	}
	if len(q) == 0 {
		return p.what
	}
	return p.what + "?" + q.Encode()
}

// fetch reads the next page. last is the name after which it starts, if it was
// not linked: with it the request is sent again with a smaller page.
func (p *pages) fetch(ctx context.Context, last string) (*response, []byte, error) {
	for {
		left := min(maxPageSize, maxListingSize-p.bytes)
		q := request{address: p.address, repository: p.repository, header: http.Header{}}
		if p.accept != "" {
			q.header.Set("Accept", p.accept)
		}
		resp, body, err := p.client.fetch(ctx, q, left)
		if errors.Is(err, errTooLarge) {
			return nil, nil, incomplete("it is larger than a page of %d bytes, or than %d bytes in all", maxPageSize, maxListingSize)
		}
		if err == nil {
			p.bytes += int64(len(body))
			p.visited[maphash.String(p.seed, p.address)] = true
			return resp, body, nil
		}
		if p.linked || p.size == nil || !refusesSize(err) {
			return nil, nil, err
		}
		now := p.size.get()
		if now == p.asked {
			next, ok := smaller(now)
			if !ok {
				p.size.halved.CompareAndSwap(none, 0) // the size is not the reason
				return nil, nil, err
			}
			p.size.halved.Store(next)
		}
		p.address = p.from(last)
	}
}

// isNew reports whether a name was not in an earlier page.
func (p *pages) isNew(name string) bool {
	h := maphash.String(p.seed, name)
	known := p.names[h]
	p.names[h] = true
	return !known
}

// next moves to the page that a response links to, and reports whether there is
// one. fresh is the number of new names in this page, all that of all names.
func (p *pages) next(resp *response, fresh, all int) (bool, error) {
	// A redirect to another host does not change where the listing is.
	address, err := nextPage(resp.Header, resp.asked)
	if err != nil || address == "" {
		if err == nil && p.linked && all > 0 && fresh == 0 {
			// The last page repeats an earlier one.
			return false, nil
		}
		return false, err
	}
	p.linked = true
	if p.visited[maphash.String(p.seed, address)] {
		return false, incomplete("the link to the next page leads back: %s", quote(address))
	}
	if fresh > 0 {
		p.idle = 0
	} else if p.idle++; all > 0 || p.idle > maxEmptyPages {
		return false, incomplete("%s", map[bool]string{true: "a page repeats an earlier one", false: fmt.Sprintf("more than %d empty pages", maxEmptyPages)}[all > 0])
	}
	p.address = address
	return true, nil
}

// limitLikely reports whether a number of names in a page may be the limit of a
// registry for a page, as it is a round number.
func limitLikely(n int) bool { return n > 0 && (n == 10 || n == 20 || n == 25 || n%50 == 0) }

// clientError reports whether a registry has refused a request.
func clientError(err error) bool {
	var e *ResponseError
	return errors.As(err, &e) && e.Status >= 400 && e.Status <= 499 && e.Status != http.StatusTooManyRequests
}
