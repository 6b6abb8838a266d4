package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// session has the clients of one repository, because tokens are issued per
// repository.
type session struct {
	name   name.Repository
	client *http.Client
	puller *remote.Puller
}

// maxSessions limits the cached sessions of a registry with many repositories.
const maxSessions = 1000

func (c *Client) session(ctx context.Context, repository string) (*session, error) {
	c.mu.Lock()
	known := c.sessions[repository]
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	repo, err := name.NewRepository(c.registry.RegistryStr()+"/"+repository, name.WithDefaultRegistry(""))
	if err != nil {
		return nil, fmt.Errorf("invalid repository %q: %w", repository, err)
	}
	repo.Registry = c.registry
	login, err := authn.Resolve(ctx, c.keychain, repo)
	if err != nil {
		return nil, c.explain("looking up credentials for "+repository, err)
	}
	t, err := transport.NewWithContext(ctx, c.registry, login, c.limited, []string{repo.Scope(transport.PullScope)})
	if err != nil {
		return nil, c.explain("connecting to "+repository, err)
	}
	puller, err := remote.NewPuller(remote.WithAuth(login), remote.WithTransport(t))
	if err != nil {
		return nil, err
	}
	made := &session{repo, &http.Client{Transport: t, CheckRedirect: follow}, puller}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sessions) >= maxSessions {
		clear(c.sessions)
	}
	c.sessions[repository] = made
	return made, nil
}

// follow allows redirects to other hosts, but never from HTTPS to HTTP.
func follow(r *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("too many redirects")
	}
	if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return fmt.Errorf("redirect from https to %s: not following it", r.URL.Scheme)
	}
	return nil
}

// get sends a GET request and returns a response whose body must be closed. The
// error is a *transport.Error for status codes other than 200 and 206.
func (s *session) get(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	if strings.HasPrefix(address, "/") {
		address = s.name.Scheme() + "://" + s.name.RegistryStr() + "/v2/" + s.name.RepositoryStr() + address
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		r.Header[key] = values
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	if err := transport.CheckError(resp, http.StatusOK, http.StatusPartialContent); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// maxListingSize limits the size in bytes of one listing, all pages together, to
// bound memory.
const maxListingSize = 256 << 20

// pages calls yield with each page of a listing, until there are no more or yield
// is done.
func (s *session) pages(ctx context.Context, address string, yield func(*json.Decoder) (done bool, err error)) error {
	left := &io.LimitedReader{N: maxListingSize}
	for address != "" {
		if left.N <= 0 {
			return fmt.Errorf("the listing is larger than %d bytes", maxListingSize)
		}
		resp, err := s.get(ctx, address, nil)
		if err != nil {
			return err
		}
		left.R = resp.Body
		done, err := yield(json.NewDecoder(left))
		resp.Body.Close()
		if done || err != nil {
			return err
		}
		before := address
		if address, err = next(resp); err != nil {
			return err
		}
		if address != "" && (address == before || address == resp.Request.URL.String()) {
			return errors.New("the link to the next page is that of the same page")
		}
	}
	return nil
}

// next returns the URL of the next page, empty if there is none. It must be on
// the same host. RFC 8288.
func next(resp *http.Response) (string, error) {
	link, _, ok := strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), ">")
	if !ok {
		return "", nil
	}
	u, err := resp.Request.URL.Parse(link)
	if err != nil || u.Host != resp.Request.URL.Host || u.Scheme != resp.Request.URL.Scheme {
		return "", fmt.Errorf("the link to the next page is on another host: %q", link)
	}
	return u.String(), nil
}
