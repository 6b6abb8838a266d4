package registry

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"archeio/lambda/pace"
)

// userAgent is the User-Agent of all requests.
const userAgent = "archeio-mirror"

// request is a request to the registry.
type request struct {
	method  string
	address string // path and query
	// repository decides the credentials and the scope of a token; it is empty for
	// the catalog.
	repository string
	header     http.Header
}

// response is a response to a request. Its body must be closed.
type response struct {
	*http.Response
	asked *url.URL // at the registry, before any redirect
	// storage is the host that a redirect led to, empty for the registry itself.
	storage string
}

const (
	maxRedirects = 10
	// maxRefusals is how often a request is sent again with other credentials.
	maxRefusals = 2
)

// do sends a request to the registry, responds to challenges and follows
// redirects. Its error is not that of a status code.
func (c *Client) do(ctx context.Context, q request) (*response, error) {
	scheme, err := c.scheme(ctx)
	if err != nil {
		return nil, err
	}
	asked, err := url.Parse(scheme + "://" + c.Host() + q.address)
	if err != nil {
		return nil, fmt.Errorf("invalid address: %s", line(err.Error()))
	}
	target, refusals, challenged := asked, 0, false
	for redirects := 0; ; {
		authorization, generation, err := c.auth.authorization(ctx, target, q.repository)
		if err != nil {
			return nil, err
		}
		sent := ctx
		if redirects > 0 { // the request before was counted
			sent = context.WithValue(ctx, redirected{}, true)
		}
		r, err := http.NewRequestWithContext(sent, q.method, target.String(), nil)
		if err != nil {
			return nil, fmt.Errorf("invalid address: %s", line(err.Error()))
		}
		r.Header.Set("Accept-Encoding", "identity") // Go unpacks what it has asked for itself
		r.Header.Set("User-Agent", userAgent)
		maps.Copy(r.Header, q.header)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		resp, err := c.transport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		first := authorization == "" && !challenged // refuses no credentials
		if (first || refusals < maxRefusals) && mayReauthenticate(resp, authorization) {
			again, err := c.auth.refused(ctx, resp, target, q.repository, authorization, generation, refusals > 0)
			if err != nil {
				resp.Body.Close()
				return nil, err
			}
			if challenged = true; !first {
				refusals++
			}
			if again {
				drain(resp)
				continue
			}
		}
		to := redirect(resp)
		if to == "" {
			out := &response{Response: resp, asked: asked}
			if target.Host != asked.Host {
				out.storage = target.Host
			}
			return out, nil
		}
		drain(resp)
		if redirects++; redirects > maxRedirects {
			return nil, errors.New("too many redirects")
		}
		if target, err = follow(target, to); err != nil {
			return nil, err
		}
	}
}

// mayReauthenticate reports whether other credentials may help. Registries
// respond to expired ones with 400 and 403 too.
// https://github.com/aws/containers-roadmap/issues/2835
func mayReauthenticate(resp *http.Response, authorization string) bool {
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return true
	case authorization == "" || resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusForbidden:
		return false
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(body), resp.Body}
	return resp.StatusCode == http.StatusForbidden && strings.HasPrefix(authorization, "Basic ") || bytes.Contains(bytes.ToLower(body), []byte("expired"))
}

// redirect returns the Location of a redirect, empty if the response is not a redirect.
func redirect(resp *http.Response) string {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return resp.Header.Get("Location")
	}
	return ""
}

// follow returns the URL of a redirect, which may be on another host, but never
// goes from HTTPS to HTTP.
func follow(from *url.URL, to string) (*url.URL, error) {
	u, err := from.Parse(to)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("redirect to %s: not an address", quote(to))
	}
	if !mayFollow(from, u) {
		return nil, fmt.Errorf("redirect from https to %s: not following it", u.Scheme)
	}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	return u, nil
}

// mayFollow reports whether a URL keeps TLS.
func mayFollow(from, to *url.URL) bool {
	return to.Scheme == "https" || to.Scheme == "http" && from.Scheme == "http"
}

// scheme returns that of the registry: https, or http for a loopback address
// that does not use TLS. It is found out once.
func (c *Client) scheme(ctx context.Context) (string, error) {
	if !loopback(c.Host()) {
		return "https", nil
	}
	c.schemeMu.Lock()
	defer c.schemeMu.Unlock()
	if c.found != "" {
		return c.found, nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.Host()+"/v2/", nil)
	if err != nil {
		return "", err
	}
	resp, err := c.transport.RoundTrip(r)
	switch {
	case otherScheme(err):
		c.found = "http"
	case err != nil:
		return "", err
	default:
		drain(resp)
		c.found = "https"
	}
	return c.found, nil
}

const (
	// bodyTimeout limits the time for a whole body that is read into memory.
	bodyTimeout = 5 * time.Minute
	// bodyAttempts is how often a request is sent whose body cannot be read to
	// its end.
	bodyAttempts = 4
)

// fetch sends a GET request and returns the response, and its body of at most
// some bytes. The error is a *ResponseError for a status code other than 200.
func (c *Client) fetch(ctx context.Context, q request, most int64) (*response, []byte, error) {
	q.method = http.MethodGet
	for attempt := 1; ; attempt++ {
		resp, body, err := c.fetchOnce(ctx, q, most)
		if !errors.Is(err, errBody) || errors.Is(err, errTooLarge) || attempt == bodyAttempts || ctx.Err() != nil {
			return resp, body, err
		}
		if err := pace.Sleep(ctx, pace.Backoff(attempt)); err != nil {
			return nil, nil, err
		}
	}
}

func (c *Client) fetchOnce(ctx context.Context, q request, most int64) (*response, []byte, error) {
	resp, err := c.do(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, responseError(resp.Response, resp.storage)
	}
	late := time.AfterFunc(bodyTimeout, func() { resp.Body.Close() })
	defer late.Stop()
	body, err := readBody(resp.Response, most)
	return resp, body, err
}

var (
	// errBody is the error for a body that cannot be read to its end.
	errBody = errors.New("reading the response")
	// errTooLarge is the error for a body above its limit.
	errTooLarge = errors.New("are too many")
)

// readBody reads a body of at most some bytes, and closes it. It unpacks a body
// that a server has compressed without being asked to.
func readBody(resp *http.Response, most int64) ([]byte, error) {
	defer resp.Body.Close()
	if resp.ContentLength > most {
		return nil, fmt.Errorf("%w: %d bytes %w: want at most %d", errBody, resp.ContentLength, errTooLarge, most)
	}
	body, err := readAll(resp.Body, most)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBody, err)
	}
	if encoding := strings.ToLower(resp.Header.Get("Content-Encoding")); encoding != "gzip" && encoding != "x-gzip" {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body, nil // only the header says so
	}
	if body, err = readAll(z, most); err != nil {
		return nil, fmt.Errorf("%w: unpacking: %w", errBody, err)
	}
	return body, nil
}

func readAll(r io.Reader, most int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(body)) > most {
		err = fmt.Errorf("more than %d bytes %w", most, errTooLarge)
	}
	return body, err
}
