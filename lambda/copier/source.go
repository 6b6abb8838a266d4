package copier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/google"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/time/rate"
)

// Source is the registry that blobs are copied from. It is safe for concurrent
// use.
type Source struct {
	registry name.Registry
	prefix   string // of repositories, with a slash at its end unless empty
	keychain authn.Keychain
	limited  http.RoundTripper
	puller   *remote.Puller
}

// SourceOptions are the settings of a Source.
type SourceOptions struct {
	// Rate is how many requests a second it gets at most; 0 is no limit.
	Rate float64
	// Transport sends the requests; nil is one of its own.
	Transport http.RoundTripper
}

// NewSource makes a Source of HOST[/PREFIX], of which only the repositories
// below the prefix count. Logins come from the Docker configuration. Hosts on
// loopback addresses are spoken to by http. Nothing is asked yet.
func NewSource(source string, o SourceOptions) (*Source, error) {
	host, prefix, _ := strings.Cut(strings.TrimSuffix(source, "/"), "/")
	registry, err := name.NewRegistry(host)
	if err != nil || host == "" {
		return nil, fmt.Errorf("source %q: takes REGISTRY or REGISTRY/PREFIX, as us-docker.pkg.dev/project/images", source)
	}
	if prefix != "" {
		prefix += "/"
	}
	s := &Source{registry: registry, prefix: prefix, keychain: authn.DefaultKeychain}
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 64
		o.Transport = t
	}
	limit := rate.Inf
	if o.Rate > 0 {
		limit = rate.Limit(o.Rate)
	}
	s.limited = &patient{next: o.Transport, limiter: rate.NewLimiter(limit, max(1, int(o.Rate)))}
	s.puller, err = remote.NewPuller(remote.WithAuthFromKeychain(s.keychain), remote.WithTransport(s.limited))
	return s, err
}

// Repositories lists those below the prefix, in order.
func (s *Source) Repositories(ctx context.Context) ([]string, error) {
	catalog, err := s.puller.Catalogger(ctx, s.registry)
	if err != nil {
		return nil, s.explain("listing its repositories", err)
	}
	var all []string
	for catalog.HasNext() {
		page, err := catalog.Next(ctx)
		if err != nil {
			return nil, s.explain("listing its repositories", err)
		}
		for _, repository := range page.Repos {
			if strings.HasPrefix(repository, s.prefix) {
				all = append(all, repository)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Repository is the whole name of one that is named below the prefix.
func (s *Source) Repository(below string) string { return s.prefix + below }

// Manifests lists the digests of a repository's manifests. Where the registry
// has Google's listing extension they are all there, untagged ones too, in the
// listing itself; elsewhere it takes one HEAD a tag.
//
// The error is for the repository, or of type *ImageErrors for single images,
// and then the other digests are right.
func (s *Source) Manifests(ctx context.Context, repository string) ([]string, error) {
	repo, err := s.repository(repository)
	if err != nil {
		return nil, err
	}
	listing, err := google.List(repo, google.WithContext(ctx), google.WithAuthFromKeychain(s.keychain),
		google.WithTransport(s.limited))
	if err != nil {
		return nil, s.explain("listing the tags of "+repository, err)
	}
	found := map[string]bool{}
	for digest := range listing.Manifests {
		found[digest] = true
	}
	var bad ImageErrors
	if len(listing.Manifests) == 0 {
		for _, tag := range listing.Tags {
			d, err := s.puller.Head(ctx, repo.Tag(tag))
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err != nil {
				bad = append(bad, s.explain("looking for "+repository+":"+tag, err))
				continue
			}
			found[d.Digest.String()] = true
		}
	}
	digests := make([]string, 0, len(found))
	for digest := range found {
		digests = append(digests, digest)
	}
	slices.Sort(digests)
	if bad != nil {
		return digests, bad
	}
	return digests, nil
}

// ImageErrors are what is wrong with single images.
type ImageErrors []error

func (e ImageErrors) Error() string { return errors.Join(e...).Error() }

// Unwrap has each of them.
func (e ImageErrors) Unwrap() []error { return e }

// Manifest fetches and reads one, and checks it against its digest.
func (s *Source) Manifest(ctx context.Context, repository, digest string) (*Contents, error) {
	repo, err := s.repository(repository)
	if err != nil {
		return nil, err
	}
	d, err := s.puller.Get(ctx, repo.Digest(digest))
	if err != nil {
		return nil, s.explain("fetching "+repository+"@"+digest, err)
	}
	c, err := Parse(d.Manifest)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest %s@%s: %w", repository, digest, err)
	}
	return c, nil
}

// Referrers lists the manifests that refer to one, as signatures do.
func (s *Source) Referrers(ctx context.Context, repository, digest string) ([]string, error) {
	repo, err := s.repository(repository)
	if err != nil {
		return nil, err
	}
	index, err := remote.Referrers(repo.Digest(digest), remote.WithContext(ctx), remote.WithAuthFromKeychain(s.keychain), remote.WithTransport(s.limited))
	if err != nil {
		return nil, s.explain("listing what refers to "+repository+"@"+digest, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("reading what refers to %s@%s: %w", repository, digest, err)
	}
	var digests []string
	for _, d := range manifest.Manifests {
		digests = append(digests, d.Digest.String())
	}
	return digests, nil
}

// Blob opens a blob, and answers its size, -1 where the registry does not say.
func (s *Source) Blob(ctx context.Context, repository string, blob Blob) (content io.ReadCloser, size int64, err error) {
	repo, err := s.repository(repository)
	if err != nil {
		return nil, 0, err
	}
	hash, err := v1.NewHash(blob.Digest)
	if err != nil {
		return nil, 0, err
	}
	layer, err := s.puller.Layer(ctx, repo.Digest(hash.String()))
	if err != nil {
		return nil, 0, s.explain("fetching blob "+repository+"@"+blob.Digest, err)
	}
	size = blob.Size
	if size == unknown {
		if size, err = layer.Size(); err != nil {
			return nil, 0, s.explain("asking for the size of blob "+repository+"@"+blob.Digest, err)
		}
	}
	content, err = layer.Compressed()
	if err != nil {
		return nil, 0, s.explain("fetching blob "+repository+"@"+blob.Digest, err)
	}
	return content, size, nil
}

func (s *Source) repository(repository string) (name.Repository, error) {
	repo, err := name.NewRepository(s.registry.RegistryStr()+"/"+repository, name.WithDefaultRegistry(""))
	if err != nil {
		return repo, fmt.Errorf("repository %q: it is no name of one: %w", repository, err)
	}
	repo.Registry = s.registry
	return repo, nil
}

// explain makes one line of an error of the registry, that says what to do.
func (s *Source) explain(doing string, err error) error {
	var answer *transport.Error
	if errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden) {
		return fmt.Errorf("%s: %s: it wants a login that is not there or not enough; log in with docker or crane: %w", s.registry, doing, errLogin)
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

// patient keeps to the rate, and waits as long as a registry asks it to.
type patient struct {
	next    http.RoundTripper
	limiter *rate.Limiter
}

const (
	// patience is how often a request is sent again, longestWait how long a
	// registry may ask to wait.
	patience    = 6
	longestWait = 2 * time.Minute
)

func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		if err := p.limiter.Wait(r.Context()); err != nil {
			return nil, err
		}
		resp, err := p.next.RoundTrip(r)
		if try == patience || r.Context().Err() != nil || !passing(resp, err) {
			return resp, err
		}
		wait := pause(try)
		if err == nil {
			if asked, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
				wait = min(asked, longestWait)
			}
			resp.Body.Close()
		}
		if err := sleep(r.Context(), wait); err != nil {
			return nil, err
		}
	}
}
