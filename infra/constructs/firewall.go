package constructs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awswafv2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

const (
	// firewallWindow is the evaluation window in seconds, and the Retry-After of
	// a blocked client.
	firewallWindow = 300

	tooManyRequests = `{"errors":[{"code":"TOOMANYREQUESTS","message":"too many requests from this address"}]}`
)

// The scopes of a firewall.
const (
	ofDistribution  = "CLOUDFRONT"
	ofLoadBalancers = "REGIONAL"
)

// firewall creates a web ACL that blocks, or only counts, requests above the rate
// limit of an address, and returns its ARN. It does not sample requests: samples
// have the client address.
func firewall(scope constructs.Construct, s *stage.Stage, aclScope string) *string {
	visibility := func(name string) *awswafv2.CfnWebACL_VisibilityConfigProperty {
		return &awswafv2.CfnWebACL_VisibilityConfigProperty{
			CloudWatchMetricsEnabled: jsii.Bool(true), MetricName: jsii.String(name), SampledRequestsEnabled: jsii.Bool(false),
		}
	}
	action := &awswafv2.CfnWebACL_RuleActionProperty{Count: map[string]interface{}{}}
	var bodies interface{}
	if !s.Firewall.CountOnly {
		bodies = map[string]interface{}{"TooManyRequests": &awswafv2.CfnWebACL_CustomResponseBodyProperty{
			ContentType: jsii.String("APPLICATION_JSON"), Content: jsii.String(tooManyRequests),
		}}
		action = &awswafv2.CfnWebACL_RuleActionProperty{Block: &awswafv2.CfnWebACL_BlockActionProperty{
			CustomResponse: &awswafv2.CfnWebACL_CustomResponseProperty{
				ResponseCode:          jsii.Number(429),
				CustomResponseBodyKey: jsii.String("TooManyRequests"),
				ResponseHeaders: []interface{}{&awswafv2.CfnWebACL_CustomHTTPHeaderProperty{
					Name: jsii.String("Retry-After"), Value: jsii.String(fmt.Sprint(firewallWindow)),
				}},
			},
		}}
	}
	return awswafv2.NewCfnWebACL(scope, jsii.String("Firewall"), &awswafv2.CfnWebACLProps{
		Description:          jsii.String("Archeio, stage " + s.Name + ": rate limit per address"),
		Scope:                jsii.String(aclScope),
		DefaultAction:        &awswafv2.CfnWebACL_DefaultActionProperty{Allow: map[string]interface{}{}},
		VisibilityConfig:     visibility("archeio-" + s.Name),
		CustomResponseBodies: bodies,
		Rules: []interface{}{&awswafv2.CfnWebACL_RuleProperty{
			Name:             jsii.String("rate-limit"),
			Priority:         jsii.Number(0),
			Action:           action,
			VisibilityConfig: visibility("archeio-" + s.Name + "-rate-limit"),
			Statement: &awswafv2.CfnWebACL_StatementProperty{RateBasedStatement: &awswafv2.CfnWebACL_RateBasedStatementProperty{
				AggregateKeyType:    jsii.String("IP"),
				EvaluationWindowSec: jsii.Number(firewallWindow),
				Limit:               jsii.Number(float64(s.Firewall.Limit)),
			}},
		}},
	}).AttrArn()
}
