package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsbudgets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

// Budget creates the monthly budget of a stage. It covers the resources with the
// stage's tag, once that is activated as a cost allocation tag. It has no name of its
// own: CloudFormation replaces it if the email address changes, and the new one is
// created before the old one is deleted.
//
// https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html
func Budget(scope constructs.Construct, s *stage.Stage) {
	notify := func(kind string, percent float64) interface{} {
		return &awsbudgets.CfnBudget_NotificationWithSubscribersProperty{
			Notification: &awsbudgets.CfnBudget_NotificationProperty{
				NotificationType:   jsii.String(kind),
				ComparisonOperator: jsii.String("GREATER_THAN"),
				Threshold:          jsii.Number(percent),
				ThresholdType:      jsii.String("PERCENTAGE"),
			},
			Subscribers: []interface{}{&awsbudgets.CfnBudget_SubscriberProperty{
				SubscriptionType: jsii.String("EMAIL"), Address: jsii.String(s.Email),
			}},
		}
	}
	awsbudgets.NewCfnBudget(scope, jsii.String("Budget"), &awsbudgets.CfnBudgetProps{
		Budget: &awsbudgets.CfnBudget_BudgetDataProperty{
			BudgetType:  jsii.String("COST"),
			TimeUnit:    jsii.String("MONTHLY"),
			BudgetLimit: &awsbudgets.CfnBudget_SpendProperty{Amount: jsii.Number(s.Budget), Unit: jsii.String("USD")},
			CostFilters: map[string][]string{"TagKeyValue": {"user:" + stage.Tag + "$" + s.Name}},
		},
		NotificationsWithSubscribers: []interface{}{notify("ACTUAL", 80), notify("ACTUAL", 100), notify("FORECASTED", 100)},
	})
}
