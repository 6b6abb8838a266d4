//go:build !race

package stacks

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
)

func TestMirrorStacks(t *testing.T) {
	for _, s := range synthesized(t).stages {
		for _, region := range s.Mirrors {
			if !slices.ContainsFunc(synthesized(t).stacks, func(st *synthStack) bool { return st.name == s.Stack("mirror", region) }) {
				t.Errorf("stage %s has no mirror stack in %s", s.Name, region)
			}
		}
	}
}

func TestMirrorBucket(t *testing.T) {
	each(t, "mirror", func(t *testing.T, st *synthStack) {
		if st.stage.IsExisting(st.region) {
			return // TestExistingBucket
		}
		// With another logical id it would be another bucket.
		id, bucket := st.only(t, "AWS::S3::Bucket")
		if id != "Mirror" {
			t.Errorf("logical id %s, want Mirror", id)
		}
		// It is retained if its stack is deleted, unless its creation failed.
		if at(bucket, "DeletionPolicy") != "RetainExceptOnCreate" || at(bucket, "UpdateReplacePolicy") != "Retain" {
			t.Errorf("the bucket is not retained: %v, %v", at(bucket, "DeletionPolicy"), at(bucket, "UpdateReplacePolicy"))
		}
		props := at(bucket, "Properties")
		if name := at(props, "BucketName"); name != st.stage.Bucket(st.region) {
			t.Errorf("bucket name %v, want %s", name, st.stage.Bucket(st.region))
		}
		namespace := at(props, "BucketNamespace")
		if stage.AccountNamespace(st.region) {
			if namespace != "account-regional" {
				t.Errorf("bucket namespace %v", namespace)
			}
		} else if namespace != nil || !strings.Contains(st.stage.Bucket(st.region), st.stage.Account) {
			t.Errorf("bucket namespace %v in %s, which does not support it", namespace, st.region)
		}
		same(t, "public access block", at(props, "PublicAccessBlockConfiguration"),
			`{"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": false, "RestrictPublicBuckets": false}`)
		same(t, "encryption", at(props, "BucketEncryption"),
			`{"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}`)
		same(t, "versioning", at(props, "VersioningConfiguration"), `{"Status": "Enabled"}`)
		same(t, "ownership", at(props, "OwnershipControls"), `{"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}`)
		same(t, "lifecycle", at(props, "LifecycleConfiguration"), `{"Rules": [{
			"Id": "expire-noncurrent-versions",
			"Status": "Enabled",
			"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
			"NoncurrentVersionExpiration": {"NoncurrentDays": 30},
			"ExpiredObjectDeleteMarker": true
		}]}`)
		for _, key := range []string{"AccessControl", "WebsiteConfiguration", "CorsConfiguration", "LoggingConfiguration"} {
			if at(props, key) != nil {
				t.Errorf("the bucket has a %s", key)
			}
		}
	})
}

func TestMirrorPolicy(t *testing.T) {
	each(t, "mirror", func(t *testing.T, st *synthStack) {
		if st.stage.IsExisting(st.region) {
			return // TestExistingBucket
		}
		id, policy := st.only(t, "AWS::S3::BucketPolicy")
		same(t, "bucket", at(policy, "Properties", "Bucket"), `{"Ref": "Mirror"}`)
		bySid := map[string]any{}
		for _, s := range st.statements() {
			if s.of(id) {
				sid, _ := s.body["Sid"].(string)
				if bySid[sid] != nil {
					t.Errorf("duplicate statement ID %q", sid)
				}
				bySid[sid] = s.body
			}
		}
		same(t, "denied without TLS", bySid[""], `{
			"Effect": "Deny",
			"Principal": {"AWS": "*"},
			"Action": "s3:*",
			"Resource": [
				{"Fn::GetAtt": ["Mirror", "Arn"]},
				{"Fn::Join": ["", [{"Fn::GetAtt": ["Mirror", "Arn"]}, "/*"]]}
			],
			"Condition": {"Bool": {"aws:SecureTransport": "false"}}
		}`)
		same(t, "statement for the distribution", bySid["AllowDistributionRead"], `{
			"Sid": "AllowDistributionRead",
			"Effect": "Allow",
			"Principal": {"Service": "cloudfront.amazonaws.com"},
			"Action": "s3:GetObject",
			"Resource": {"Fn::Join": ["", [{"Fn::GetAtt": ["Mirror", "Arn"]}, "/containers/images/*"]]},
			"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:cloudfront::`+st.stage.Account+`:distribution/*"}}
		}`)
		if len(bySid) != 3 {
			t.Errorf("%d statements, want 3: %s", len(bySid), text(at(policy, "Properties", "PolicyDocument")))
		}
	})
}

// A mirror stack has a bucket, its policy, the replication role and alarms, and
// depends on other stacks by replication only.
func TestMirrorResources(t *testing.T) {
	each(t, "mirror", func(t *testing.T, st *synthStack) {
		resources, _ := st.template["Resources"].(map[string]any)
		if st.stage.IsExisting(st.region) {
			return // TestExistingBucket
		}
		want := 2
		if st.region == st.stage.Primary && len(st.stage.Mirrors) > 1 {
			want = 4
		}
		if n := len(resources) - len(st.alarms()); n != want {
			t.Errorf("%d resources without the alarms, want %d", n, want)
		}
		same(t, "output BucketName", at(st.template, "Outputs", "BucketName", "Value"), `{"Ref": "Mirror"}`)
	})
}

// The stage has no resources of an existing bucket, which would replace its owner's
// settings, and everything else uses its own name.
func TestExistingBucket(t *testing.T) {
	found := map[bool]int{} // by whether it is the primary
	each(t, "mirror", func(t *testing.T, st *synthStack) {
		if !st.stage.IsExisting(st.region) {
			return
		}
		primary := st.region == st.stage.Primary
		found[primary]++
		name := st.stage.Buckets[st.region]
		resources, alarms := 1, 1
		if primary { // its role and the policy of that, and an alarm for each replica
			alarms += len(st.stage.Replicas())
			resources = alarms + 2
		}
		if len(st.alarms()) != alarms || len(st.template["Resources"].(map[string]any)) != resources {
			t.Errorf("resources other than %d alarms and a role: %s", alarms, text(st.template["Resources"]))
		}
		st.none(t, "AWS::S3::Bucket", "AWS::S3::BucketPolicy")
		same(t, "output BucketName", at(st.template, "Outputs", "BucketName", "Value"), text(name))
		required, _ := at(st.template, "Outputs", "RequiredPolicy", "Value").(string)
		var statements any
		if err := json.Unmarshal([]byte(required), &statements); err != nil {
			t.Fatalf("%v in %s", err, required)
		}
		same(t, "output RequiredPolicy", statements, `[{
			"Sid": "AllowPublicRead",
			"Effect": "Allow",
			"Principal": "*",
			"Action": "s3:GetObject",
			"Resource": "arn:aws:s3:::`+name+`/containers/images/*",
			"Condition": {"Bool": {"aws:SecureTransport": "true"}}
		}, {
			"Sid": "AllowDistributionRead",
			"Effect": "Allow",
			"Principal": {"Service": "cloudfront.amazonaws.com"},
			"Action": "s3:GetObject",
			"Resource": "arn:aws:s3:::`+name+`/containers/images/*",
			"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:cloudfront::`+st.stage.Account+`:distribution/*"}}
		}]`)
		for _, want := range []string{"versioning", "SSE-S3", "BucketOwnerEnforced", "BlockPublicPolicy", "Requester Pays", "lifecycle", "EntireBucket"} {
			if settings, _ := at(st.template, "Outputs", "RequiredSettings", "Value").(string); !strings.Contains(settings, want) {
				t.Errorf("output RequiredSettings %q without %s", settings, want)
			}
		}
	})
	if found[true] != 1 || found[false] != 1 {
		t.Errorf("existing buckets by whether they are the primary: %v, want one of each", found)
	}
	each(t, "", func(t *testing.T, st *synthStack) {
		for region, name := range st.stage.Buckets {
			created := st.stage.MirrorPrefix + "-" + st.stage.Account + "-" + region
			uses := false
			walk(st.template, "", func(path string, v any) {
				s, _ := v.(string)
				uses = uses || strings.Contains(s, name)
				if strings.Contains(s, created) {
					t.Errorf("%s: %s", path, s)
				}
			})
			switch st.what {
			case "home", "filler", "refresh", "redirector", "edge":
			case "mirror":
				if st.region != region && st.region != st.stage.Primary {
					continue
				}
			default:
				continue
			}
			if !uses {
				t.Errorf("%s does not have the name %s", st.name, name)
			}
		}
	})
}
