package copier

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

// session is what talks to one repository: a registry gives out tokens for one
// at a time.
type session struct {
	name   name.Repository
	client *http.Client
	puller *remote.Puller
}

// maxSessions bounds what is remembered of a registry with many repositories.
const maxSessions = 1000

func (s *Source) session(ctx context.Context, repository string) (*session, error) {
	s.mu.Lock()
	known := s.sessions[repository]
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	repo, err := name.NewRepository(s.registry.RegistryStr()+"/"+repository, name.WithDefaultRegistry(""))
	if err != nil {
		return nil, fmt.Errorf("repository %q: it is no name of one: %w", repository, err)
	}
	repo.Registry = s.registry
	login, err := authn.Resolve(ctx, s.keychain, repo)
	if err != nil {
		return nil, s.explain("looking for a login to "+repository, err)
	}
	t, err := transport.NewWithContext(ctx, s.registry, login, s.limited, []string{repo.Scope(transport.PullScope)})
	if err != nil {
		return nil, s.explain("reaching "+repository, err)
	}
	puller, err := remote.NewPuller(remote.WithAuth(login), remote.WithTransport(t))
	if err != nil {
		return nil, err
	}
	made := &session{repo, &http.Client{Transport: t, CheckRedirect: follow}, puller}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) >= maxSessions {
		clear(s.sessions)
	}
	s.sessions[repository] = made
	return made, nil
}

// follow lets blobs come from elsewhere, but never in clear where they were
// asked for over TLS.
func follow(r *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("it redirects without an end")
	}
	if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return fmt.Errorf("it redirects to %s, away from TLS", r.URL.Scheme)
	}
	return nil
}

// get sends a request for something of a repository, and answers a body that
// must be closed. Its error is a *transport.Error where the registry refused.
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

// maxListingSize bounds what a registry can make us keep of one listing, all of
// its pages together, in bytes.
const maxListingSize = 256 << 20

// pages reads the answers of a listing into fresh values, from one page to the
// next, until there is none or take is done.
func (s *session) pages(ctx context.Context, address string, take func(*json.Decoder) (done bool, err error)) error {
	left := &io.LimitedReader{N: maxListingSize}
	for address != "" {
		if left.N <= 0 {
			return fmt.Errorf("it goes on after %d bytes", maxListingSize)
		}
		resp, err := s.get(ctx, address, nil)
		if err != nil {
			return err
		}
		left.R = resp.Body
		done, err := take(json.NewDecoder(left))
		resp.Body.Close()
		if done || err != nil {
			return err
		}
		before := address
		if address, err = next(resp); err != nil {
			return err
		}
		if address != "" && (address == before || address == resp.Request.URL.String()) {
			return errors.New("the next page is the same one")
		}
	}
	return nil
}

// next is the address of the page after this one, empty for none. It must be of
// the same host. RFC 8288.
func next(resp *http.Response) (string, error) {
	link, _, ok := strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), ">")
	if !ok {
		return "", nil
	}
	u, err := resp.Request.URL.Parse(link)
	if err != nil || u.Host != resp.Request.URL.Host || u.Scheme != resp.Request.URL.Scheme {
		return "", fmt.Errorf("the next page is at %q, which is not of this registry", link)
	}
	return u.String(), nil
}
