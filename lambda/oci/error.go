package oci

import "encoding/json"

// Code is an error code of the specification.
type Code string

// The codes that a redirector can need.
const (
	DigestInvalid Code = "DIGEST_INVALID"
	NameInvalid   Code = "NAME_INVALID"
	TagInvalid    Code = "TAG_INVALID"
	Unsupported   Code = "UNSUPPORTED"
)

// Error is a refusal as a client gets it.
type Error struct {
	// Status is the HTTP status.
	Status  int
	Code    Code
	Message string
	// Detail is what was refused, cut to a readable length.
	Detail string
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Message
	}
	return e.Message + ": " + e.Detail
}

// Body is the error in the form of the specification.
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

// MethodNotAllowed refuses all methods but GET and HEAD.
func MethodNotAllowed(method string) *Error {
	return unsupported(405, "this registry is read-only", method)
}

// MalformedPath refuses a path whose percent-escapes are broken.
func MalformedPath() *Error {
	return &Error{Status: 400, Code: NameInvalid, Message: "malformed percent-escape in the path"}
}

// MalformedQuery refuses a query with a byte that RFC 3986 does not allow.
func MalformedQuery() *Error {
	return unsupported(400, "malformed query", "")
}

// NotFound is for a page that is not configured.
func NotFound(path string) *Error {
	return unsupported(404, "no such page", path)
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
