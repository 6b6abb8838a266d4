// Package registry reads a source registry: its repositories, tags, manifests,
// referrers and blobs.
package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/time/rate"

	"archeio/lambda/outage"
	"archeio/lambda/pace"
)

// Client is the registry that blobs are copied from. It is safe for concurrent
// use.
type Client struct {
	registry  name.Registry
	prefix    string // of repositories, without a slash at its end
	keychain  authn.Keychain
	limited   http.RoundTripper
	bandwidth *rate.Limiter

	mu       sync.Mutex
	sessions map[string]*session
	// referrers is whether the registry has the referrers API; the first request
	// finds out, and all others wait for it.
	referrers atomic.Int32
	probing   sync.Mutex
}

// Options are the settings of a Client.
type Options struct {
	// Rate limits the requests per second, Bandwidth the bytes of blobs read per
	// second; 0 is no limit.
	Rate, Bandwidth float64
	// Transport sends the requests; nil is a transport of the Client.
	Transport http.RoundTripper
	// Keychain has the credentials; nil is that of the Docker configuration.
	Keychain authn.Keychain
	// Notify is called if a host cannot be reached: within a few seconds, and
	// once per host and outage. It gets one line and must be safe for concurrent
	// use; it may be nil.
	Notify func(message string)
}

// New returns a Client for HOST[/PREFIX], which is limited to the
// repositories below the prefix. It uses HTTP for loopback addresses. It sends no
// requests yet.
func New(source string, o Options) (*Client, error) {
	host, prefix, _ := strings.Cut(strings.TrimSuffix(source, "/"), "/")
	registry, err := name.NewRegistry(host)
	if err != nil || host == "" || strings.Contains(source, "://") {
		return nil, fmt.Errorf("invalid source %q: want REGISTRY or REGISTRY/PREFIX, for example us-docker.pkg.dev/project/images", source)
	}
	c := &Client{registry: registry, prefix: prefix, keychain: o.Keychain, bandwidth: pace.Limiter(o.Bandwidth, pace.Burst), sessions: map[string]*session{}}
	if c.keychain == nil {
		c.keychain = authn.DefaultKeychain
	}
	next := o.Transport
	if next == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 64
		t.ResponseHeaderTimeout = pace.StallTimeout
		next = t
	}
	c.limited = &retryTransport{next: next, limiter: pace.Limiter(o.Rate, max(1, int(o.Rate))), outages: outage.New(o.Notify, maxAttempts)}
	return c, nil
}

// Entry is a manifest in the listing of a repository: its digest, its tag, or
// both.
type Entry struct{ Tag, Digest string }

// String returns the end of an image reference: ":tag" or "@digest".
func (e Entry) String() string {
	if e.Tag != "" {
		return ":" + e.Tag
	}
	return "@" + e.Digest
}

// Key is the sort key of an entry.
func (e Entry) Key() string { return e.Digest + e.Tag }

// Listing is the content of a repository.
type Listing struct {
	// Entries are sorted, without duplicate tags.
	Entries []Entry
	// Complete reports whether untagged manifests are included, as in the
	// listings of Artifact Registry and GCR. Only then do entries have a digest.
	Complete bool
	// Tags are all tags of each digest in a Complete listing; the entry of a digest has
	// the smallest one.
	Tags map[string][]string
	// Children are the full names of the repositories below this one.
	Children []string
}

// List lists the tags, manifests and children of a repository.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
func (c *Client) List(ctx context.Context, repository string) (*Listing, error) {
	session, err := c.session(ctx, repository)
	if err != nil {
		return nil, err
	}
	l := &Listing{}
	seen := map[string]bool{}
	err = session.pages(ctx, "/tags/list?n=1000", func(d *json.Decoder) (bool, error) {
		var page struct {
			Tags     []string                          `json:"tags"`
			Children []string                          `json:"child"`
			Manifest map[string]struct{ Tag []string } `json:"manifest"`
		}
		if err := d.Decode(&page); err != nil {
			return false, err
		}
		for digest, m := range page.Manifest {
			e := Entry{Digest: digest}
			if len(m.Tag) > 0 {
				e.Tag = slices.Min(m.Tag)
			}
			if l.Tags == nil {
				l.Tags = map[string][]string{}
			}
			l.Tags[digest] = m.Tag
			l.Entries = append(l.Entries, e)
		}
		for _, child := range page.Children {
			l.Children = append(l.Children, repository+"/"+child)
		}
		if len(page.Manifest)+len(page.Children) > 0 {
			l.Complete = true
			return true, nil // this listing has one page
		}
		for _, tag := range page.Tags {
			if !seen[tag] {
				seen[tag] = true
				l.Entries = append(l.Entries, Entry{Tag: tag})
			}
		}
		return false, nil
	})
	if err != nil {
		return nil, c.explain("listing the tags of "+repository, err)
	}
	slices.SortFunc(l.Entries, func(a, b Entry) int {
		return strings.Compare(a.Digest+a.Tag, b.Digest+b.Tag)
	})
	slices.Sort(l.Children)
	return l, nil
}

// Roots calls yield with the repositories to start from, page by page: the
// prefix itself if the registry lists its children, or else the part of the
// catalog below the prefix. next is where the following page starts, an opaque
// string, empty for the last page. after is the next of an earlier call, empty
// to start at the beginning.
//
// Without repositories, yield is not called, and the error is nil if the
// registry lists the prefix as empty. It is ErrAbsent if nothing proves that
// the prefix exists.
func (c *Client) Roots(ctx context.Context, after string, yield func(repositories []string, next string) error) error {
	if c.prefix != "" && after == "" {
		l, err := c.List(ctx, c.prefix)
		if err == nil && l.Complete {
			return yield([]string{c.prefix}, "")
		}
		// With other registries a prefix is not a repository; the error differs.
		if ctx.Err() != nil || errors.Is(err, ErrUnauthorized) {
			return err
		}
	}
	for {
		page, err := remote.CatalogPage(c.registry, after, catalogPage, remote.WithContext(ctx), remote.WithAuthFromKeychain(c.keychain), remote.WithTransport(c.limited))
		if err != nil {
			return c.explain("listing repositories", err)
		}
		if len(page) == 0 || slices.Contains(page, after) {
			return nil // some registries ignore last and send the first page again
		}
		after = page[len(page)-1] // in the order of the registry
		var below []string
		for _, repository := range page {
			if c.prefix == "" || repository == c.prefix || strings.HasPrefix(repository, c.prefix+"/") {
				below = append(below, repository)
			}
		}
		if err := yield(below, after); err != nil {
			return err
		}
	}
}

// catalogPage is the number of names in a page of the catalog.
const catalogPage = 1000

// Host returns the host of the registry, with its port if it has one.
func (c *Client) Host() string { return c.registry.RegistryStr() }

// Repository returns the full name of a repository below the prefix.
func (c *Client) Repository(below string) string {
	if c.prefix == "" {
		return below
	}
	return c.prefix + "/" + below
}

// Resolve returns the current digest of a tag.
func (c *Client) Resolve(ctx context.Context, repository, tag string) (string, error) {
	session, err := c.session(ctx, repository)
	if err != nil {
		return "", err
	}
	d, err := session.puller.Head(ctx, session.name.Tag(tag))
	if err != nil {
		return "", c.explain("resolving "+repository+":"+tag, err)
	}
	return d.Digest.String(), nil
}

// Manifest fetches and parses a manifest, and verifies its digest.
func (c *Client) Manifest(ctx context.Context, repository, digest string) (*Contents, error) {
	session, err := c.session(ctx, repository)
	if err != nil {
		return nil, err
	}
	d, err := session.puller.Get(ctx, session.name.Digest(digest))
	if err != nil {
		return nil, c.explain("fetching "+repository+"@"+digest, err)
	}
	contents, err := Parse(d.Manifest)
	if err != nil {
		return nil, fmt.Errorf("parsing manifest %s@%s: %w: %w", repository, digest, ErrMalformed, err)
	}
	return contents, nil
}

// Whether the registry has the referrers API.
const (
	unprobed int32 = iota
	present
	absent
)

// Referrers lists the manifests that refer to one, for example signatures. A
// registry without that API has them among its tags, so the list is empty.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
func (c *Client) Referrers(ctx context.Context, repository, digest string) ([]string, error) {
	switch c.referrers.Load() {
	case absent:
		return nil, nil
	case unprobed:
		c.probing.Lock()
		defer c.probing.Unlock()
		if c.referrers.Load() == absent {
			return nil, nil
		}
	}
	session, err := c.session(ctx, repository)
	if err != nil {
		return nil, err
	}
	var digests []string
	err = session.pages(ctx, "/referrers/"+digest, func(d *json.Decoder) (bool, error) {
		var index struct{ Manifests []descriptor }
		if err := d.Decode(&index); err != nil {
			return false, err
		}
		for _, m := range index.Manifests {
			digests = append(digests, m.Digest)
		}
		return false, nil
	})
	var response *transport.Error
	if errors.As(err, &response) {
		switch response.StatusCode { // registries use all of these
		case http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
			c.referrers.CompareAndSwap(unprobed, absent)
			return nil, nil
		}
	}
	if err != nil {
		return nil, c.explain("listing referrers of "+repository+"@"+digest, err)
	}
	c.referrers.Store(present)
	return digests, nil
}

// Blob opens a blob at an offset in bytes and returns its full size, -1 if
// neither the manifest nor the registry has it. Reading it counts against the
// bandwidth.
func (c *Client) Blob(ctx context.Context, repository string, blob Blob, from int64) (content io.ReadCloser, size int64, err error) {
	session, err := c.session(ctx, repository)
	if err != nil {
		return nil, 0, err
	}
	header := http.Header{}
	if from > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	resp, err := session.get(ctx, "/blobs/"+blob.Digest, header)
	if err != nil {
		cancel(nil)
		return nil, 0, c.explain("fetching blob "+repository+"@"+blob.Digest, err)
	}
	size = blob.Size
	if size == SizeUnknown && from == 0 {
		size = resp.ContentLength
	}
	body := pace.NewReader(ctx, cancel, resp.Body, c.bandwidth)
	if from > 0 && resp.StatusCode == http.StatusOK { // the registry ignores Range
		if _, err := io.CopyN(io.Discard, body, from); err != nil {
			body.Close()
			return nil, 0, c.explain("fetching blob "+repository+"@"+blob.Digest, err)
		}
	}
	return body, size, nil
}

// explain makes an error of the registry one line that says what to do.
func (c *Client) explain(doing string, err error) error {
	var response *transport.Error
	if errors.As(err, &response) && (response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden) {
		return fmt.Errorf("%s: %s: %w: log in with docker or crane, with an account that may pull", c.registry, doing, ErrUnauthorized)
	}
	if errors.As(err, &response) {
		var codes []string
		for _, d := range response.Errors {
			codes = append(codes, string(d.Code))
		}
		if absence(response.StatusCode, codes) {
			return fmt.Errorf("%s: %s: %w", c.registry, doing, ErrAbsent)
		}
	}
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err // doing already has the URL
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%s: %s: %w", c.registry, doing, &oneLine{text, err})
}

type oneLine struct {
	text string
	err  error
}

func (e *oneLine) Error() string { return e.text }
func (e *oneLine) Unwrap() error { return e.err }
