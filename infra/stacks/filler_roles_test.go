//go:build !race

package stacks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/index"
)

// arns returns the ARNs of the filled mirrors with a suffix, the way the CDK writes
// them: sorted, and a single one without a list.
func (st *synthStack) arns(suffix string) string {
	var out []string
	for _, region := range st.stage.Filled() {
		out = append(out, "arn:aws:s3:::"+st.stage.Bucket(region)+suffix)
	}
	if len(out) == 1 {
		return text(out[0])
	}
	slices.Sort(out)
	return text(out)
}

// created returns the ARNs of objects in all mirrors that the stage creates, as one
// pattern, and in each filled existing bucket.
func (st *synthStack) created(suffix string) string {
	out := []string{"arn:aws:s3:::" + st.stage.MirrorPrefix + "-" + st.stage.Account + "-*" + suffix}
	for _, region := range st.stage.Filled() {
		if name := st.stage.Buckets[region]; name != "" {
			out = append(out, "arn:aws:s3:::"+name+suffix)
		}
	}
	if len(out) == 1 {
		return text(out[0])
	}
	slices.Sort(out)
	return text(out)
}

// fillerStatements returns the policy statements of a function's role, in the order of
// the CDK.
func fillerStatements(st *synthStack, id, logs string) []string {
	blobs := st.arns("/containers/images/*")
	state := "arn:aws:s3:::" + st.stage.StateBucket()
	onMirrors, onQueue := []string{"s3:GetObject"}, []string{"sqs:GetQueueAttributes", "sqs:SendMessage"}
	if id == "Worker" {
		onMirrors = []string{"s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"}
		onQueue = []string{"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"}
	}
	one := func(actions []string) string {
		if len(actions) == 1 {
			return text(actions[0])
		}
		return text(actions)
	}
	out := []string{
		`"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": {"Fn::GetAtt": ["` + logs + `", "Arn"]}`,
		`"Action": ["s3:ListBucket", "s3:ListBucketVersions"], "Resource": ` + st.arns("") + `, "Condition": {"StringLike": {"s3:prefix": "containers/images/*"}}`,
		`"Action": ` + one(onMirrors) + `, "Resource": ` + blobs,
		`"Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"], "Resource": ` + st.created("/containers/images/sha256:*"),
		`"Action": "s3:ListBucket", "Resource": ` + text(state),
		`"Action": ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], "Resource": ` + text(state+"/*"),
		`"Action": ` + one(onQueue) + `, "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}`,
	}
	if st.stage.Filler.Secret != "" {
		out = append(out, `"Action": "secretsmanager:GetSecretValue", "Resource": `+text(st.stage.Filler.Secret))
	}
	if account, region, isECR := config.ECR(st.stage.Source()); isECR {
		out = append(out, `"Action": "ecr:GetAuthorizationToken", "Resource": "*"`,
			`"Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:DescribeRepositories", "ecr:GetDownloadUrlForLayer", "ecr:ListImages"], `+
				`"Resource": `+text("arn:aws:ecr:"+region+":"+account+":repository/*"))
	}
	if id == "Planner" {
		out = append(out, `"Action": "s3:PutObject", "Resource": `+st.created("/containers/images/"+index.Name))
	}
	return out
}

func TestFillerRoles(t *testing.T) {
	each(t, "filler", func(t *testing.T, st *synthStack) {
		used := map[string]bool{}
		for _, id := range fillers {
			function := st.resource(t, id)
			role, _ := at(function, "Properties", "Role", "Fn::GetAtt", 0).(string)
			logs, _ := at(function, "Properties", "LoggingConfig", "LogGroup", "Ref").(string)
			if used[role] || used[logs] || role == "" || logs == "" {
				t.Fatalf("%s shares its role %q or log group %q", id, role, logs)
			}
			used[role], used[logs] = true, true
			same(t, id+"'s retention", at(st.resource(t, logs), "Properties", "RetentionInDays"), fmt.Sprint(st.stage.LogRetention))
			props := at(st.resource(t, role), "Properties")
			if at(props, "Policies") != nil || at(props, "ManagedPolicyArns") != nil {
				t.Errorf("%s has other policies: %s", role, text(props))
			}
			same(t, id+"'s trust", at(props, "AssumeRolePolicyDocument", "Statement"), `[{
				"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"
			}]`)
			found := 0
			for policy, resource := range st.resources("AWS::IAM::Policy") {
				if text(at(resource, "Properties", "Roles")) != `[{"Ref":"`+role+`"}]` {
					continue
				}
				found++
				var want []string
				for _, s := range fillerStatements(st, id, logs) {
					want = append(want, `{"Effect": "Allow", `+s+`}`)
				}
				same(t, id+"'s statements", at(resource, "Properties", "PolicyDocument", "Statement"), `[`+strings.Join(want, ",")+`]`)
				if n, limit := len(text(at(resource, "Properties", "PolicyDocument"))), st.stage.FillerPolicySize(); n > limit || limit > 10240 {
					t.Errorf("%s's policy has %d characters, want at most %d, and IAM allows 10240", id, n, limit)
				}
				// Lambda validates the role for the event source mapping, which
				// depends on the function only.
				if !slices.Contains(texts(at(function, "DependsOn")), policy) {
					t.Errorf("%s does not depend on %s", id, policy)
				}
			}
			if found != 1 {
				t.Errorf("%s has %d policies, want 1", role, found)
			}
		}
	})
}

// The state bucket is private to the functions. It is in the home region, which does not
// follow the primary.
func TestStateBucket(t *testing.T) {
	elsewhere := 0
	each(t, "home", func(t *testing.T, st *synthStack) {
		if st.region != st.stage.Home {
			t.Errorf("the stack is in %s, want %s", st.region, st.stage.Home)
		}
		if st.region != st.stage.Primary {
			elsewhere++
		}
		if !st.stage.HasState() {
			st.none(t, "AWS::S3::Bucket")
			return
		}
		id, bucket := st.only(t, "AWS::S3::Bucket")
		if id != "State" {
			t.Errorf("logical id %s, want State", id)
		}
		if at(bucket, "DeletionPolicy") != "RetainExceptOnCreate" || at(bucket, "UpdateReplacePolicy") != "Retain" {
			t.Errorf("the bucket is not retained: %v, %v", at(bucket, "DeletionPolicy"), at(bucket, "UpdateReplacePolicy"))
		}
		namespace := ""
		if stage.AccountNamespace(st.region) {
			namespace = `"BucketNamespace": "account-regional",`
		}
		props := at(bucket, "Properties")
		// It has no other properties, such as replication or access for others.
		same(t, "bucket", props, `{
			"BucketName": "`+st.stage.StateBucket()+`", `+namespace+`
			"PublicAccessBlockConfiguration": {"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true},
			"BucketEncryption": {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
			"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
			"VersioningConfiguration": {"Status": "Enabled"},
			"LifecycleConfiguration": {"Rules": [
				{"Id": "expire-runs", "Status": "Enabled", "Prefix": "run/", "ExpirationInDays": 30},
				{"Id": "expire-noncurrent-versions", "Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
					"NoncurrentVersionExpiration": {"NoncurrentDays": 7}, "ExpiredObjectDeleteMarker": true}
			]},
			"Tags": `+text(at(props, "Tags"))+`
		}`)
		_, policy := st.only(t, "AWS::S3::BucketPolicy")
		same(t, "policy", at(policy, "Properties"), `{"Bucket": {"Ref": "State"}, "PolicyDocument": {"Version": "2012-10-17", "Statement": [{
			"Effect": "Deny",
			"Principal": {"AWS": "*"},
			"Action": "s3:*",
			"Resource": [{"Fn::GetAtt": ["State", "Arn"]}, {"Fn::Join": ["", [{"Fn::GetAtt": ["State", "Arn"]}, "/*"]]}],
			"Condition": {"Bool": {"aws:SecureTransport": "false"}}
		}]}}`)
		for _, region := range st.stage.Mirrors {
			if st.stage.Bucket(region) == at(props, "BucketName") {
				t.Errorf("the state bucket is the mirror in %s", region)
			}
		}
	})
	if elsewhere == 0 {
		t.Error("no stage whose home is not the primary is tested")
	}
	// No other stack refers to it, but for the name of the canary's image: TestCanaryRole,
	// and TestRolloutRoles for the rollout hook.
	each(t, "", func(t *testing.T, st *synthStack) {
		if st.what == "filler" || st.what == "refresh" || st.what == "home" || st.what == "canary" || !st.stage.HasState() {
			return
		}
		walk(st.template, "", func(path string, v any) {
			hook := strings.HasPrefix(path, "/Resources/HookRole") || strings.HasPrefix(path, "/Resources/RolloutHook/")
			if s, ok := v.(string); ok && !hook && strings.Contains(s, st.stage.StateBucket()) {
				t.Errorf("%s: %s", path, s)
			}
		})
	})
}
