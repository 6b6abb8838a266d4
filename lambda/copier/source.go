package copier

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
)

// Source is the registry that blobs are copied from. It is safe for concurrent
// use.
type Source struct {
	registry  name.Registry
	prefix    string // of repositories, without a slash at its end
	keychain  authn.Keychain
	limited   http.RoundTripper
	bandwidth *rate.Limiter

	mu       sync.Mutex
	sessions map[string]*session
	// referrers tells, once the first answer has, whether the registry has such
	// an API; others wait for the first.
	referrers atomic.Int32
	asking    sync.Mutex
}

// SourceOptions are the settings of a Source.
type SourceOptions struct {
	// Rate is how many requests a second it gets at most, Bandwidth how many
	// bytes a second of blobs are read; 0 is no limit.
	Rate, Bandwidth float64
	// Transport sends the requests; nil is one of its own.
	Transport http.RoundTripper
	// Keychain has the logins; nil is the Docker configuration's.
	Keychain authn.Keychain
}

// NewSource makes a Source of HOST[/PREFIX], of which only the repositories
// below the prefix count. Hosts on loopback addresses are spoken to by http.
// Nothing is asked yet.
func NewSource(source string, o SourceOptions) (*Source, error) {
	host, prefix, _ := strings.Cut(strings.TrimSuffix(source, "/"), "/")
	registry, err := name.NewRegistry(host)
	if err != nil || host == "" || strings.Contains(source, "://") {
		return nil, fmt.Errorf("source %q: takes REGISTRY or REGISTRY/PREFIX, as us-docker.pkg.dev/project/images", source)
	}
	s := &Source{registry: registry, prefix: prefix, keychain: o.Keychain, bandwidth: limiter(o.Bandwidth, burst), sessions: map[string]*session{}}
	if s.keychain == nil {
		s.keychain = authn.DefaultKeychain
	}
	next := o.Transport
	if next == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 64
		t.ResponseHeaderTimeout = stalled
		next = t
	}
	s.limited = &retryTransport{next: next, limiter: limiter(o.Rate, max(1, int(o.Rate)))}
	return s, nil
}

func limiter(perSecond float64, burst int) *rate.Limiter {
	if perSecond <= 0 {
		return rate.NewLimiter(rate.Inf, burst)
	}
	return rate.NewLimiter(rate.Limit(perSecond), burst)
}

// Entry is a manifest of a repository as its listing names it: by its digest,
// its tag, or both.
type Entry struct{ Tag, Digest string }

// String is what errors call it.
func (e Entry) String() string {
	if e.Tag != "" {
		return ":" + e.Tag
	}
	return "@" + e.Digest
}

// Listing is what a repository has.
type Listing struct {
	// Entries are sorted; a tag is there once.
	Entries []Entry
	// Complete tells that untagged manifests are there too, as in the listings
	// of Artifact Registry and GCR. Only there entries have a digest.
	Complete bool
	// Children are repositories below this one, by whole name.
	Children []string
}

// List lists a repository.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
func (s *Source) List(ctx context.Context, repository string) (*Listing, error) {
	session, err := s.session(ctx, repository)
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
			l.Entries = append(l.Entries, e)
		}
		for _, child := range page.Children {
			l.Children = append(l.Children, repository+"/"+child)
		}
		if len(page.Manifest)+len(page.Children) > 0 {
			l.Complete = true
			return true, nil // it is all in one page
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
		return nil, s.explain("listing the tags of "+repository, err)
	}
	slices.SortFunc(l.Entries, func(a, b Entry) int {
		return strings.Compare(a.Digest+a.Tag, b.Digest+b.Tag)
	})
	slices.Sort(l.Children)
	return l, nil
}

// Roots are the repositories to begin with: the prefix itself where the
// registry lists what is below it, else all of its catalog that is below the
// prefix, from page to page. take gets each page, and next, the name that the
// page behind it begins after; empty if there is none. The walk itself begins
// after a name, empty for the first.
func (s *Source) Roots(ctx context.Context, after string, take func(repositories []string, next string) error) error {
	if s.prefix != "" && after == "" {
		l, err := s.List(ctx, s.prefix)
		if err == nil && l.Complete {
			return take([]string{s.prefix}, "")
		}
		// Elsewhere a prefix is no repository: how that is said differs.
		if ctx.Err() != nil || errors.Is(err, errLogin) {
			return err
		}
	}
	for {
		page, err := remote.CatalogPage(s.registry, after, catalogPage, remote.WithContext(ctx), remote.WithAuthFromKeychain(s.keychain), remote.WithTransport(s.limited))
		if err != nil {
			return s.explain("listing its repositories", err)
		}
		if len(page) == 0 || slices.Contains(page, after) {
			return nil // some registries do not know what to begin after
		}
		after = page[len(page)-1] // the order is the registry's own
		var below []string
		for _, repository := range page {
			if s.prefix == "" || repository == s.prefix || strings.HasPrefix(repository, s.prefix+"/") {
				below = append(below, repository)
			}
		}
		if err := take(below, after); err != nil {
			return err
		}
	}
}

// catalogPage is how many names a page of the catalog has.
const catalogPage = 1000

// Repository is the whole name of one that is named below the prefix.
func (s *Source) Repository(below string) string {
	if s.prefix == "" {
		return below
	}
	return s.prefix + "/" + below
}

// Resolve answers the digest that a tag has now.
func (s *Source) Resolve(ctx context.Context, repository, tag string) (string, error) {
	session, err := s.session(ctx, repository)
	if err != nil {
		return "", err
	}
	d, err := session.puller.Head(ctx, session.name.Tag(tag))
	if err != nil {
		return "", s.explain("looking for "+repository+":"+tag, err)
	}
	return d.Digest.String(), nil
}

// Manifest fetches and reads one, and checks it against its digest.
func (s *Source) Manifest(ctx context.Context, repository, digest string) (*Contents, error) {
	session, err := s.session(ctx, repository)
	if err != nil {
		return nil, err
	}
	d, err := session.puller.Get(ctx, session.name.Digest(digest))
	if err != nil {
		return nil, s.explain("fetching "+repository+"@"+digest, err)
	}
	c, err := Parse(d.Manifest)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest %s@%s: %w", repository, digest, err)
	}
	return c, nil
}

// What is known of the API for referrers.
const (
	unasked int32 = iota
	present
	absent
)

// Referrers lists the manifests that refer to one, as signatures do. A registry
// without that API has them among its tags.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
func (s *Source) Referrers(ctx context.Context, repository, digest string) ([]string, error) {
	switch s.referrers.Load() {
	case absent:
		return nil, nil
	case unasked:
		s.asking.Lock()
		defer s.asking.Unlock()
		if s.referrers.Load() == absent {
			return nil, nil
		}
	}
	session, err := s.session(ctx, repository)
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
	var answer *transport.Error
	if errors.As(err, &answer) {
		switch answer.StatusCode { // all of these are in use
		case http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
			s.referrers.CompareAndSwap(unasked, absent)
			return nil, nil
		}
	}
	if err != nil {
		return nil, s.explain("listing what refers to "+repository+"@"+digest, err)
	}
	s.referrers.Store(present)
	return digests, nil
}

// Blob opens a blob, from a number of bytes on, and answers its whole size, -1
// where neither the manifest nor the registry says it. What is read counts
// against the bandwidth.
func (s *Source) Blob(ctx context.Context, repository string, blob Blob, from int64) (content io.ReadCloser, size int64, err error) {
	session, err := s.session(ctx, repository)
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
		return nil, 0, s.explain("fetching blob "+repository+"@"+blob.Digest, err)
	}
	size = blob.Size
	if size == unknown && from == 0 {
		size = resp.ContentLength
	}
	body := newStream(ctx, cancel, resp.Body, s.bandwidth)
	if from > 0 && resp.StatusCode == http.StatusOK { // it knows no ranges
		if _, err := io.CopyN(io.Discard, body, from); err != nil {
			body.Close()
			return nil, 0, s.explain("fetching blob "+repository+"@"+blob.Digest, err)
		}
	}
	return body, size, nil
}

// explain makes one line of an error of the registry, that says what to do.
func (s *Source) explain(doing string, err error) error {
	var answer *transport.Error
	if errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden) {
		return fmt.Errorf("%s: %s: it wants a login that is not there or not enough; log in with docker or crane: %w", s.registry, doing, errLogin)
	}
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err // what was asked for stands before it
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%s: %s: %w", s.registry, doing, &oneLine{text, err})
}

var errLogin = errors.New("not authorized")

type oneLine struct {
	text string
	err  error
}

func (e *oneLine) Error() string { return e.text }
func (e *oneLine) Unwrap() error { return e.err }
