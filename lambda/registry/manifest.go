package registry

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"archeio/lambda/oci"
	"archeio/lambda/pace"
)

// maxManifestSize in bytes is twice the size that the specification requires
// registries to accept.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
const maxManifestSize = 8 << 20

// Resolve returns the current digest of a tag, or of a digest. The error is an
// ErrAbsent if the registry does not have it.
func (c *Client) Resolve(ctx context.Context, repository, reference string) (string, error) {
	digest, err := c.resolve(ctx, repository, reference)
	if err != nil {
		separator := ":"
		if strings.Contains(reference, ":") {
			separator = "@"
		}
		return "", c.explain("resolving "+line(repository+separator+reference), err)
	}
	return digest, nil
}

// resolve returns a digest by HEAD. Where HEAD is refused or has no digest, it uses
// GET and computes the digest, and the next requests are GET at once.
func (c *Client) resolve(ctx context.Context, repository, reference string) (string, error) {
	q, err := manifestRequest(repository, reference)
	if err != nil {
		return "", err
	}
	headFailed := false
	if !c.headless.Load() {
		q.method = http.MethodHead
		resp, err := c.do(ctx, q)
		if err != nil {
			return "", err
		}
		resp.Body.Close()
		digest := resp.Header.Get("Docker-Content-Digest")
		switch {
		case resp.StatusCode == http.StatusOK && oci.ValidDigest(digest):
			if !strings.Contains(reference, ":") {
				c.mu.Lock()
				put(c.tags, repository+"@"+digest, reference)
				c.mu.Unlock()
			}
			return digest, nil
		case resp.StatusCode == http.StatusTooManyRequests:
			return "", responseError(resp.Response, resp.storage)
		}
		headFailed = true
	}
	resp, body, err := c.fetch(ctx, q, maxManifestSize)
	if err != nil {
		return "", err
	}
	if headFailed {
		c.headless.Store(true)
	}
	if said := resp.Header.Get("Docker-Content-Digest"); oci.ValidDigest(said) && matches(said, body) {
		return said, nil // also of another algorithm, or of a signed manifest
	}
	if _, err := Parse(body); err != nil { // for example a sign-in page
		return "", fmt.Errorf("the response is no manifest: %w", err)
	}
	computed := sha256Of(body)
	c.mu.Lock()
	put(c.computed, computed, true)
	c.mu.Unlock()
	return computed, nil
}

// manifestRequest is a request for a manifest.
func manifestRequest(repository, reference string) (request, error) {
	if !oci.ValidName(repository) || !validTag.MatchString(reference) && !oci.ValidDigest(reference) {
		return request{}, fmt.Errorf("%w: invalid name", ErrMalformed)
	}
	return request{address: "/v2/" + repository + "/manifests/" + reference, repository: repository, header: http.Header{"Accept": {oci.ManifestTypes}}}, nil
}

// manifestAttempts is how often a manifest is fetched that does not match its
// digest, which proxies may have changed or cut off.
const manifestAttempts = 3

// errContent is the error for content that does not match its digest.
var errContent = errors.New("content does not match its digest")

// Manifest fetches and parses a manifest, and verifies its digest. The error is an
// ErrAbsent if the registry does not have it, a *MovedError if it is no longer that
// of the tag that it was resolved from, and an ErrMalformed if it cannot be parsed.
// One above 8 MiB is neither: what it refers to is unknown.
func (c *Client) Manifest(ctx context.Context, repository, digest string) (*Contents, error) {
	doing := "fetching " + line(repository+"@"+digest)
	body, err := c.manifest(ctx, repository, digest)
	if errors.Is(err, ErrAbsent) {
		c.mu.Lock()
		contradicts := c.computed[digest]
		c.mu.Unlock()
		if contradicts {
			err = fmt.Errorf("the registry has a tag with this digest, but not the digest: %s", err.Error())
		} else if moved := c.moved(ctx, repository, digest); moved != nil {
			err = moved
		}
	}
	if err != nil {
		return nil, c.explain(doing, err)
	}
	contents, err := Parse(body)
	if err != nil {
		return nil, c.explain(doing, fmt.Errorf("%w manifest: %w", ErrMalformed, err))
	}
	return contents, nil
}

// MovedError is the error for a digest that Resolve has returned for a tag and
// that the registry does not have: the tag has moved since, or the response to
// HEAD was an old one of a cache.
type MovedError struct {
	// Tag is the tag, Digest the digest that it has now, and Contents is what that
	// manifest refers to.
	Tag, Digest string
	Contents    *Contents
}

func (e *MovedError) Error() string {
	return "not in the registry: tag " + e.Tag + " is " + e.Digest + " now"
}

// moved returns what the tag is now that had a digest, nil if it is not another
// manifest.
func (c *Client) moved(ctx context.Context, repository, digest string) *MovedError {
	c.mu.Lock()
	tag := c.tags[repository+"@"+digest]
	c.mu.Unlock()
	if tag == "" {
		return nil
	}
	q, err := manifestRequest(repository, tag)
	if err != nil {
		return nil
	}
	_, body, err := c.fetch(ctx, q, maxManifestSize)
	if err != nil {
		return nil
	}
	contents, err := Parse(body)
	if now := sha256Of(body); err == nil && now != digest {
		return &MovedError{Tag: tag, Digest: now, Contents: contents}
	}
	return nil
}

func (c *Client) manifest(ctx context.Context, repository, digest string) ([]byte, error) {
	q, err := manifestRequest(repository, digest)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		_, body, err := c.fetch(ctx, q, maxManifestSize)
		if err != nil {
			return nil, err
		}
		if matches(digest, body) {
			return body, nil
		}
		if attempt == manifestAttempts {
			return nil, errContent
		}
		if err := pace.Sleep(ctx, pace.Backoff(attempt)); err != nil {
			return nil, err
		}
	}
}

func sha256Of(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// matches reports whether a manifest matches a digest. That of a signed manifest
// of schema 1 is computed without its signatures.
func matches(digest string, manifest []byte) bool {
	switch algorithm, _, _ := strings.Cut(digest, ":"); algorithm {
	case "sha256":
		if digest == sha256Of(manifest) {
			return true
		}
		payload, ok := unsigned(manifest)
		return ok && digest == sha256Of(payload)
	case "sha512":
		sum := sha512.Sum512(manifest)
		return digest == "sha512:"+hex.EncodeToString(sum[:])
	}
	return false
}

// unsigned returns a signed manifest of schema 1 without its signatures.
// https://distribution.github.io/distribution/spec/deprecated-schema-v1/#signed-manifests
func unsigned(manifest []byte) ([]byte, bool) {
	var m struct {
		SchemaVersion int `json:"schemaVersion"`
		Signatures    []struct {
			Protected string `json:"protected"`
		} `json:"signatures"`
	}
	if json.Unmarshal(manifest, &m) != nil || m.SchemaVersion != 1 || len(m.Signatures) == 0 {
		return nil, false
	}
	var protected struct {
		Length int    `json:"formatLength"`
		Tail   string `json:"formatTail"`
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(m.Signatures[0].Protected, "="))
	if err != nil || json.Unmarshal(text, &protected) != nil || protected.Length < 0 || protected.Length > len(manifest) {
		return nil, false
	}
	tail, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(protected.Tail, "="))
	if err != nil {
		return nil, false
	}
	return append(manifest[:protected.Length:protected.Length], tail...), true
}
