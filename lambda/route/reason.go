package route

// Reason is why a request got its answer. Its token, as String returns it, is
// the value of the X-Redirect-Reason header and of the metrics' dimension, and
// stands in logs and in the output of explain. A token never changes its
// meaning. The zero value is no reason.
type Reason uint8

// The reasons; the table below has what is known of each.
const (
	AWSRegion Reason = iota + 1
	NearestRegion
	MirrorRule
	Failover
	ViewerPosition
	FunctionRegion
	DefaultMirror
	Authorization
	UpstreamCloud
	UpstreamDigest
	NoMirror
	MirrorAbsent
	MirrorUnavailable
	Manifest
	Tags
	Referrers
	Signature
	Ping
	Info
	Privacy
	Refused

	endOfReasons
)

// reasons is the only place that has the facts of a reason: metrics, the
// dashboard, the smoke test of a rollout and the reference page are derived
// from it.
var reasons = [endOfReasons]struct {
	token   string
	leads   Target
	blob    bool
	outage  bool
	meaning string
}{
	AWSRegion:      {"aws-region", Regional, true, false, "the mirror in the client's own AWS region"},
	NearestRegion:  {"nearest-region", Regional, true, false, "the mirror nearest to the client's AWS region"},
	MirrorRule:     {"mirror-rule", Regional, true, false, "the mirror that `MIRROR_FOR` sets for the client's AWS region"},
	Failover:       {"failover-region", Regional, true, true, "the next mirror by distance: the first one could not be checked, and `FAILOVER_BUDGET` allows it"},
	ViewerPosition: {"viewer-position", Regional, true, false, "the mirror nearest to the viewer's position; there is no default mirror"},
	FunctionRegion: {"function-region", Regional, true, false, "the mirror nearest to the function; there is no default mirror"},
	DefaultMirror:  {"default-mirror", Default, true, false, "the default mirror: no regional mirror serves the client, or that mirror does not have the blob or could not be checked"},
	Authorization:  {"authorization", Default, true, false, "the default mirror: the client sends `Authorization`, which S3 rejects"},

	UpstreamCloud:     {"upstream-cloud", Upstream, true, false, "the client's cloud is in `UPSTREAM_CLOUDS`"},
	UpstreamDigest:    {"upstream-digest", Upstream, true, false, "mirrors hold no blobs with this digest algorithm"},
	NoMirror:          {"no-mirror", Upstream, true, false, "no mirror is configured for this client"},
	MirrorAbsent:      {"mirror-absent", Upstream, true, false, "no mirror has the blob"},
	MirrorUnavailable: {"mirror-unavailable", Upstream, true, true, "no mirror has the blob; at least one could not be checked"},

	Manifest:  {"manifest", Upstream, false, false, "a manifest"},
	Tags:      {"tags", Upstream, false, false, "a list of tags"},
	Referrers: {"referrers", Upstream, false, false, "a list of referrers; it is in the signature upstream if one is configured"},
	Signature: {"signature", SignatureUpstream, true, false, "a signature, attestation or SBOM tag, or content that the upstream does not have"},

	Ping:    {"ping", Nowhere, false, false, "the API version check"},
	Info:    {"info", InfoPage, false, false, "the page at `/`"},
	Privacy: {"privacy", PrivacyPage, false, false, "the page at `/privacy`"},
	Refused: {"refused", Nowhere, false, false, "the request is invalid or not supported; the body is an OCI error"},
}

// Reasons returns every reason, in the order of the table.
func Reasons() []Reason {
	var all []Reason
	for r := Reason(1); r < endOfReasons; r++ {
		all = append(all, r)
	}
	return all
}

// ParseReason returns the reason that has a token.
func ParseReason(token string) (Reason, bool) {
	for r := Reason(1); r < endOfReasons; r++ {
		if reasons[r].token == token {
			return r, true
		}
	}
	return 0, false
}

// String returns the token; it is empty for the zero value.
func (r Reason) String() string { return reasons[r].token }

// Leads returns where an answer with this reason leads. Only Referrers lead to
// the signature upstream instead, if one is configured.
func (r Reason) Leads() Target { return reasons[r].leads }

// ForBlob reports whether a request for a blob can have this reason.
func (r Reason) ForBlob() bool { return reasons[r].blob }

// Outage reports whether the answer would have been another one if every
// mirror could have been checked.
func (r Reason) Outage() bool { return reasons[r].outage }

// Meaning returns the reason's line in the reference page, in Markdown.
func (r Reason) Meaning() string { return reasons[r].meaning }
