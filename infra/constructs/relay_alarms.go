package constructs

import (
	"github.com/aws/jsii-runtime-go"

	"archeio/lambda/metrics"
	"archeio/lambda/route"
)

// maxNotRelayed is how many requests of clients may get an error instead of what the
// upstream has, in five minutes: a single client with a misspelled name gets a few.
const maxNotRelayed = 20

// relaying adds the alarms of a region that relays what the upstream responds with.
func (a alarms) relaying() {
	if !a.stage.Relays() {
		return
	}
	reason := func(r route.Reason) *string { return jsii.String(r.String()) }
	a.add("UpstreamLimited", "The upstream limits the redirector's requests, or upstream.rate does, so clients get 429. Check which, then fill less or let the edge cache tags longer.",
		maxNotRelayed, 3, metric(metrics.Namespace, metrics.Requests, "Sum", minutes5, jsii.String(metrics.Reason), reason(route.UpstreamLimited)))
	a.add("RelayFailed", "The redirector cannot relay what the upstream responds with, so clients get 502. Check the upstream and its token server with \"make preflight\".",
		maxNotRelayed, 2, metric(metrics.Namespace, metrics.Requests, "Sum", minutes5, jsii.String(metrics.Reason), reason(route.UpstreamFailed)))
}
