package registry

import (
	"errors"
	"net/http"
	"slices"
)

var (
	// ErrAbsent is the error for what the registry itself says that it does not
	// have: a repository, tag, manifest or blob. It is no failure of a request.
	ErrAbsent = errors.New("not in the registry")
	// ErrUnauthorized is the error for what the credentials do not give access to.
	ErrUnauthorized = errors.New("missing or insufficient credentials")
	// ErrIncomplete is the error for a listing that is not known to be complete.
	ErrIncomplete = errors.New("the listing may be incomplete")
	// ErrMalformed is the error for a manifest that cannot be parsed. It is the
	// content of the source: the next attempt would find the same.
	ErrMalformed = errors.New("malformed manifest")
)

// absentCodes are the error codes for what a registry does not have.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
var absentCodes = []string{"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN"}

// absence reports whether a response says that the registry does not have
// something.
func absence(status int, codes []string) bool {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests, status < 400, status > 499:
		return false
	case status == http.StatusNotFound:
		return true
	}
	return slices.ContainsFunc(codes, func(code string) bool { return slices.Contains(absentCodes, code) })
}
