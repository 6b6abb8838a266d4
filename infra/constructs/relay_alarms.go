package constructs

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"archeio/lambda/metrics"
	"archeio/lambda/route"
)

// maxNotRelayed is how many requests of clients may get an error instead of what the
// upstream has, in five minutes: a single client with a misspelled name gets a few.
const maxNotRelayed = 20

// maxUncounted is how many server errors of an entry point of a relaying stage may be none
// that the redirector counted, in five minutes. It writes its counts with a delay of
// seconds, and does not count manifests above 1 MB at a load balancer. Failed invocations
// have an alarm without such a margin.
const maxUncounted = 20

// relayErrors are the reasons of the server errors that a redirector responds with because
// of what it cannot relay. A client that requests a private or misspelled image gets one
// for each request.
var relayErrors = []route.Reason{route.UpstreamFailed, route.TooLarge}

// serverErrors adds an alarm on the server errors of an entry point, without those that are
// the relay's. dimension has the given value.
func (a alarms) serverErrors(id string, r runbook, description, namespace, name, dimension string, value *string) {
	if !a.stage.Relays() {
		a.add(id, r, description, 0, 3, metric(namespace, name, "Sum", minutes5, jsii.String(dimension), value))
		return
	}
	if a.stage.PlainAlarms {
		a.add(id, r, description, maxUncounted, 3, metric(namespace, name, "Sum", minutes5, jsii.String(dimension), value))
		return
	}
	list := []interface{}{metricQuery("errors", namespace, name, "Sum", minutes5, jsii.String(dimension), value)}
	others := "errors"
	for _, reason := range relayErrors {
		query := strings.ReplaceAll(reason.String(), "-", "_")
		list = append(list, requests(query, minutes5, metrics.Reason, reason.String()))
		others += " - FILL(" + query + ", 0)"
	}
	list = append(list, result("others", "server errors that are not the relay's", others))
	a.add(id, r, description, maxUncounted, 3, awscloudwatch.CfnAlarmProps{Metrics: list})
}

// relaying adds the alarms of a region that relays what the upstream responds with.
func (a alarms) relaying() {
	if !a.stage.Relays() {
		return
	}
	reason := func(r route.Reason) *string { return jsii.String(r.String()) }
	a.add("UpstreamLimited", runbookLimits, "The upstream limits the redirector's requests, or upstream.rate does, so clients get 429. Check which, then fill less or let the edge cache tags longer.",
		maxNotRelayed, 3, metric(metrics.Namespace, metrics.Requests, "Sum", minutes5, jsii.String(metrics.Reason), reason(route.UpstreamLimited)))
	a.add("RelayFailed", runbookUpstream, "The redirector cannot relay what the upstream responds with, so clients get 502. Check the upstream and its token server with "+a.archeio("preflight")+".",
		maxNotRelayed, 2, metric(metrics.Namespace, metrics.Requests, "Sum", minutes5, jsii.String(metrics.Reason), reason(route.UpstreamFailed)))
}
