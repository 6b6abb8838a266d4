//go:build !race

package stacks

import (
	"fmt"
	"slices"
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

// Only alarms can publish to the topic, over TLS, and encrypt with its key.
func TestTopic(t *testing.T) {
	found := map[bool]bool{}
	each(t, "watch", func(t *testing.T, st *synthStack) {
		alarms := fmt.Sprintf(`"Principal": {"Service": "cloudwatch.amazonaws.com"}, "Condition": {
			"StringEquals": {"aws:SourceAccount": %q}, "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:%s:%s:alarm:*"}}`, st.stage.Account, st.region, st.stage.Account)
		topic := at(st.resource(t, "Topic"), "Properties")
		same(t, "name", at(topic, "TopicName"), fmt.Sprintf("%q", "archeio-"+st.stage.Name+"-alarms"))
		same(t, "key", at(topic, "KmsMasterKeyId"), `{"Fn::GetAtt": ["TopicKey", "KeyId"]}`)
		same(t, "policy", at(st.resource(t, "TopicPolicy"), "Properties"), `{"Topics": [{"Ref": "Topic"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [
			{"Sid": "AllowAlarmsPublish", "Effect": "Allow", "Action": "sns:Publish", "Resource": {"Ref": "Topic"}, `+alarms+`},
			{"Sid": "DenyInsecureTransport", "Effect": "Deny", "Action": "sns:Publish", "Resource": {"Ref": "Topic"}, "Principal": {"AWS": "*"},
				"Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}}`)
		key := at(st.resource(t, "TopicKey"), "Properties")
		same(t, "rotation", at(key, "EnableKeyRotation"), "true")
		same(t, "key's policy", at(key, "KeyPolicy"), `{"Version": "2012-10-17", "Statement": [
			{"Sid": "AllowAccountAdministration", "Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS": "arn:aws:iam::`+st.stage.Account+`:root"}},
			{"Sid": "AllowAlarmsEncryption", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*", `+alarms+`}]}`)
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
