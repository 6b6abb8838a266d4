package route

// Reason is the reason for a response. Its token, as String returns it, is the value
// of the X-Redirect-Reason header and of the dimension Reason in metrics, and is in
// logs and in the output of explain. A token never changes its meaning. The zero
// value is no reason.
type Reason uint8

// The reasons. The table below has the facts of each.
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
	UpstreamLimited
	UpstreamFailed
	TooLarge
	Ping
	Info
	Privacy
	Refused

	endOfReasons
)

// reasons is the only place with the facts of a reason. Metrics, the dashboard, the
// smoke test of a rollout and the reference page are derived from it.
var reasons = [endOfReasons]struct {
	token   string
	leads   Target
	blob    bool
	outage  bool
	meaning string
}{
	AWSRegion:      {token: "aws-region", leads: Regional, blob: true, meaning: "the mirror in the client's own AWS region"},
	NearestRegion:  {token: "nearest-region", leads: Regional, blob: true, meaning: "the mirror nearest to the client's AWS region"},
	MirrorRule:     {token: "mirror-rule", leads: Regional, blob: true, meaning: "the mirror that `MIRROR_FOR` sets for the client's AWS region"},
	Failover:       {token: "failover-region", leads: Regional, blob: true, outage: true, meaning: "the next mirror by distance: the first one could not be checked, and `FAILOVER_BUDGET` allows it"},
	ViewerPosition: {token: "viewer-position", leads: Regional, blob: true, meaning: "the mirror nearest to the viewer's position; there is no default mirror"},
	FunctionRegion: {token: "function-region", leads: Regional, blob: true, meaning: "the mirror nearest to the function; there is no default mirror"},
	DefaultMirror:  {token: "default-mirror", leads: Default, blob: true, meaning: "the default mirror: no regional mirror serves the client, or that mirror does not have the blob or could not be checked"},
	Authorization:  {token: "authorization", leads: Default, blob: true, meaning: "the default mirror: the client sends `Authorization`, which S3 rejects"},

	UpstreamCloud:     {token: "upstream-cloud", leads: Upstream, blob: true, meaning: "the client's cloud is in `UPSTREAM_CLOUDS`"},
	UpstreamDigest:    {token: "upstream-digest", leads: Upstream, blob: true, meaning: "mirrors hold no blobs with this digest algorithm"},
	NoMirror:          {token: "no-mirror", leads: Upstream, blob: true, meaning: "no mirror is configured for this client"},
	MirrorAbsent:      {token: "mirror-absent", leads: Upstream, blob: true, meaning: "no mirror has the blob"},
	MirrorUnavailable: {token: "mirror-unavailable", leads: Upstream, blob: true, outage: true, meaning: "no mirror has the blob; at least one could not be checked"},

	Manifest:  {token: "manifest", leads: Upstream, meaning: "a manifest"},
	Tags:      {token: "tags", leads: Upstream, meaning: "a list of tags"},
	Referrers: {token: "referrers", leads: Upstream, meaning: "a list of referrers; it is in the signature upstream if one is configured"},
	Signature: {token: "signature", leads: SignatureUpstream, blob: true, meaning: "a signature, attestation or SBOM tag, or content that the upstream does not have"},

	UpstreamLimited: {token: "upstream-limited", leads: Nowhere, blob: true, meaning: "not relayed: the upstream limits requests, or `UPSTREAM_RATE` does"},
	UpstreamFailed:  {token: "upstream-failed", leads: Nowhere, blob: true, meaning: "not relayed: the upstream is unavailable, refuses anonymous clients, or its response is not valid"},
	TooLarge:        {token: "too-large", leads: Nowhere, blob: true, meaning: "not relayed: larger than 4 MiB, and no mirror has it"},

	Ping:    {token: "ping", leads: Nowhere, meaning: "the API version check"},
	Info:    {token: "info", leads: InfoPage, meaning: "the page at `/` or its redirect, `/where`, `/hosts.json`"},
	Privacy: {token: "privacy", leads: PrivacyPage, meaning: "the redirect of `/privacy`"},
	Refused: {token: "refused", leads: Nowhere, meaning: "the request is invalid or not supported; the body is an OCI error"},
}

// Reasons returns every reason, in the order of the table.
func Reasons() []Reason {
	var all []Reason
	for r := Reason(1); r < endOfReasons; r++ {
		all = append(all, r)
	}
	return all
}

// ParseReason returns the reason with a token, and reports whether there is one.
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

// Leads returns where a response with this reason redirects to. Referrers redirects
// to the signature upstream instead, if one is configured.
func (r Reason) Leads() Target { return reasons[r].leads }

// ForBlob reports whether a request for a blob can have this reason.
func (r Reason) ForBlob() bool { return reasons[r].blob }

// Outage reports whether the reason is given only if a mirror could not be checked.
func (r Reason) Outage() bool { return reasons[r].outage }

// Meaning returns the description of the reason in the reference page, as one line
// of Markdown.
func (r Reason) Meaning() string { return reasons[r].meaning }
