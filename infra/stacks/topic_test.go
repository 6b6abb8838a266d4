//go:build !race

package stacks

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTopicsOfAlarms(t *testing.T) {
	c := synthesized(t)
	for _, s := range c.stages {
		var regions []string
		for _, st := range c.stacks {
			if st.stage == s && st.what == "watch" {
				regions = append(regions, st.region)
			}
		}
		for _, st := range c.stacks {
			if st.stage == s && len(st.alarms()) > 0 && !slices.Contains(regions, st.region) {
				t.Errorf("%s has alarms, but there is no topic in its region", st.name)
			}
		}
	}
}

// The end of an alarm of this stage is published, and no other change to OK.
func TestAlarmEnd(t *testing.T) {
	each(t, "watch", func(t *testing.T, st *synthStack) {
		var names []string
		for _, other := range synthesized(t).stacks {
			if other.stage == st.stage && other.region == st.region {
				names = append(names, fmt.Sprintf("{%q: %q}", "prefix", other.name+"-"))
			}
		}
		rule := at(st.resource(t, "AlarmEnd"), "Properties")
		got := at(rule, "EventPattern")
		slices.Sort(names)
		slices.SortFunc(list(at(got, "detail", "alarmName")), func(a, b any) int { return strings.Compare(text(a), text(b)) })
		same(t, "pattern", got, `{"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"], "detail": {
			"alarmName": [`+strings.Join(names, ", ")+`], "state": {"value": ["OK"]}, "previousState": {"value": ["ALARM"]}}}`)
		same(t, "target", at(rule, "Targets", 0, "Arn"), `{"Ref": "Topic"}`)
		template, _ := at(rule, "Targets", 0, "InputTransformer", "InputTemplate").(string)
		// EventBridge inserts values as they are, and the text must be a JSON string.
		if !strings.HasPrefix(template, `"Archeio, stage `+st.stage.Name+`: `) || strings.Count(template, `"`) != 2 {
			t.Errorf("the message is %s", template)
		}
	})
}

// Only alarms and EventBridge can publish to the topic, over TLS, and encrypt with its key.
func TestTopic(t *testing.T) {
	found := map[bool]bool{}
	each(t, "watch", func(t *testing.T, st *synthStack) {
		alarms := fmt.Sprintf(`"Principal": {"Service": "cloudwatch.amazonaws.com"}, "Condition": {
			"StringEquals": {"aws:SourceAccount": %q}, "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:%s:%s:alarm:*"}}`, st.stage.Account, st.region, st.stage.Account)
		// A condition on the source would never be true.
		const eventBridge = `"Principal": {"Service": "events.amazonaws.com"}`
		topic := at(st.resource(t, "Topic"), "Properties")
		same(t, "name", at(topic, "TopicName"), fmt.Sprintf("%q", "archeio-"+st.stage.Name+"-alarms"))
		same(t, "key", at(topic, "KmsMasterKeyId"), `{"Fn::GetAtt": ["TopicKey", "KeyId"]}`)
		same(t, "policy", at(st.resource(t, "TopicPolicy"), "Properties"), `{"Topics": [{"Ref": "Topic"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [
			{"Sid": "AllowAlarmsPublish", "Effect": "Allow", "Action": "sns:Publish", "Resource": {"Ref": "Topic"}, `+alarms+`},
			{"Sid": "AllowAlarmEndPublish", "Effect": "Allow", "Action": "sns:Publish", "Resource": {"Ref": "Topic"}, `+eventBridge+`},
			{"Sid": "DenyInsecureTransport", "Effect": "Deny", "Action": "sns:Publish", "Resource": {"Ref": "Topic"}, "Principal": {"AWS": "*"},
				"Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}}`)
		key := at(st.resource(t, "TopicKey"), "Properties")
		same(t, "rotation", at(key, "EnableKeyRotation"), "true")
		same(t, "key's policy", at(key, "KeyPolicy"), `{"Version": "2012-10-17", "Statement": [
			{"Sid": "AllowAccountAdministration", "Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS": "arn:aws:iam::`+st.stage.Account+`:root"}},
			{"Sid": "AllowAlarmsEncryption", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*", `+alarms+`},
			{"Sid": "AllowAlarmEndEncryption", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*", `+eventBridge+`}]}`)
		found[st.stage.Email != ""] = true
		if st.stage.Email == "" {
			st.none(t, "AWS::SNS::Subscription")
			return
		}
		_, subscription := st.only(t, "AWS::SNS::Subscription")
		same(t, "subscription", at(subscription, "Properties"), fmt.Sprintf(`{"TopicArn": {"Ref": "Topic"}, "Protocol": "email", "Endpoint": %q}`, st.stage.Email))
	})
	if !found[true] || !found[false] {
		t.Errorf("tested with an email address: %v, want with and without", found)
	}
}
