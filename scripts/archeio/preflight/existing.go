package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"archeio/infra/dashboard"
	"archeio/infra/leftover"
	"archeio/infra/stage"
	"archeio/lambda/config"
)

// settings are those of a bucket that exists. errs has an error for each that could not
// be read, by the name of its check.
type settings struct {
	region     string // empty if S3 does not say
	versioned  bool
	block      s3types.PublicAccessBlockConfiguration
	policy     string // empty for none
	encryption s3types.ServerSideEncryption
	ownership  s3types.ObjectOwnership // empty if ACLs are in use as they were by default
	lifecycle  []s3types.LifecycleRule
	payer      s3types.Payer
	metrics    bool // request metrics of the whole bucket
	// locks is whether the bucket has Object Lock, retention its default retention, nil
	// for none.
	locks       bool
	retention   *s3types.DefaultRetention
	replication []s3types.ReplicationRule
	errs        map[string]error
}

// Checks of existing buckets.
const (
	bucketExists      = "bucket"
	bucketVersioning  = "bucket versioning"
	bucketBlock       = "bucket public access"
	bucketPolicy      = "bucket policy"
	bucketEncryption  = "bucket encryption"
	bucketOwnership   = "bucket ownership"
	bucketLifecycle   = "bucket lifecycle"
	bucketPayer       = "bucket payer"
	bucketMetrics     = "bucket metrics"
	bucketLock        = "bucket object lock"
	bucketReplication = "bucket replication"
)

// existing checks the settings of an existing bucket, which the stage does not change.
func (p *preflight) existing(ctx context.Context, region string) {
	name := p.stage.Bucket(region)
	ownership, err := p.cloud.Ownership(ctx, region, name)
	if err != nil {
		p.unknown(region, bucketExists, err)
		return
	}
	switch ownership {
	case leftover.Free:
		p.fail(region, bucketExists, "%s does not exist; correct buckets.%s, or run %s", name, region, createCommand(name, region))
		return
	case leftover.Foreign:
		p.fail(region, bucketExists, "%s is in another account or region; correct buckets.%s", name, region)
		return
	}
	s := p.cloud.settings(ctx, region, name)
	if s.region != "" && s.region != region {
		p.fail(region, bucketExists, "%s is in %s; correct buckets.%s", name, s.region, region)
		return
	}
	p.pass(region, bucketExists, "%s exists", name)
	if slices.Contains(p.stage.Retiring, region) {
		return // neither clients nor functions use it any longer
	}
	api := func(command, args string) string {
		return fmt.Sprintf("run aws s3api %s --region %s --bucket %s%s", command, region, name, args)
	}
	check := func(what string, ok bool, pass, fail string) {
		switch err := s.errs[what]; {
		case err != nil:
			p.unknown(region, what, err)
		case !ok && what == bucketMetrics:
			p.warn(region, what, "%s", fail)
		case !ok:
			p.fail(region, what, "%s", fail)
		default:
			p.pass(region, what, "%s", pass)
		}
	}
	check(bucketVersioning, s.versioned, "versioning is enabled", "versioning is not enabled, so S3 cannot replicate blobs; "+api("put-bucket-versioning", " --versioning-configuration Status=Enabled"))
	check(bucketBlock, !aws.ToBool(s.block.BlockPublicPolicy) && !aws.ToBool(s.block.RestrictPublicBuckets), "the bucket may have a public policy",
		"the bucket blocks public policies, so clients cannot read blobs; "+api("put-public-access-block", " --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=false,RestrictPublicBuckets=false"))
	p.policy(region, name, s)
	check(bucketEncryption, s.encryption == s3types.ServerSideEncryptionAes256, "new objects are encrypted with SSE-S3",
		fmt.Sprintf("the default encryption is %s, and anonymous clients cannot read such objects; %s; objects that are already there stay as they are", shown(string(s.encryption)), api("put-bucket-encryption", ` --server-side-encryption-configuration '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'`)))
	check(bucketOwnership, s.ownership == s3types.ObjectOwnershipBucketOwnerEnforced, "the bucket owner owns all objects",
		fmt.Sprintf("the object ownership is %s, and the bucket policy does not apply to objects that another account owns; %s", shown(string(s.ownership)), api("put-bucket-ownership-controls", ` --ownership-controls 'Rules=[{ObjectOwnership=BucketOwnerEnforced}]'`)))
	rules := harmful(s.lifecycle)
	check(bucketLifecycle, len(rules) == 0, "no lifecycle rule deletes or archives blobs",
		fmt.Sprintf("lifecycle rules delete or archive blobs: %s; take %s out of their filters, or remove them, with aws s3api put-bucket-lifecycle-configuration --region %s --bucket %s", strings.Join(rules, ", "), config.BlobPrefix, region, name))
	check(bucketPayer, s.payer != s3types.PayerRequester, "the bucket owner pays for requests",
		"Requester Pays is on, so anonymous clients get 403; "+api("put-bucket-request-payment", " --request-payment-configuration Payer=BucketOwner"))
	p.lock(region, name, s)
	p.replicates(region, name, s)
	check(bucketMetrics, s.metrics, "the bucket has request metrics",
		fmt.Sprintf("without the request metrics %s, the dashboard and the alarm on downloads have no data; %s", dashboard.EntireBucket, api("put-bucket-metrics-configuration", fmt.Sprintf(" --id %s --metrics-configuration Id=%[1]s", dashboard.EntireBucket))))
}

// policy checks that the policy of an existing bucket has the required statements.
func (p *preflight) policy(region, name string, s settings) {
	if err := s.errs[bucketPolicy]; err != nil {
		p.unknown(region, bucketPolicy, err)
		return
	}
	found, err := readPolicy(s.policy, name, p.stage.AnyDistribution())
	add := fmt.Sprintf("add the output RequiredPolicy of %s to it with aws s3api put-bucket-policy --region %s --bucket %s; the statements are %s", p.stage.Stack("mirror", region), region, name, p.stage.PublicStatements(region))
	switch {
	case err != nil:
		p.unknown(region, bucketPolicy, err)
	case found.denied != "":
		p.fail(region, bucketPolicy, "the statement %s denies clients to read blobs; remove it, or except %s*", found.denied, config.BlobPrefix)
	case !found.public && !found.distribution:
		p.fail(region, bucketPolicy, "neither clients nor CloudFront may read blobs; %s", add)
	case !found.public:
		p.fail(region, bucketPolicy, "clients may not read blobs; %s", add)
	case !found.distribution:
		p.fail(region, bucketPolicy, "CloudFront may not read blobs; %s", add)
	case found.conditional != "":
		p.warn(region, bucketPolicy, "could not check whether the statement %s denies clients to read blobs: it has conditions; run archeio verify after the deployment", found.conditional)
	default:
		p.pass(region, bucketPolicy, "clients and CloudFront may read blobs")
	}
}

// shown returns a setting for a message.
func shown(v string) string {
	if v == "" {
		return "not set"
	}
	return v
}

func createCommand(name, region string) string {
	location := ""
	if region != "us-east-1" { // the one region without a location constraint
		location = " --create-bucket-configuration LocationConstraint=" + region
	}
	return fmt.Sprintf("aws s3api create-bucket --region %s --bucket %s%s", region, name, location)
}

// harmful returns the names of the lifecycle rules that delete or archive current
// versions of blobs. Rules for tags or sizes may apply to blobs.
func harmful(rules []s3types.LifecycleRule) []string {
	var all []string
	for i, r := range rules {
		expires := r.Expiration != nil && (r.Expiration.Days != nil || r.Expiration.Date != nil)
		if r.Status != s3types.ExpirationStatusEnabled || !expires && len(r.Transitions) == 0 {
			continue
		}
		//lint:ignore SA1019 S3 returns it for rules that were set without a filter
		prefix := aws.ToString(r.Prefix)
		if f := r.Filter; f != nil {
			if f.And != nil {
				prefix = aws.ToString(f.And.Prefix)
			} else {
				prefix = aws.ToString(f.Prefix)
			}
		}
		if strings.HasPrefix(prefix, config.BlobPrefix) || strings.HasPrefix(config.BlobPrefix, prefix) {
			name := aws.ToString(r.ID)
			if name == "" {
				name = fmt.Sprintf("rule %d", i+1)
			}
			all = append(all, name)
		}
	}
	return all
}

// replaced checks that the bucket of a mirror that clients are redirected to stays the
// same: the new one is empty, and the policy of a bucket that the stage created is deleted
// before the redirectors change.
func (p *preflight) replaced(ctx context.Context, region string) {
	const what = "bucket change"
	deployed, err := p.cloud.Output(ctx, region, p.stage.Stack("mirror", region), stage.BucketName)
	if err != nil {
		p.unknown(region, what, err)
		return
	}
	if deployed == "" || deployed == p.stage.Bucket(region) {
		return
	}
	inUse := slices.Contains(p.stage.Routed(), region)
	for _, st := range p.stage.Stacks() {
		if st.What != "redirector" && st.What != "edge" {
			continue
		}
		value, err := p.cloud.Output(ctx, st.Region, st.Name, stage.UsesMirrors)
		if err != nil {
			p.unknown(region, what, err)
			return
		}
		inUse = inUse || slices.Contains(strings.Split(value, ","), region)
	}
	if region == p.stage.Primary {
		p.fail(region, what, "the primary changes from %s to %s, and the functions would fill the new bucket while clients are redirected to it; make another mirror the primary first, as in the runbook", deployed, p.stage.Bucket(region))
		return
	}
	if inUse {
		p.fail(region, what, "the mirror changes from %s to %s while clients are redirected to it; put %s into filling and deploy that first, then change the bucket, and take it out of filling when archeio mirror status reports it full", deployed, p.stage.Bucket(region), region)
		return
	}
	p.pass(region, what, "the mirror changes from %s to %s; no client is redirected to it", deployed, p.stage.Bucket(region))
}
