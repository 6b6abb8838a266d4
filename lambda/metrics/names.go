// Package metrics counts what the redirector does and writes it in
// CloudWatch's embedded metric format: a line of JSON on standard output, from
// which CloudWatch makes metrics without an API call.
//
// It counts in memory and writes an aggregate now and then, at the end of an
// invocation, because a function is frozen between invocations. Each metric
// has one dimension; every combination of dimensions would be a metric that is
// paid for. No address and no other trait of a client gets in here.
//
// The format is
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
package metrics

// Namespace is the CloudWatch namespace of all metrics.
const Namespace = "Archeio"

// The metrics. Those with a dimension are counted by each of its values.
const (
	Requests       = "Requests"       // count, by Kind, by Cloud and by Reason
	Checks         = "Checks"         // existence checks, count, by Mirror and answer: see CheckDimension
	CheckLatency   = "CheckLatency"   // milliseconds of one existence check
	TotalLatency   = "TotalLatency"   // milliseconds from event to answer
	ColdStarts     = "ColdStarts"     // count of processes that answered a first event
	IndexLoads     = "IndexLoads"     // attempts to load the index, count, by Index
	IndexAge       = "IndexAge"       // seconds since the mirrors of the index in use were listed
	UnknownClients = "UnknownClients" // count of events whose client address was missing or not usable
)

// The metrics of what fills the mirrors.
const (
	Copied          = "Copied"          // count of blobs that were written
	CopiedBytes     = "CopiedBytes"     // bytes of them
	Lacking         = "Lacking"         // count of blobs that a mirror lacks, by Mirror
	NeedsMirrorCopy = "NeedsMirrorCopy" // count of blobs that only mirror copy can copy
)

// The dimensions.
const (
	Kind   = "Kind"   // of the request, oci.Kind
	Cloud  = "Cloud"  // of the client, "unknown" where it is in none
	Index  = "Index"  // how an attempt to load the index ended, blobs.IndexEvent
	Reason = "Reason" // of the decision, route.Reason
	Mirror = "Mirror" // the region of a mirror
	// Check is "<mirror> <answer>", as "eu-west-3 absent": one dimension, so
	// that a mirror costs as many metrics as it gives different answers.
	Check = "Check"
)
