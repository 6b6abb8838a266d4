package rude

import "net/http"

// Knobs are how a server behaves. The zero value of each field but Scale is that of a
// polite registry. They must not be changed once the server has been made.
type Knobs struct {
	// Scale multiplies all times: 0.01 on loopback addresses, 1 in memory.
	Scale float64
	TLS   bool

	// Google is the tags/list of Artifact Registry: with children and manifests,
	// cut at n without a word.
	Google bool
	// PrefixStatus refuses tags/list of the prefix if it is not a repository, with
	// this status.
	PrefixStatus int
	// UnknownEmpty has an empty list of tags for unknown repositories.
	UnknownEmpty bool
	// TagsPage, CatalogPage and ReferrersPage limit the entries of a page; 0 is no
	// limit.
	TagsPage, CatalogPage, ReferrersPage int
	TagsPaging, CatalogPaging            paging
	// LastStatus is the status for last= where paging is opaque; 0 sends the first
	// page again.
	LastStatus int
	// EmptyPages is the number of empty pages before each other.
	EmptyPages int
	// ExtraLink links from the last page to an empty one.
	ExtraLink bool
	Link      linkForm
	// CatalogEnd is how the catalog misleads, TagsEnd how the tags of one
	// repository do.
	CatalogEnd ending
	TagsEnd    map[string]ending
	// MaxN is the largest n; a larger one gets MaxNStatus.
	MaxN, MaxNStatus int
	Duplicates       bool
	Unsorted         bool
	// NullLists has null where a list is empty.
	NullLists bool

	// HeadNoDigest and HeadNoLength remove header fields from responses to HEAD of
	// manifests, JunkDigest has an invalid digest there, HeadStatus refuses it.
	HeadNoDigest, HeadNoLength, JunkDigest bool
	HeadStatus                             int
	// StaleTag is a tag for which HEAD has the digest of a deleted manifest.
	StaleTag       string
	BlobHeadStatus int
	// ContentType replaces that of manifests: "none" sends no field, "charset" adds
	// a parameter.
	ContentType string
	// AcceptStrict hides manifests of media types that are not in Accept.
	AcceptStrict bool
	// NotFound is the body of 404: "" is JSON, or "text", "html".
	NotFound string
	// PingStatus is the status of /v2/.
	PingStatus int

	// Encoding is how blobs are encoded: "stored" has Content-Encoding: gzip unless
	// identity is asked for, "always" has it in any case; "json" compresses
	// manifests and listings for clients that accept it, "json-always" for all.
	Encoding string
	Chunked  bool
	// Cut is how blob responses break off.
	Cut cut
	// CutManifests breaks off the first response of each manifest.
	CutManifests bool
	// Drip is the time in seconds between the ten parts of a blob.
	Drip float64
	// EarlyHints sends informational responses before each other.
	EarlyHints bool
	// CloseConnections closes the connection after each response.
	CloseConnections bool

	// Redirect sends blobs to storage.
	Redirect redirects
	// ManifestRedirect does so for manifests.
	ManifestRedirect bool

	Throttle throttle
	// Passing are status codes that every PassingEach-th request gets in turn; 0
	// is a connection that is reset.
	Passing     []int
	PassingEach int
	// SilentFirst does not respond to the first request of each kind, for a minute.
	SilentFirst bool

	Auth authentication

	// Referrers is the status of the referrers API; 0 is present.
	Referrers     int
	ReferrersHTML bool
}

// paging is how a client comes to the next page.
type paging int

const (
	byLink    paging = iota // a link with last=
	byToken                 // a link with an opaque token; last= has no effect
	byLast                  // last= without a link
	unpaged                 // everything in one page, whatever n and last are
	inclusive               // a link with last=, and pages begin with that name again
)

// ending is how a listing misleads.
type ending int

const (
	ends         ending = iota
	leadsBack           // the last page links to the first
	linksSelf           // the first page links to itself
	repeats             // all pages are the first, with new links
	endless             // empty pages with new links follow
	otherHost           // the next page is on another host
	unreadable          // the link cannot be parsed
	noURL               // the link is empty
	bare                // the link has no angle brackets
	secondGone          // the second page is 404, as behind proxies that change paths
	secondDenied        // the second page is 403
	secondHTML          // the second page is a sign-in page
)

// linkForm is how a Link header field is written.
type linkForm int

const (
	plainLink linkForm = iota
	twoFields
	oneField
	preload
	paramsFirst
	manyRels
	absoluteLink
	clearScheme
	upperHost
	defaultPort
	queryOnly
	segmentOnly
)

// cut is how connections break off while a blob is sent.
type cut int

const (
	whole      cut = iota
	cutRanges      // every response ends after two fifths; ranges are served
	cutTwice       // the first two end so; ranges are ignored
	cutOnce416     // the first ends so; ranges are refused
	cutOnceLie     // the first ends so; responses to ranges start at 0 and say so
	cutAlways      // every one ends so, and ranges are ignored
	cutLength      // like cutRanges, with a graceful end and no Content-Length
	stallOnce      // the first of large blobs ends so and the connection stays open; ranges are served
)

// redirects is how blobs are redirected.
type redirects struct {
	// Status is 0 for none.
	Status int
	// Relative is a path of the registry, Hops the number of redirects before the
	// last.
	Relative bool
	Hops     int
	// Clear leads from TLS to cleartext.
	Clear bool
	// FirstExpired refuses the first signature for each blob, Once each signature
	// that was used before.
	FirstExpired, Once bool
	// ExpiredStatus is that of expired signatures; 0 is 403.
	ExpiredStatus int
	// GetOnly refuses HEAD, as signatures for GET do; Busy is 503 for every fifth
	// request.
	GetOnly, Busy bool
	// RefuseAuth is 400 for requests with credentials, as S3 does it.
	RefuseAuth bool
	// RawURL has characters in the URL that should be escaped.
	RawURL bool
}

// throttle is when requests get 429.
type throttle struct {
	// After is the number of requests before, Seconds how long it lasts; 0 is for
	// ever.
	After   int
	Seconds float64
	// RetryAfter is "" for no field, "seconds", "date", or the value itself.
	RetryAfter string
	// Each is used instead: every Each-th request.
	Each int
	On   bool
	// Status is 429 if 0.
	Status int
}

// authentication is how the registry authenticates.
type authentication struct {
	// Scheme is "", "basic" or "bearer".
	Scheme string
	// Login requires credentials from the token service.
	Login bool
	// NoPing has no challenge at /v2/.
	NoPing bool
	// Uses is how often a token is valid; 0 is for ever. Expired tokens get
	// ExpiredStatus, 0 for 401; NoChallenge sends no challenge then.
	Uses          int
	ExpiredStatus int
	NoChallenge   bool
	// CatalogScope requires the scope registry:catalog:* for the catalog.
	CatalogScope bool
	// Form is how the challenge is written: "", "odd", "many".
	Form string
	// Response is how the token service responds: "", "access_token", "no-expiry",
	// "odd", "html", "endless", "throttled".
	Response string
	// ClearRealm has a realm without TLS.
	ClearRealm bool
	// RotateAfter is the number of requests after which the password changes.
	RotateAfter int
	// Kind is the only kind of requests that needs a token.
	Kind string
	// ScopePrefix is in the names of scopes.
	ScopePrefix string
	// NoScope has no scope in challenges, NoService no service; RealmQuery has a
	// query in the realm that the token service requires.
	NoScope, NoService, RealmQuery bool
	// Refused is for credentials that are always wrong.
	Refused bool
	// Denied is a repository for which the service issues no token.
	Denied string
}

// loopbackScale is the Scale on loopback addresses.
const loopbackScale = 0.01

// special responds for one URL in place of the server.
type special func(r *http.Request) response

// setup is what habits change.
type setup struct {
	Knobs
	content *Content
	// specials are by kind, repository and reference: "manifest team/app v1".
	specials map[string]special
	loss     loss
}

func newSetup(c *Content) setup {
	return setup{
		Knobs:   Knobs{Scale: loopbackScale, TagsEnd: map[string]ending{}},
		content: c, specials: map[string]special{}, loss: newLoss(),
	}
}
