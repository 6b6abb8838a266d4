package rude

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Refusal is a blob or manifest that a registry did not accept.
type Refusal struct {
	// Repository and Reference: a digest or tag.
	Repository, Reference string
	// Status and Message are those of the response.
	Status  int
	Message string
}

// String returns one line.
func (r Refusal) String() string {
	return fmt.Sprintf("%s %s: %d %s", r.Repository, r.Reference, r.Status, r.Message)
}

// Push copies content to a real registry at a base URL such as
// "http://127.0.0.1:5000". It returns what the registry has accepted, and what it
// refused; an error is one of the connection. Blobs and manifests with digests of
// SHA-512 are pushed as such. What the content refers to without having it, such as
// the missing child of an index, is pushed where it is known, and deleted again.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#push
func Push(ctx context.Context, base string, content *Content) (accepted *Content, refused []Refusal, err error) {
	p := &pusher{base: strings.TrimSuffix(base, "/")}
	accepted = &Content{Repositories: map[string]*Repository{}}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	p.ctx = ctx
	for _, name := range content.Names() {
		to := accepted.Repository(name)
		group.Go(func() error {
			if err := p.repository(name, content.Repositories[name], to); err != nil {
				return fmt.Errorf("pushing %s: %w", name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	maps.DeleteFunc(accepted.Repositories, func(_ string, r *Repository) bool { return len(r.Blobs)+len(r.Manifests) == 0 })
	slices.SortFunc(p.refused, func(a, b Refusal) int { return strings.Compare(a.String(), b.String()) })
	return accepted, p.refused, nil
}

type pusher struct {
	ctx  context.Context
	base string

	mu      sync.Mutex
	refused []Refusal
}

func (p *pusher) refuse(r Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = append(p.refused, r)
}

// repository pushes one repository, and checks that it has all manifests then:
// olareg drops the children of an index that have no media type there.
func (p *pusher) repository(name string, from, to *Repository) error {
	if err := p.all(name, from, to); err != nil {
		return err
	}
	for digest, m := range to.Manifests {
		r, err := http.NewRequestWithContext(p.ctx, http.MethodGet, p.base+"/v2/"+name+"/manifests/"+digest, nil)
		if err != nil {
			return err
		}
		r.Header.Set("Accept", m.MediaType)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			p.refuse(Refusal{name, digest, resp.StatusCode, "accepted, and not there"})
			delete(to.Manifests, digest)
		}
	}
	return nil
}

// all pushes one repository, after what it had in the past.
func (p *pusher) all(name string, from, to *Repository) error {
	if from.deleted == nil {
		return p.present(name, from, to)
	}
	past := newRepository()
	if err := p.present(name, from.deleted, past); err != nil {
		return err
	}
	if err := p.present(name, from, to); err != nil {
		return err
	}
	for digest := range past.Manifests {
		if err := p.remove(name, "manifests", digest); err != nil {
			return err
		}
	}
	for digest := range past.Blobs {
		if _, still := to.Blobs[digest]; !still {
			if err := p.remove(name, "blobs", digest); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pusher) remove(name, kind, digest string) error {
	resp, message, err := p.send(http.MethodDelete, p.base+"/v2/"+name+"/"+kind+"/"+digest, "", nil)
	if err == nil && resp.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("deleting %s: status %d: %s", digest, resp.StatusCode, message)
	}
	return err
}

// present pushes blobs, then manifests after all that they refer to.
func (p *pusher) present(name string, from, to *Repository) error {
	for _, digest := range slices.Sorted(maps.Keys(from.Blobs)) {
		ok, err := p.blob(name, digest, from.Blobs[digest])
		if err != nil {
			return err
		}
		if ok {
			to.Blobs[digest] = from.Blobs[digest]
		}
	}
	done := map[string]bool{}
	var push func(digest string) error
	push = func(digest string) error {
		m, has := from.Manifests[digest]
		if done[digest] || !has {
			return nil
		}
		done[digest] = true
		var d document
		if json.Unmarshal(m.Body, &d) == nil {
			for _, child := range d.Manifests {
				if err := push(child.Digest); err != nil {
					return err
				}
			}
			if d.Subject != nil {
				if err := push(d.Subject.Digest); err != nil {
					return err
				}
			}
		}
		ok, err := p.manifest(name, digest, m)
		if ok {
			to.Manifests[digest] = m
		}
		return err
	}
	for _, digest := range slices.Sorted(maps.Keys(from.Manifests)) {
		if err := push(digest); err != nil {
			return err
		}
	}
	var tags errgroup.Group
	tags.SetLimit(8)
	var mu sync.Mutex
	for tag, digest := range from.Tags {
		m, has := to.Manifests[digest]
		if !has {
			continue
		}
		tags.Go(func() error {
			ok, err := p.manifest(name, tag, m)
			if ok {
				mu.Lock()
				defer mu.Unlock()
				to.Tags[tag] = digest
			}
			return err
		})
	}
	return tags.Wait()
}

// blob uploads a blob in two requests.
func (p *pusher) blob(name, digest string, body []byte) (bool, error) {
	start := p.base + "/v2/" + name + "/blobs/uploads/"
	if strings.HasPrefix(digest, "sha512:") {
		start += "?digest-algorithm=sha512"
	}
	resp, message, err := p.send(http.MethodPost, start, "", nil)
	if err != nil {
		return false, err
	}
	if resp.StatusCode != http.StatusAccepted {
		p.refuse(Refusal{name, digest, resp.StatusCode, message})
		return false, nil
	}
	location, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil {
		return false, fmt.Errorf("uploading %s: invalid Location: %w", digest, err)
	}
	query := location.Query()
	query.Set("digest", digest)
	location.RawQuery = query.Encode()
	return p.stored(name, digest, location.String(), "application/octet-stream", body)
}

func (p *pusher) manifest(name, reference string, m Manifest) (bool, error) {
	return p.stored(name, reference, p.base+"/v2/"+name+"/manifests/"+url.PathEscape(reference), m.MediaType, m.Body)
}

// stored sends a PUT request, and reports whether it was accepted.
func (p *pusher) stored(name, reference, address, mediaType string, body []byte) (bool, error) {
	resp, message, err := p.send(http.MethodPut, address, mediaType, body)
	if err != nil {
		return false, err
	}
	if resp.StatusCode != http.StatusCreated {
		p.refuse(Refusal{name, reference, resp.StatusCode, message})
		return false, nil
	}
	return true, nil
}

func (p *pusher) send(method, address, mediaType string, body []byte) (*http.Response, string, error) {
	r, err := http.NewRequestWithContext(p.ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	message, err := io.ReadAll(io.LimitReader(resp.Body, 500))
	return resp, strings.Join(strings.Fields(string(message)), " "), err
}
