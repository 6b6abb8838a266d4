package preflight

import (
	"context"

	"archeio/infra/stage"
)

// CloudFront's quotas by their names in Service Quotas, and their defaults.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
const (
	originsQuota, defaultOrigins     = "Origins per distribution", 100
	functionsQuota, defaultFunctions = "Functions per AWS account", 100
)

// edge checks CloudFront's quotas. The distribution has no origin groups: the edge
// function creates them for each request.
func (p *preflight) edge(ctx context.Context) {
	if !p.stage.HasDistribution() {
		return
	}
	p.quota(ctx, "CloudFront origins", originsQuota, defaultOrigins, len(p.stage.Routed())+len(p.stage.Redirectors))
	names, err := p.cloud.functions(ctx)
	if err != nil {
		p.unknown(stage.EdgeRegion, "CloudFront functions", err)
		return
	}
	// A function with other code is created before the old one is deleted.
	p.quota(ctx, "CloudFront functions", functionsQuota, defaultFunctions, len(names)+1)
}

func (p *preflight) quota(ctx context.Context, what, name string, byDefault, needed int) {
	p.quotaOf(ctx, stage.EdgeRegion, "cloudfront", what, name, byDefault, needed)
}

func (p *preflight) quotaOf(ctx context.Context, region, service, what, name string, byDefault, needed int) {
	limit, listed, err := p.cloud.quota(ctx, region, service, name)
	if err != nil {
		p.unknown(region, what, err)
		return
	}
	source := "the quota is"
	if !listed {
		limit, source = byDefault, "quota not listed; assuming the default of"
	}
	if needed > limit {
		p.fail(region, what, "%s %d (%d needed); request an increase of %q in Service Quotas", source, limit, needed, name)
		return
	}
	p.pass(region, what, "%s %d (%d needed)", source, limit, needed)
}
