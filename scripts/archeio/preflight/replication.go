package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/index"
)

// lock checks that Object Lock does not keep blobs that are withdrawn.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
func (p *preflight) lock(region, name string, s settings) {
	switch r := s.retention; {
	case s.errs[bucketLock] != nil:
		p.unknown(region, bucketLock, s.errs[bucketLock])
	case r != nil:
		period := fmt.Sprintf("%d days", aws.ToInt32(r.Days))
		if r.Years != nil {
			period = fmt.Sprintf("%d years", *r.Years)
		}
		p.fail(region, bucketLock, "new objects are locked in %s mode for %s, so blobs cannot be withdrawn; remove the default retention with aws s3api put-object-lock-configuration --region %s --bucket %s --object-lock-configuration ObjectLockEnabled=Enabled; objects that are already locked stay locked",
			r.Mode, period, region, name)
	case s.locks && region == p.stage.Primary && len(p.stage.Replicas()) > 0:
		p.warn(region, bucketLock, "S3 replicates from a bucket with Object Lock only to buckets with Object Lock, which the mirrors that the stage creates do not have, so the workers copy each blob; Object Lock cannot be disabled: use another bucket for the primary to have blobs replicated")
	case s.locks:
		p.pass(region, bucketLock, "new objects are not locked by default")
	default:
		p.pass(region, bucketLock, "the bucket has no Object Lock")
	}
}

// replicates checks the replication rules of an existing bucket that lead to mirrors of
// the stage. Without the rules of the primary, the workers copy each blob to each mirror.
func (p *preflight) replicates(region, name string, s settings) {
	if err := s.errs[bucketReplication]; err != nil {
		p.unknown(region, bucketReplication, err)
		return
	}
	missing := map[string]bool{}
	if region == p.stage.Primary {
		for _, r := range p.stage.ReplicationRules() {
			missing[r.Bucket] = true
		}
	}
	wanted := len(missing)
	for i, r := range s.replication {
		if r.Status != s3types.ReplicationRuleStatusEnabled || r.Destination == nil {
			continue
		}
		bucket := strings.TrimPrefix(aws.ToString(r.Destination.Bucket), "arn:aws:s3:::")
		if !slices.ContainsFunc(p.stage.Mirrors, func(mirror string) bool { return p.stage.Bucket(mirror) == bucket }) {
			continue
		}
		id := aws.ToString(r.ID)
		if id == "" {
			id = fmt.Sprintf("number %d", i+1)
		}
		prefix, tagged := replicated(r)
		switch {
		case !tagged && (strings.HasPrefix(config.BlobPrefix+index.Name, prefix) || strings.HasPrefix(config.BlobPrefix+config.RangesName, prefix)):
			p.fail(region, bucketReplication, "the rule %s replicates the blob index to %s, which has its own; limit its filter to the prefix %s, with aws s3api put-bucket-replication --region %s --bucket %s", id, bucket, stage.ReplicatedPrefix, region, name)
			return
		case r.DeleteMarkerReplication != nil && r.DeleteMarkerReplication.Status == s3types.DeleteMarkerReplicationStatusEnabled:
			p.fail(region, bucketReplication, "the rule %s replicates deletions to %s, so that a mistake affects both mirrors; disable DeleteMarkerReplication, with aws s3api put-bucket-replication --region %s --bucket %s", id, bucket, region, name)
			return
		case !tagged && strings.HasPrefix(stage.ReplicatedPrefix, prefix):
			delete(missing, bucket)
		}
	}
	if len(missing) > 0 {
		p.warn(region, bucketReplication, "blobs are not replicated to %s, so the workers copy each of them; after the deployment, set the output %s of %s with aws s3api put-bucket-replication --region %s --bucket %s, together with the rules that the bucket has",
			strings.Join(slices.Sorted(maps.Keys(missing)), ", "), stage.RequiredReplication, p.stage.Stack("mirror", region), region, name)
		return
	}
	if wanted > 0 {
		p.pass(region, bucketReplication, "blobs are replicated to all mirrors")
		return
	}
	p.pass(region, bucketReplication, "no rule replicates more than blobs to a mirror")
}

// replicated returns the key prefix of what a rule replicates, and whether only objects
// with a tag are.
func replicated(r s3types.ReplicationRule) (prefix string, tagged bool) {
	switch f := r.Filter; {
	case f == nil:
		//lint:ignore SA1019 S3 returns it for rules that were set without a filter
		return aws.ToString(r.Prefix), false
	case f.And != nil:
		return aws.ToString(f.And.Prefix), len(f.And.Tags) > 0
	default:
		return aws.ToString(f.Prefix), f.Tag != nil
	}
}
