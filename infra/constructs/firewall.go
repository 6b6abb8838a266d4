package constructs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awswafv2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

const (
	// firewallWindow is how many seconds the firewall looks back, and how long
	// a client that it refuses is told to wait.
	firewallWindow = 300

	tooManyRequests = `{"errors":[{"code":"TOOMANYREQUESTS","message":"too many requests from this address"}]}`
)

// The scopes of a firewall.
const (
	ofDistribution  = "CLOUDFRONT"
	ofLoadBalancers = "REGIONAL"
)

// firewall makes a web ACL that refuses, or only counts, addresses that ask too
// often, and answers its ARN. It keeps no request as a sample: they have the
// client's address in them.
func firewall(scope constructs.Construct, s *stage.Stage, of string) *string {
	see := func(name string) *awswafv2.CfnWebACL_VisibilityConfigProperty {
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
		Description:          jsii.String("Archeio, stage " + s.Name + ": addresses that ask too often"),
		Scope:                jsii.String(of),
		DefaultAction:        &awswafv2.CfnWebACL_DefaultActionProperty{Allow: map[string]interface{}{}},
		VisibilityConfig:     see("archeio-" + s.Name),
		CustomResponseBodies: bodies,
		Rules: []interface{}{&awswafv2.CfnWebACL_RuleProperty{
			Name:             jsii.String("too-often"),
			Priority:         jsii.Number(0),
			Action:           action,
			VisibilityConfig: see("archeio-" + s.Name + "-too-often"),
			Statement: &awswafv2.CfnWebACL_StatementProperty{RateBasedStatement: &awswafv2.CfnWebACL_RateBasedStatementProperty{
				AggregateKeyType:    jsii.String("IP"),
				EvaluationWindowSec: jsii.Number(firewallWindow),
				Limit:               jsii.Number(float64(s.Firewall.Limit)),
			}},
		}},
	}).AttrArn()
}
