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
// SHA-512 are pushed as such.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#push
func Push(ctx context.Context, base string, content *Content) (accepted *Content, refused []Refusal, err error) {
	p := &pusher{ctx: ctx, base: strings.TrimSuffix(base, "/")}
	accepted = &Content{Repositories: map[string]*Repository{}}
	for _, name := range content.Names() {
		if err := p.repository(name, content.Repositories[name], accepted.Repository(name)); err != nil {
			return nil, nil, fmt.Errorf("pushing %s: %w", name, err)
		}
		if r := accepted.Repositories[name]; len(r.Blobs)+len(r.Manifests) == 0 {
			delete(accepted.Repositories, name)
		}
	}
	return accepted, p.refused, nil
}

type pusher struct {
	ctx     context.Context
	base    string
	refused []Refusal
}

// repository pushes blobs, then manifests after all that they refer to.
func (p *pusher) repository(name string, from, to *Repository) error {
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
	for _, tag := range slices.Sorted(maps.Keys(from.Tags)) {
		m, has := to.Manifests[from.Tags[tag]]
		if !has {
			continue
		}
		ok, err := p.manifest(name, tag, m)
		if err != nil {
			return err
		}
		if ok {
			to.Tags[tag] = from.Tags[tag]
		}
	}
	return nil
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
		p.refused = append(p.refused, Refusal{name, digest, resp.StatusCode, message})
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
		p.refused = append(p.refused, Refusal{name, reference, resp.StatusCode, message})
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
