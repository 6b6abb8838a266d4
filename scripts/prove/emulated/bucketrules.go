package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
)

// bucketProperties are the properties of a bucket that the emulator's CloudFormation
// ignores.
type bucketProperties struct {
	LifecycleConfiguration struct {
		Rules []struct {
			Id, Status                     string
			AbortIncompleteMultipartUpload json.RawMessage
			NoncurrentVersionExpiration    json.RawMessage
			ExpiredObjectDeleteMarker      bool
		}
	}
	ReplicationConfiguration struct {
		Rules []struct {
			Id, Status              string
			Priority                int
			Filter                  json.RawMessage
			DeleteMarkerReplication json.RawMessage
			Destination             json.RawMessage
		}
	}
}

// readBucket reads the properties of a region's bucket from the synthesized template.
func (d *deployed) readBucket(region string) (b bucketProperties, err error) {
	text, err := os.ReadFile(filepath.Join(d.assembly(), d.stage.Stack("mirror", region)+".template.json"))
	if err != nil {
		return b, err
	}
	var t struct {
		Resources struct {
			Mirror struct{ Properties bucketProperties }
		}
	}
	err = json.Unmarshal(text, &t)
	return t.Resources.Mirror.Properties, err
}

// putBucketRules puts the lifecycle and replication rules of all buckets.
func (d *deployed) putBucketRules(ctx context.Context) error {
	for _, region := range d.settings.filled() {
		if d.settings.buckets[region] != "" {
			continue // the stage does not change it
		}
		b, err := d.readBucket(region)
		if err != nil {
			return err
		}
		if err := d.putLifecycle(ctx, region, b); err != nil {
			return err
		}
		if err := d.putReplication(ctx, region, b); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployed) putLifecycle(ctx context.Context, region string, b bucketProperties) error {
	var rules []map[string]any
	for _, r := range b.LifecycleConfiguration.Rules {
		rules = append(rules, map[string]any{
			"ID": r.Id, "Status": r.Status, "Filter": map[string]string{"Prefix": ""},
			"AbortIncompleteMultipartUpload": r.AbortIncompleteMultipartUpload,
			"NoncurrentVersionExpiration":    r.NoncurrentVersionExpiration,
			"Expiration":                     map[string]bool{"ExpiredObjectDeleteMarker": r.ExpiredObjectDeleteMarker},
		})
	}
	return d.s3api(ctx, region, "put-bucket-lifecycle-configuration", "--lifecycle-configuration", map[string]any{"Rules": rules})
}

func (d *deployed) putReplication(ctx context.Context, region string, b bucketProperties) error {
	var rules []map[string]any
	for _, r := range b.ReplicationConfiguration.Rules {
		rules = append(rules, map[string]any{
			"ID": r.Id, "Status": r.Status, "Priority": r.Priority, "Filter": r.Filter,
			"DeleteMarkerReplication": r.DeleteMarkerReplication, "Destination": r.Destination,
		})
	}
	if rules == nil {
		return nil
	}
	role, err := d.replicationRole(ctx)
	if err != nil {
		return err
	}
	return d.s3api(ctx, region, "put-bucket-replication", "--replication-configuration", map[string]any{"Role": role, "Rules": rules})
}

// replicationRole returns the ARN of the only role in the primary's mirror stack.
func (d *deployed) replicationRole(ctx context.Context) (string, error) {
	var output struct {
		StackResources []struct{ ResourceType, PhysicalResourceId string }
	}
	primary := d.settings.primary
	if err := d.aws(ctx, primary, &output, "cloudformation", "describe-stack-resources", "--stack-name", d.stage.Stack("mirror", primary)); err != nil {
		return "", err
	}
	for _, r := range output.StackResources {
		if r.ResourceType == "AWS::IAM::Role" {
			return "arn:aws:iam::" + account + ":role/" + r.PhysicalResourceId, nil
		}
	}
	return "", errors.New("the stack of the primary mirror has no role for the replication")
}

func (d *deployed) s3api(ctx context.Context, region, command, option string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return d.aws(ctx, region, nil, "s3api", command, "--bucket", d.settings.bucket(region), option, string(text))
}
