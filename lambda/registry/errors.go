package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

var (
	// ErrAbsent is the error for what the registry itself says that it does not
	// have: a repository, tag, manifest or blob. The request did not fail.
	ErrAbsent = errors.New("not in the registry")
	// ErrUnauthorized is the error for what the credentials do not give access to.
	ErrUnauthorized = errors.New("missing or insufficient credentials")
	// ErrIncomplete is the error for a listing that is not known to be complete.
	ErrIncomplete = errors.New("the listing may be incomplete")
	// ErrMalformed is the error for a manifest that cannot be parsed, and for a
	// name that is not one of the specification. It is the content of the source:
	// the next attempt would find the same.
	ErrMalformed = errors.New("malformed")
)

// incomplete returns an ErrIncomplete with the reason and what to do.
func incomplete(format string, args ...any) error {
	return fmt.Errorf("%w: %s: name the repositories with -repositories", ErrIncomplete, fmt.Sprintf(format, args...))
}

// ResponseError is the error for a response with an unexpected status code. Its
// text is one line without control characters.
type ResponseError struct {
	Status int
	// Codes are the error codes in the body. They are the registry's own text.
	// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
	Codes []string

	message string
	// storage is the host that a redirect led to, empty for the registry itself.
	storage string
}

// maxErrorBody in bytes is how much is read of the body of an error.
const maxErrorBody = 16 << 10

// responseError reads the body of a response and closes it.
func responseError(resp *http.Response, storage string) *ResponseError {
	defer resp.Body.Close()
	e := &ResponseError{Status: resp.StatusCode, storage: storage}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	var parsed struct {
		Errors []struct {
			Code    any    `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &parsed) != nil {
		return e
	}
	for _, d := range parsed.Errors {
		if code, ok := d.Code.(string); ok {
			e.Codes = append(e.Codes, code)
		}
		if e.message == "" {
			e.message = d.Message
		}
	}
	return e
}

func (e *ResponseError) Error() string {
	text := fmt.Sprint(e.Status)
	if name := http.StatusText(e.Status); name != "" {
		text += " " + name
	}
	if e.storage != "" {
		text += " from " + quote(e.storage)
	}
	for _, code := range e.Codes[:min(len(e.Codes), 3)] {
		if strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" || len(code) > 40 {
			code = quote(code)
		}
		text += " " + code
	}
	if e.message != "" {
		text += ": " + quote(e.message)
	}
	return text
}

// Is reports whether the response means ErrAbsent or ErrUnauthorized.
func (e *ResponseError) Is(target error) bool {
	switch target {
	case ErrAbsent:
		return e.absent()
	case ErrUnauthorized:
		return e.unauthorized()
	}
	return false
}

// absent reports whether the registry says that it does not have something.
func (e *ResponseError) absent() bool {
	switch {
	case e.Status < 400, e.Status > 499, e.Status == http.StatusTooManyRequests, e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return false
	case e.has("UNAUTHORIZED", "DENIED", "TOOMANYREQUESTS", "UNAVAILABLE"):
		return false // some registries use 404 for these
	case e.Status == http.StatusNotFound, e.Status == http.StatusGone:
		return true
	}
	return e.storage == "" && e.has("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN")
}

// unauthorized reports whether the registry wants other credentials. A storage
// host has none: its URLs are signed.
func (e *ResponseError) unauthorized() bool {
	if e.storage != "" {
		return false
	}
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden ||
		e.Status >= 400 && e.Status <= 499 && e.has("UNAUTHORIZED", "DENIED")
}

func (e *ResponseError) has(codes ...string) bool {
	return slices.ContainsFunc(e.Codes, func(code string) bool { return slices.Contains(codes, strings.ToUpper(code)) })
}

// explain makes an error one line that says what to do.
func (c *Client) explain(doing string, err error) error {
	prefix := c.Host() + ": " + doing + ": "
	if errors.Is(err, ErrUnauthorized) {
		return &lineError{prefix + ErrUnauthorized.Error() + ": log in with docker or crane, with an account that may pull", err}
	}
	text := err.Error()
	if errors.Is(err, ErrAbsent) && err != ErrAbsent {
		text = ErrAbsent.Error() + " (" + text + ")"
	}
	return &lineError{prefix + line(text), err}
}

// lineError is an error with another text.
type lineError struct {
	text string
	err  error
}

func (e *lineError) Error() string { return e.text }
func (e *lineError) Unwrap() error { return e.err }
