//go:build !race

package stacks

import (
	"strings"
	"testing"

	"archeio/infra/stage"
	"archeio/lambda/config"
)

// TestRefresherRole checks all that the refresher may do: one object in each mirror, its
// own state, and mails.
func TestRefresherRole(t *testing.T) {
	each(t, "refresh", func(t *testing.T, st *synthStack) {
		s := st.stage
		if st.region != stage.EdgeRegion {
			t.Errorf("the stack is in %s, want %s", st.region, stage.EdgeRegion)
		}
		function := st.resource(t, "Refresher")
		role, _ := at(function, "Properties", "Role", "Fn::GetAtt", 0).(string)
		logs, _ := at(function, "Properties", "LoggingConfig", "LogGroup", "Ref").(string)
		props := at(st.resource(t, role), "Properties")
		if at(props, "Policies") != nil || at(props, "ManagedPolicyArns") != nil {
			t.Errorf("%s has other policies: %s", role, text(props))
		}
		topic := "arn:aws:sns:us-east-1:" + s.Account + ":archeio-" + s.Name + "-alarms"
		state := "arn:aws:s3:::" + s.StateBucket()
		_, policy := st.only(t, "AWS::IAM::Policy")
		want := []string{
			`"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": {"Fn::GetAtt": [` + text(logs) + `, "Arn"]}`,
			`"Action": ["s3:GetObject", "s3:PutObject"], "Resource": ` + st.arns("/containers/images/ranges.v1"),
			`"Action": ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], "Resource": ` + text(state+"/ranges/*"),
			`"Action": "s3:ListBucket", "Resource": ` + text(state) + `, "Condition": {"StringLike": {"s3:prefix": "ranges/*"}}`,
			`"Action": "sns:Publish", "Resource": ` + text(topic),
			`"Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": ` + text("arn:aws:kms:us-east-1:"+s.Account+":key/*") + `,
				"Condition": {"StringEquals": {"kms:ViaService": "sns.us-east-1.amazonaws.com", "kms:EncryptionContext:aws:sns:topicArn": ` + text(topic) + `}}`,
		}
		for i, w := range want {
			want[i] = `{"Effect": "Allow", ` + w + `}`
		}
		same(t, "statements", at(policy, "Properties", "PolicyDocument", "Statement"), "["+strings.Join(want, ",")+"]")
	})
}

// Only AWS's topic and the daily schedule may invoke the refresher, and its environment
// is what it reads.
func TestRefresherEvents(t *testing.T) {
	each(t, "refresh", func(t *testing.T, st *synthStack) {
		_, subscription := st.only(t, "AWS::SNS::Subscription")
		same(t, "subscription", at(subscription, "Properties"), `{"TopicArn": "arn:aws:sns:us-east-1:806199016981:AmazonIpSpaceChanged", "Protocol": "lambda", "Endpoint": {"Fn::GetAtt": ["Refresher", "Arn"]}}`)
		rule, schedule := st.only(t, "AWS::Events::Rule")
		same(t, "schedule", at(schedule, "Properties", "ScheduleExpression"), `"rate(1 day)"`)
		var principals []string
		for _, p := range st.resources("AWS::Lambda::Permission") {
			principals = append(principals, text(at(p, "Properties", "Principal"))+" "+text(at(p, "Properties", "SourceArn")))
		}
		all := strings.Join(principals, "\n")
		if len(principals) != 2 || !strings.Contains(all, `"sns.amazonaws.com" "arn:aws:sns:us-east-1:806199016981:AmazonIpSpaceChanged"`) || !strings.Contains(all, `"events.amazonaws.com" {"Fn::GetAtt":["`+rule+`","Arn"]}`) {
			t.Errorf("permissions\n%s", all)
		}
		env, _ := at(st.resource(t, "Refresher"), "Properties", "Environment", "Variables").(map[string]any)
		c, err := config.LoadRefresh(func(name string) string { v, _ := env[name].(string); return v })
		if err != nil {
			t.Fatal(err)
		}
		if c.Stage != st.stage.Name || len(c.Buckets) != len(st.stage.Filled()) || len(c.Redirectors) != len(st.stage.Redirectors) || c.Documents != "" || c.Balancer == st.stage.HasDistribution() {
			t.Errorf("configuration %+v", c)
		}
	})
}
