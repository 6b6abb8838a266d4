package registry

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"time"

	"archeio/lambda/oci"
)

const (
	// maxUnsupported is the number of consecutive responses of a repository
	// without the referrers API after which it is not asked again for a while.
	maxUnsupported = 8
	// unsupportedFor is that while.
	unsupportedFor = time.Hour
)

// referrersState is whether a repository has the referrers API.
type referrersState struct {
	supported   bool
	unsupported int       // consecutive responses
	readable    bool      // manifests are, although referrers are not
	until       time.Time // it is not asked again before
}

// Referrers lists the manifests that refer to one, for example signatures. The
// list is empty if a repository does not have that API, or says so for one
// manifest; then they are among its tags. A response that is no index counts as
// that, also one of 401, 403 or 406 if the manifest itself can be read. Each
// repository is decided by itself, because hosts combine several registries.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
func (c *Client) Referrers(ctx context.Context, repository, digest string) ([]string, error) {
	if c.referrersOf(repository).off() {
		return nil, nil
	}
	digests, isIndex, err := c.index(ctx, repository, digest)
	var e *ResponseError
	if errors.As(err, &e) && e.Status >= 400 && e.Status <= 499 || e != nil && e.Status == http.StatusNotImplemented {
		if e.unauthorized() && !c.readable(ctx, repository, digest) {
			return nil, c.explain("listing referrers of "+line(repository+"@"+digest), err)
		}
		switch {
		case e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status == http.StatusTooEarly:
			return nil, c.explain("listing referrers of "+line(repository+"@"+digest), err)
		case e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotImplemented || e.has("UNSUPPORTED"):
			c.unsupported(repository, maxUnsupported)
		case e.absent() && len(e.Codes) > 0: // of this manifest
		default:
			c.unsupported(repository, 1)
		}
		return nil, nil
	}
	switch {
	case err != nil:
		return nil, c.explain("listing referrers of "+line(repository+"@"+digest), err)
	case !isIndex:
		c.unsupported(repository, 1)
		return nil, nil
	}
	c.changeReferrers(repository, func(s *referrersState) { s.supported, s.unsupported = true, 0 })
	return digests, nil
}

// index reads the pages of the referrers of a manifest, and reports whether the
// response is an index.
func (c *Client) index(ctx context.Context, repository, digest string) (digests []string, isIndex bool, err error) {
	if _, err := manifestRequest(repository, digest); err != nil {
		return nil, false, err
	}
	p := c.pages("/v2/"+repository+"/referrers/"+digest, repository, nil)
	p.accept = indexType
	for {
		resp, body, err := p.fetch(ctx, "")
		if err != nil {
			return nil, false, err
		}
		var page struct {
			SchemaVersion int           `json:"schemaVersion"`
			MediaType     string        `json:"mediaType"`
			Manifests     *[]descriptor `json:"manifests"`
		}
		mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		invalid := json.Unmarshal(body, &page)
		switch {
		case mediaType == indexType && invalid != nil:
			return nil, false, errors.New("the index is invalid JSON")
		case mediaType != indexType && (invalid != nil || page.Manifests == nil || page.SchemaVersion != 2 && page.MediaType != indexType):
			if p.linked {
				return nil, false, incomplete("a page of referrers is no index")
			}
			return nil, false, nil
		}
		fresh, all := 0, 0
		if page.Manifests != nil {
			all = len(*page.Manifests)
			for _, m := range *page.Manifests {
				if p.isNew(m.Digest) {
					fresh++
					if oci.ValidDigest(m.Digest) {
						digests = append(digests, m.Digest)
					}
				}
			}
		}
		more, err := p.next(resp, fresh, all)
		if err != nil || !more {
			return digests, true, err
		}
	}
}

func (s referrersState) off() bool {
	return !s.supported && s.unsupported >= maxUnsupported && time.Now().Before(s.until)
}

// WithoutReferrers reports whether a repository was found not to have the referrers API,
// by all of maxUnsupported responses or because it says so. If all reports that it was
// requested for all manifests, fewer responses are enough.
func (c *Client) WithoutReferrers(repository string, all bool) bool {
	s := c.referrersOf(repository)
	return s.off() || all && !s.supported && s.unsupported > 0
}

func (c *Client) referrersOf(repository string) referrersState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.referrers[repository]
}

func (c *Client) changeReferrers(repository string, change func(*referrersState)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.referrers[repository]
	change(&s)
	put(c.referrers, repository, s)
}

// unsupported counts responses of a repository without the referrers API.
func (c *Client) unsupported(repository string, n int) {
	c.changeReferrers(repository, func(s *referrersState) {
		if !s.until.IsZero() && time.Now().After(s.until) {
			s.unsupported = 0
		}
		s.unsupported += n
		s.until = time.Now().Add(unsupportedFor)
	})
}

// readable reports whether a manifest can be read although its referrers cannot.
func (c *Client) readable(ctx context.Context, repository, digest string) bool {
	if c.referrersOf(repository).readable {
		return true
	}
	_, err := c.resolve(ctx, repository, digest)
	if err == nil {
		c.changeReferrers(repository, func(s *referrersState) { s.readable = true })
	}
	return err == nil || errors.Is(err, ErrAbsent)
}
