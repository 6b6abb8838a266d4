package capacity

// Quota is an AWS quota and how much of it is needed at the peak.
type Quota struct {
	Name   string  `json:"name"`
	Need   float64 `json:"need"`
	Limit  float64 `json:"limit"`
	Source string  `json:"source"`
	// Pulls is about how many pulls a month reach the quota, 0 if none do.
	Pulls    float64 `json:"reachedAtPulls"`
	Exceeded bool    `json:"exceeded"`
}

// Quotas returns the default quotas and what the load needs of them at its peak.
// All can be increased but S3's, which scales by itself.
func Quotas(l Load, q Quantities) []Quota {
	const (
		lambdaQuotas  = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
		lambdaScaling = "https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html"
		edgeQuotas    = "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html"
		s3Rates       = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html"
	)
	mean := q.Invocations / month * l.busiest(l.Redirectors)
	perSecond := mean * l.Peak
	concurrent := perSecond * l.meanMS(q) / second
	edgeBytes := q.Paths[EdgeCached].Bytes + q.Paths[EdgeFetched].Bytes + q.Paths[Redirects].Bytes*(1-l.BalancerShare)
	quota := func(name string, need, limit float64, source string) Quota {
		row := Quota{Name: name, Need: need, Limit: limit, Source: source, Exceeded: need > limit}
		if need > 0 {
			row.Pulls = l.Pulls * limit / need
		}
		return row
	}
	return []Quota{
		quota("Lambda: concurrency per region", concurrent, 1000, lambdaQuotas),
		quota("Lambda: requests/s per region", perSecond, 1000*environmentRate, lambdaScaling),
		// If the rate rises from the mean to the peak within ten seconds.
		quota("Lambda: added requests/s in 10 s", perSecond-mean, 1000*environmentRate, lambdaScaling),
		quota("CloudFront: requests/s", q.Edge/month*l.Peak, 250_000, edgeQuotas),
		quota("CloudFront: Gbit/s", edgeBytes*8/1e9/month*l.Peak, 150, edgeQuotas),
		quota("S3: reads/s per bucket", q.Reads/month*l.Peak*l.busiest(l.Mirrors), 5500, s3Rates),
	}
}
