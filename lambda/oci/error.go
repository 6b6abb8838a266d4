package oci

import (
	"encoding/json"
	"strconv"
)

// Code is an error code of the distribution specification.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
type Code string

// The codes that the redirector uses.
const (
	BlobUnknown     Code = "BLOB_UNKNOWN"
	DigestInvalid   Code = "DIGEST_INVALID"
	ManifestUnknown Code = "MANIFEST_UNKNOWN"
	NameInvalid     Code = "NAME_INVALID"
	NameUnknown     Code = "NAME_UNKNOWN"
	TagInvalid      Code = "TAG_INVALID"
	TooManyRequests Code = "TOOMANYREQUESTS"
	Unsupported     Code = "UNSUPPORTED"
	// Unavailable is not in the specification; the distribution registry uses it.
	Unavailable Code = "UNAVAILABLE"
)

// Error is an error response.
type Error struct {
	// Status is the HTTP status code.
	Status  int
	Code    Code
	Message string
	// Detail is the rejected input, truncated; it may be empty.
	Detail string
}

// Error returns the message, followed by the quoted detail if there is one.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Message
	}
	return e.Message + ": " + strconv.Quote(e.Detail)
}

// Body returns the JSON response body that the specification defines.
func (e *Error) Body() string {
	type entry struct {
		Code    Code   `json:"code"`
		Message string `json:"message"`
		Detail  string `json:"detail,omitempty"`
	}
	body, err := json.Marshal(map[string][]entry{"errors": {{e.Code, e.Message, e.Detail}}})
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(body)
}

// MethodNotAllowed returns the error for methods other than GET and HEAD.
func MethodNotAllowed(method string) *Error {
	return unsupported(405, "this registry is read-only", method)
}

// MalformedPath returns the error for a path with an invalid percent-escape.
func MalformedPath() *Error {
	return &Error{Status: 400, Code: NameInvalid, Message: "malformed percent-escape in the path"}
}

// NameTooLong returns the error for a repository name that is longer than MaxName
// together with the prefix of the upstream.
func NameTooLong(name string) *Error {
	return &Error{400, NameInvalid, "repository name longer than " + strconv.Itoa(MaxName) + " bytes with the prefix of the upstream", excerpt(name)}
}

// MalformedQuery returns the error for a query that RFC 3986 does not allow.
func MalformedQuery() *Error {
	return unsupported(400, "malformed query", "")
}

// NotFound returns the error for a path outside of the API.
func NotFound(path string) *Error {
	return unsupported(404, "no such page", path)
}

// InvalidImage returns the error for an image reference without a name or a tag.
func InvalidImage(image string) *Error {
	return unsupported(400, "invalid image reference", image)
}

func unsupported(status int, message, input string) *Error {
	return &Error{status, Unsupported, message, excerpt(input)}
}

func excerpt(s string) string {
	const longest = 128
	if len(s) > longest {
		return s[:longest] + "..."
	}
	return s
}
