package constructs

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

const (
	// maxEdgeErrors is how many percent of the distribution's responses may be server
	// errors.
	maxEdgeErrors = 1

	// maxForbidden is how many percent of them may be 403. Below minEdgeRequests in five
	// minutes the share is not significant.
	maxForbidden, minEdgeRequests = 5, 100
)

// edge adds the alarms on the distribution and its function. What fails between CloudFront
// and a redirector, such as a missing permission, does not count as the redirector's error.
//
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/programming-cloudwatch-metrics.html
func (a alarms) edge(distribution awscloudfront.CfnDistribution, functionName *string) {
	of := func(name, statistic, dimension string, value *string) awscloudwatch.CfnAlarmProps {
		return metric("AWS/CloudFront", name, statistic, minutes5, jsii.String(dimension), value, jsii.String("Region"), jsii.String("Global"))
	}
	errors := of("5xxErrorRate", "Average", "DistributionId", distribution.Ref())
	if a.stage.Relays() && !a.stage.PlainAlarms {
		errors = a.edgeErrors(distribution)
	}
	a.add("EdgeErrors", runbookErrors, "CloudFront is responding with server errors. Run "+a.archeio("verify")+" to find the origin that fails, and check whether the redirectors' alarms fire too.",
		maxEdgeErrors, 3, errors)
	checkLog := "Check the log group /aws/cloudfront/function/" + a.stage.ViewerRequest() + "* in us-east-1, then deploy the previous commit."
	a.add("EdgeFunctionErrors", runbookErrors, "The viewer-request function fails, and its clients get server errors. "+checkLog,
		0, 1, of("FunctionExecutionErrors", "Sum", "FunctionName", functionName))
	a.add("EdgeFunctionResponses", runbookErrors, "The viewer-request function returns invalid requests or responses, and its clients get server errors. "+checkLog,
		0, 1, of("FunctionValidationErrors", "Sum", "FunctionName", functionName))
	if !a.stage.PlainAlarms {
		a.forbidden(distribution)
	}
}

// edgeErrors returns the metrics of the server errors of a distribution in front of a relay,
// without those with a status that the relay responds with. CloudFront responds with 502 too
// if it cannot connect to an origin or if an invocation fails: the canary's alarms and those
// of the redirectors cover that. An alarm cannot subtract what the redirectors count, which
// are metrics of other regions.
func (a alarms) edgeErrors(distribution awscloudfront.CfnDistribution) awscloudwatch.CfnAlarmProps {
	statuses := []string{"502"}
	if a.stage.SingleHost {
		statuses = append(statuses, "503") // for blobs that are too large
	}
	of := func(id, name string) interface{} {
		return metricQuery(id, "AWS/CloudFront", name, "Average", minutes5, jsii.String("DistributionId"), distribution.Ref(), jsii.String("Region"), jsii.String("Global"))
	}
	list := []interface{}{of("errors", "5xxErrorRate")}
	others := "errors"
	for _, status := range statuses {
		list = append(list, of("status_"+status, status+"ErrorRate"))
		others += " - FILL(status_" + status + ", 0)"
	}
	return awscloudwatch.CfnAlarmProps{Metrics: append(list, percent("percent of server errors without "+strings.Join(statuses, " and "), others))}
}

// forbidden adds the alarm on 403 responses of the distribution: those of a function URL
// or a bucket that no longer permits CloudFront, which are neither server errors nor
// invocations. A redirector and the viewer-request function never respond with 403. The
// share needs one of CloudFront's additional metrics.
//
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/viewing-cloudfront-metrics.html#monitoring-console.distributions-additional
func (a alarms) forbidden(distribution awscloudfront.CfnDistribution) {
	awscloudfront.NewCfnMonitoringSubscription(a.scope, jsii.String("AdditionalMetrics"), &awscloudfront.CfnMonitoringSubscriptionProps{
		DistributionId: distribution.Ref(),
		MonitoringSubscription: &awscloudfront.CfnMonitoringSubscription_MonitoringSubscriptionProperty{
			RealtimeMetricsSubscriptionConfig: &awscloudfront.CfnMonitoringSubscription_RealtimeMetricsSubscriptionConfigProperty{
				RealtimeMetricsSubscriptionStatus: jsii.String("Enabled"),
			},
		},
	})
	of := func(id, name, statistic string) interface{} {
		return metricQuery(id, "AWS/CloudFront", name, statistic, minutes5, jsii.String("DistributionId"), distribution.Ref(), jsii.String("Region"), jsii.String("Global"))
	}
	reason := ""
	if f := a.stage.Firewall; f != nil && !f.CountOnly {
		reason = " The firewall's blocked requests count too."
	}
	a.add("EdgeForbidden", runbookErrors, "CloudFront is responding with 403, although no redirector does. Run "+a.archeio("verify")+" to find the function URL or bucket that refuses CloudFront's requests, and restore the missing permission."+reason,
		maxForbidden, 3, awscloudwatch.CfnAlarmProps{Metrics: []interface{}{
			of("forbidden", "403ErrorRate", "Average"),
			of("requests", "Requests", "Sum"),
			percent("percent of 403 responses", fmt.Sprintf("IF(requests >= %d, FILL(forbidden, 0), 0)", minEdgeRequests)),
		}})
}

// functionURL adds the alarm on the function URL of a redirector.
//
// https://docs.aws.amazon.com/lambda/latest/dg/urls-monitoring.html
func (a alarms) functionURL(function awslambda.IFunction) {
	a.serverErrors("FunctionURLErrors", runbookErrors, "The function URL is responding with server errors, so CloudFront does too. Run "+a.archeio("verify")+" and check the redirector's log group and alarms.",
		"AWS/Lambda", "Url5xxCount", "FunctionName", function.FunctionName())
}

// balancer adds the alarms on a load balancer: its own errors, for example if it may not
// invoke the function, and responses of the function.
//
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
func (a alarms) balancer(balancer awselasticloadbalancingv2.CfnLoadBalancer) {
	a.add("BalancerErrors", runbookErrors, "The load balancer is responding with server errors of its own. Check its permission to invoke the redirector's alias, then the redirector's alarms.",
		0, 3, metric("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "Sum", minutes5, jsii.String("LoadBalancer"), balancer.AttrLoadBalancerFullName()))
	a.serverErrors("BalancerTargetErrors", runbookErrors, "The redirector is responding to the load balancer with server errors. Check its log group.",
		"AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "LoadBalancer", balancer.AttrLoadBalancerFullName())
}
