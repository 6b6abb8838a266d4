package relay

import (
	"net/http"

	"archeio/lambda/oci"
)

// Outcome is what became of a relayed request.
type Outcome uint8

// The outcomes.
const (
	Fetched    Outcome = iota // from the upstream
	Memory                    // from memory
	Stale                     // from memory, because the upstream limits requests or is unavailable
	Redirected                // to the storage of the upstream
	Absent                    // the upstream does not have it
	Rejected                  // the upstream rejected the request as invalid
	Limited                   // the upstream limits requests, or the process does
	Failed                    // the upstream or its token server is unavailable
	Denied                    // the upstream does not serve anonymous clients
	Invalid                   // the response must not be passed on
	TooLarge                  // larger than MaxBody

	endOfOutcomes
)

var outcomeNames = [endOfOutcomes]string{"fetched", "memory", "stale", "redirected", "absent", "rejected", "limited", "failed", "denied", "invalid", "too-large"}

// String returns the outcome's name in metrics.
func (o Outcome) String() string { return outcomeNames[o] }

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	var all []Outcome
	for o := range endOfOutcomes {
		all = append(all, o)
	}
	return all
}

// transient reports whether an earlier response may be served instead.
func (o Outcome) transient() bool { return o == Limited || o == Failed }

// The outcomes of a request to a token server.
const (
	TokenIssued  = "issued"
	TokenFailed  = "failed"  // it is unavailable
	TokenRefused = "refused" // it issues no token to anonymous clients
	TokenInvalid = "invalid" // its response, or the challenge, cannot be used
)

func failure(o Outcome, status int, code oci.Code, message string) Response {
	return Response{Status: status, Outcome: o, Error: &oci.Error{Status: status, Code: code, Message: message}}
}

func limited(message string, retryAfter int) Response {
	resp := failure(Limited, http.StatusTooManyRequests, oci.TooManyRequests, message)
	resp.RetryAfter = retryAfter
	return resp
}

func unavailable(message string) Response {
	return failure(Failed, http.StatusBadGateway, oci.Unavailable, message)
}

func denied(message string) Response {
	return failure(Denied, http.StatusBadGateway, oci.Unavailable, message)
}

func invalid(message string) Response {
	return failure(Invalid, http.StatusBadGateway, oci.Unavailable, message)
}

// absent returns the response for what the upstream does not have.
func absent(q *Request) Response {
	switch q.Kind {
	case oci.Blob:
		return failure(Absent, http.StatusNotFound, oci.BlobUnknown, "the upstream does not have this blob")
	case oci.Tags:
		return failure(Absent, http.StatusNotFound, oci.NameUnknown, "the upstream does not have this repository")
	case oci.Referrers:
		return failure(Absent, http.StatusNotFound, oci.ManifestUnknown, "the upstream does not list referrers of this manifest")
	}
	return failure(Absent, http.StatusNotFound, oci.ManifestUnknown, "the upstream does not have this manifest")
}

// tooLarge returns the response for content that is too large to be relayed. The edge
// fails over on 503, so only a stage with one host uses it.
func (r *Relay) tooLarge(q *Request) Response {
	switch {
	case q.Kind != oci.Blob:
		return failure(TooLarge, http.StatusBadGateway, oci.Unavailable, "larger than 4 MiB, which is not relayed")
	case r.singleHost:
		return failure(TooLarge, http.StatusServiceUnavailable, oci.Unavailable, "no mirror has this blob, and it is larger than 4 MiB, which is not relayed: mirror it")
	}
	return failure(TooLarge, http.StatusBadGateway, oci.Unavailable, "no mirror has this blob, and the upstream does not redirect to its storage; larger than 4 MiB is not relayed: mirror it")
}
