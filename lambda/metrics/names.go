// Package metrics writes metrics in CloudWatch's embedded metric format.
//
// A Recorder counts in memory and writes an aggregate at the end of an
// invocation, at most every Interval, because a function is frozen between
// invocations. Each metric has one dimension: every combination of dimensions
// would be a metric of its own, and is billed. Requests by repository are not metrics
// but a line of JSON a minute, see Recorder.Image. Nothing about a client but its
// cloud and, in that line, its region is recorded, in particular no address.
//
// The format is specified at
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
package metrics

// Namespace is the CloudWatch namespace of all metrics.
const Namespace = "Archeio"

// The metrics of the redirector.
const (
	Requests       = "Requests"       // count, by Kind, by Cloud and by Reason
	Checks         = "Checks"         // existence checks, count, by Check
	CheckLatency   = "CheckLatency"   // milliseconds of one existence check
	TotalLatency   = "TotalLatency"   // milliseconds from event to response
	ColdStarts     = "ColdStarts"     // count of processes that handled a first event
	IndexLoads     = "IndexLoads"     // attempts to load the blob index, count, by Index
	IndexAge       = "IndexAge"       // seconds since the listing behind the loaded index, or behind the one that is too old to be loaded
	RangesLoads    = "RangesLoads"    // attempts to load the range table, count, by Ranges
	RangesAge      = "RangesAge"      // seconds since the range table in use was issued, or else since its newest document
	UnknownClients = "UnknownClients" // count of events with a missing or invalid client address

	RelayLatency = "RelayLatency" // milliseconds of one relayed request that the upstream was needed for
	Relayed      = "Relayed"      // relayed responses, count, by Relay
	TokenFetches = "TokenFetches" // requests to a token server, count, by Token

	IndexContradicted = "IndexContradicted" // blobs that the index lists and a mirror does not have, count, by Mirror
	IndexDisabled     = "IndexDisabled"     // processes in which the index does not count for a mirror, count at each load, by Mirror
)

// The metrics of the functions that fill the mirrors.
const (
	Copied          = "Copied"          // count of blobs written
	CopiedBytes     = "CopiedBytes"     // bytes written
	MissingBlobs    = "MissingBlobs"    // count of blobs that a mirror does not have, by Mirror
	NeedsMirrorCopy = "NeedsMirrorCopy" // count of blobs that only "mirror copy" can copy
	WithdrawnBlobs  = "WithdrawnBlobs"  // count of withdrawn blobs that may still be in a mirror because deleting them failed
	FirstFill       = "FirstFill"       // 1 while the mirrors, or one that was added, are filled for the first time
	WorkDelay       = "WorkDelay"       // seconds that messages of a planner run have not been received; not during the first fill
	AbsentContent   = "AbsentContent"   // count of tags, manifests and blobs that the source names and does not have
)

// The metrics of the refresher.
const (
	RangesUnchecked = "RangesUnchecked" // seconds since the document of AWS was last checked with success
	RangesRefused   = "RangesRefused"   // 1 if a table waits for an approval, or a document is of an unknown form, else 0
)

// The metrics of the canary.
const (
	CanaryFailures = "CanaryFailures" // pulls of the canary that failed, count, by EntryPoint
	CanaryLatency  = "CanaryLatency"  // milliseconds of one pull of the canary, by EntryPoint
	CanaryBlobs    = "CanaryBlobs"    // blobs that the canary pulled, count, by Reason
)

// The dimensions.
const (
	Kind   = "Kind"   // of the request, an oci.Kind
	Cloud  = "Cloud"  // of the client, "unknown" outside of the known clouds
	Index  = "Index"  // outcome of an attempt to load the blob index, a blobs.IndexEvent's
	Ranges = "Ranges" // outcome of an attempt to load the range table, a rangetable.Event's
	Reason = "Reason" // of the decision, a route.Reason
	Mirror = "Mirror" // the AWS region of a mirror, or "default"
	// EntryPoint is what the canary pulls through, "distribution" or "load-balancer".
	EntryPoint = "EntryPoint"
	// Check is "<mirror> <result>", for example "eu-west-3 absent": one
	// dimension, so that a mirror has only as many metrics as results.
	Check = "Check"
	// Relay is "<kind> <outcome>", for example "manifest limited": an oci.Kind and a
	// relay.Outcome.
	Relay = "Relay"
	Token = "Token" // outcome of a request to a token server, a relay.TokenOutcome
)

// UnknownCloud is the value of Cloud for clients outside of the known clouds.
const UnknownCloud = "unknown"
