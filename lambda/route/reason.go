package route

// Reason says in a word why an answer is what it is. The same token stands in
// the answer's X-Redirect-Reason header, in the metrics, in the logs and in
// what explain prints; it never changes its meaning.
type Reason string

// The reasons.
const (
	AWSRegion     Reason = "aws-region"      // the mirror of the client's own region
	NearestRegion Reason = "nearest-region"  // the mirror nearest to the client's region
	MirrorRule    Reason = "mirror-rule"     // the mirror that MIRROR_FOR names
	Failover      Reason = "failover-region" // the next mirror by distance, the first being in trouble
	ViewerNearest Reason = "viewer-position" // no default mirror: the one nearest to the viewer
	OwnRegion     Reason = "function-region" // no default mirror: the one nearest to the function
	DefaultMirror Reason = "default-mirror"  // the default mirror
	Authorization Reason = "authorization"   // the default mirror, as the client sends Authorization

	UpstreamCloud     Reason = "upstream-cloud"     // upstream: the client's cloud
	UpstreamDigest    Reason = "upstream-digest"    // upstream: the digest's algorithm
	NoMirror          Reason = "no-mirror"          // upstream: no mirror is configured for this client
	MirrorAbsent      Reason = "mirror-absent"      // upstream: every mirror said that it lacks the blob
	MirrorUnavailable Reason = "mirror-unavailable" // upstream: at least one mirror could not say

	Manifest  Reason = "manifest"
	Tags      Reason = "tags"
	Referrers Reason = "referrers"
	Signature Reason = "signature" // the signature upstream

	Ping    Reason = "ping"
	Info    Reason = "info"
	Privacy Reason = "privacy"
	Refused Reason = "refused"
)

// Reasons lists every reason.
var Reasons = [...]Reason{
	AWSRegion, NearestRegion, MirrorRule, Failover, ViewerNearest, OwnRegion, DefaultMirror, Authorization,
	UpstreamCloud, UpstreamDigest, NoMirror, MirrorAbsent, MirrorUnavailable,
	Manifest, Tags, Referrers, Signature, Ping, Info, Privacy, Refused,
}
