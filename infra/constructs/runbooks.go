package constructs

// runbook is the section of .github/runbooks.md that an alarm leads to, as the anchor of
// its heading.
type runbook string

const (
	runbookMirror    runbook = "a-mirror-is-unavailable"
	runbookCopy      runbook = "blobs-need-mirror-copy"
	runbookUpstream  runbook = "the-upstream-is-unavailable"
	runbookErrors    runbook = "clients-get-server-errors"
	runbookThrottles runbook = "invocations-are-throttled"
	runbookLimits    runbook = "the-upstream-is-rate-limiting-requests"
	runbookRelease   runbook = "a-bad-release"
	runbookBlob      runbook = "a-bad-blob"
	runbookRanges    runbook = "the-ranges-are-old"
	runbookBill      runbook = "the-bill-jumps"
)
