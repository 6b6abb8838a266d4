package preflight

import (
	"context"
	"fmt"
	"math"
	"slices"

	"archeio/infra/leftover"
	"archeio/infra/stage"
)

const (
	// environmentRate is how many requests per second one execution environment
	// of a Lambda function serves at most.
	// https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
	environmentRate = 10

	// newAccount is the number of concurrent executions of a new account.
	// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
	newAccount = 10

	// minBootstrap is the oldest bootstrap stack version that the CDK's templates
	// accept.
	minBootstrap = 6
)

func (p *preflight) region(ctx context.Context, region string) {
	switch enabled, err := p.cloud.enabled(ctx, region); {
	case err != nil:
		p.unknown(region, "enabled", err)
	case !enabled:
		p.fail(region, "enabled", "the region is not enabled for the account; run aws account enable-region --region-name %s and wait until it is", region)
		return
	default:
		p.pass(region, "enabled", "the region is enabled")
	}
	switch version, err := p.cloud.bootstrapped(ctx, region, p.qualifier); {
	case err != nil:
		p.unknown(region, "bootstrap", err)
	case version == 0:
		p.fail(region, "bootstrap", "the region is not CDK-bootstrapped with the qualifier %s; run make bootstrap STAGE=%s%s", p.qualifier, p.stage.Name, p.bootstrapArgs())
	case version < minBootstrap:
		p.fail(region, "bootstrap", "the CDK bootstrap stack has version %d, want at least %d; run make bootstrap STAGE=%s%s", version, minBootstrap, p.stage.Name, p.bootstrapArgs())
	default:
		p.pass(region, "bootstrap", "the CDK bootstrap stack has version %d", version)
	}
	p.concurrency(ctx, region)
	p.network(ctx, region)
	p.stacks(ctx, region)
	if slices.Contains(p.stage.Mirrors, region) {
		p.replaced(ctx, region)
	}
	if p.stage.IsExisting(region) {
		p.existing(ctx, region)
	}
	for _, b := range p.stage.RetainedBuckets() {
		if b.Region == region {
			p.bucket(ctx, b)
		}
	}
}

// bootstrapArgs returns the argument of make bootstrap that the qualifier needs, empty for
// the default one.
func (p *preflight) bootstrapArgs() string {
	if p.qualifier == stage.DefaultQualifier {
		return ""
	}
	return fmt.Sprintf(" CDK_ARGS='--qualifier %s --toolkit-stack-name CDKToolkit-%[1]s'", p.qualifier)
}

// stacks checks for stacks that an earlier deployment left unfinished.
func (p *preflight) stacks(ctx context.Context, region string) {
	ready := true
	for _, st := range p.stage.Stacks() {
		if st.Region != region {
			continue
		}
		switch f, err := leftover.CheckStack(ctx, p.cloud, p.stage, st); {
		case err != nil:
			ready = false
			p.unknown(region, "stack "+st.What, err)
		case f != nil:
			ready = false
			p.fail(region, "stack "+st.What, "%s: %s", st.Name, f.Details)
		}
	}
	if ready {
		p.pass(region, "stacks", "no stack blocks the deployment")
	}
}

func (p *preflight) concurrency(ctx context.Context, region string) {
	const what = "Lambda concurrency"
	needed := p.stage.FillerConcurrency(region)
	if slices.Contains(p.stage.Redirectors, region) {
		needed += int(math.Ceil(p.rate / environmentRate))
	}
	if needed == 0 {
		return
	}
	switch all, limit, err := p.cloud.concurrency(ctx, region); {
	case err != nil:
		p.unknown(region, what, err)
	case limit < needed && all == newAccount:
		p.warn(region, what, "the account is new and has %d concurrent executions (%d needed): enough for a trial; request an increase in Service Quotas before clients use it", all, needed)
	case limit < needed:
		p.fail(region, what, "the account has %d unreserved concurrent executions (%d needed); request an increase in Service Quotas", limit, needed)
	default:
		p.pass(region, what, "the account has %d unreserved concurrent executions (%d needed)", limit, needed)
	}
}

func (p *preflight) bucket(ctx context.Context, b stage.Retained) {
	const what = "bucket"
	switch ownership, f, err := leftover.CheckBucket(ctx, p.cloud, p.stage, b); {
	case err != nil:
		p.unknown(b.Region, what, err)
	case f != nil:
		p.fail(b.Region, what, "%s: %s", b.Name, f.Details)
	case ownership == leftover.Own:
		p.pass(b.Region, what, "%s exists in its stack", b.Name)
	default:
		p.pass(b.Region, what, "the name %s is available", b.Name)
	}
}
