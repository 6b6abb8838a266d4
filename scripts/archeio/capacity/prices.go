package capacity

import "math"

// PricesDate is the month in which this table was compiled. Prices are list prices
// in US dollars, without taxes, discounts and commitments; those of regional
// services are for us-east-1.
const PricesDate = "2026-11"

// AWS and Google count a GB as 2^30 bytes, and a TB as 1,024 GB.
const (
	gb = 1 << 30
	tb = 1024
)

// Tier is the price of the units up to a number of units. UpTo is 0 in the last
// tier.
type Tier struct {
	UpTo    float64 `json:"upTo,omitempty"`
	Dollars float64 `json:"dollars"`
}

// Price is the price of Per units in a month.
type Price struct {
	Service string  `json:"service"`
	Name    string  `json:"name"`
	Unit    string  `json:"unit"`
	Per     float64 `json:"per"`
	Tiers   []Tier  `json:"tiers"`
	// Free is how many units an account gets free each month, over all its use.
	Free   float64 `json:"free,omitempty"`
	Source string  `json:"source"`
	// Seen is where the price was read: in a stored copy of the provider's page or
	// in a page that quotes it. Empty means from memory, so unconfirmed.
	Seen string `json:"seen"`
}

const providerPage = "stored copy of the provider's page"

var (
	edgeNear = Price{
		Service: "CloudFront", Name: "transfer, North America and Europe", Unit: "GB", Per: 1, Free: 1 * tb,
		Tiers:  []Tier{{10 * tb, 0.085}, {50 * tb, 0.080}, {150 * tb, 0.060}, {500 * tb, 0.040}, {1024 * tb, 0.030}, {5120 * tb, 0.025}, {0, 0.020}},
		Source: "https://aws.amazon.com/cloudfront/pricing/", Seen: providerPage,
	}
	// The prices of Hong Kong. In other places the first tier costs 0.109 to 0.114,
	// the last one 0.04 to 0.08.
	edgeFar = Price{
		Service: "CloudFront", Name: "transfer, elsewhere", Unit: "GB", Per: 1,
		Tiers:  []Tier{{10 * tb, 0.120}, {50 * tb, 0.100}, {150 * tb, 0.095}, {500 * tb, 0.090}, {1024 * tb, 0.080}, {5120 * tb, 0.070}, {0, 0.060}},
		Source: "https://aws.amazon.com/cloudfront/pricing/", Seen: providerPage,
	}
	// The price of Europe; that of the United States is 0.0100.
	edgeRequests = Price{
		Service: "CloudFront", Name: "HTTPS requests", Unit: "requests", Per: 10_000, Free: 10_000_000,
		Tiers:  []Tier{{0, 0.0120}},
		Source: "https://aws.amazon.com/cloudfront/pricing/", // quoted in 2017 only
	}
	edgeFunctions = Price{
		Service: "CloudFront", Name: "functions", Unit: "invocations", Per: 1_000_000, Free: 2_000_000,
		Tiers:  []Tier{{0, 0.10}},
		Source: "https://aws.amazon.com/cloudfront/pricing/", Seen: "quoted 2025",
	}
	lambdaRequests = Price{
		Service: "Lambda", Name: "requests", Unit: "requests", Per: 1_000_000, Free: 1_000_000,
		Tiers:  []Tier{{0, 0.20}},
		Source: "https://aws.amazon.com/lambda/pricing/", Seen: "quoted 2024",
	}
	lambdaDuration = Price{
		Service: "Lambda", Name: "duration, arm64", Unit: "GB-second", Per: 1, Free: 400_000,
		Tiers:  []Tier{{7.5e9, 0.0000133334}, {18.75e9, 0.0000120001}, {0, 0.0000106667}},
		Source: "https://aws.amazon.com/lambda/pricing/", Seen: "quoted 2024; its tiers " + providerPage,
	}
	s3Storage = Price{
		Service: "S3", Name: "storage, Standard", Unit: "GB-month", Per: 1,
		Tiers:  []Tier{{50 * tb, 0.023}, {500 * tb, 0.022}, {0, 0.021}},
		Source: "https://aws.amazon.com/s3/pricing/", Seen: "quoted 2022",
	}
	s3Reads = Price{
		Service: "S3", Name: "GET and HEAD", Unit: "requests", Per: 1000,
		Tiers:  []Tier{{0, 0.0004}},
		Source: "https://aws.amazon.com/s3/pricing/", Seen: "quoted, undated",
	}
	s3Writes = Price{
		Service: "S3", Name: "PUT", Unit: "requests", Per: 1000,
		Tiers:  []Tier{{0, 0.005}},
		Source: "https://aws.amazon.com/s3/pricing/", Seen: "quoted, undated",
	}
	// From some regions it costs several times as much.
	toRegion = Price{
		Service: "S3", Name: "transfer to another region", Unit: "GB", Per: 1,
		Tiers:  []Tier{{0, 0.02}},
		Source: "https://aws.amazon.com/s3/pricing/", Seen: "quoted 2026-05",
	}
	toInternet = Price{
		Service: "S3 and ALB", Name: "transfer to the internet", Unit: "GB", Per: 1, Free: 100,
		Tiers:  []Tier{{10 * tb, 0.09}, {50 * tb, 0.085}, {150 * tb, 0.07}, {0, 0.05}},
		Source: "https://aws.amazon.com/s3/pricing/", Seen: "quoted 2026-06",
	}
	logIngest = Price{
		Service: "CloudWatch", Name: "logs of Lambda", Unit: "GB", Per: 1, Free: 5,
		Tiers:  []Tier{{10 * tb, 0.50}, {30 * tb, 0.25}, {50 * tb, 0.10}, {0, 0.05}},
		Source: "https://aws.amazon.com/cloudwatch/pricing/", Seen: "quoted 2025-05",
	}
	// The price of the first 10,000.
	customMetrics = Price{
		Service: "CloudWatch", Name: "custom metrics", Unit: "metric", Per: 1, Free: 10,
		Tiers:  []Tier{{0, 0.30}},
		Source: "https://aws.amazon.com/cloudwatch/pricing/", Seen: "quoted 2026-02",
	}
	// Each metric of an alarm on metric math counts.
	alarmMetrics = Price{
		Service: "CloudWatch", Name: "alarms", Unit: "metric", Per: 1, Free: 10,
		Tiers:  []Tier{{0, 0.10}},
		Source: "https://aws.amazon.com/cloudwatch/pricing/", Seen: "quoted, undated; the free units " + providerPage,
	}
	topicKeys = Price{
		Service: "KMS and WAF", Name: "keys of alarm topics", Unit: "key", Per: 1,
		Tiers:  []Tier{{0, 1}},
		Source: "https://aws.amazon.com/kms/pricing/",
	}
	// A web ACL with one rule.
	firewalls = Price{
		Service: "KMS and WAF", Name: "firewalls", Unit: "firewall", Per: 1,
		Tiers:  []Tier{{0, 6}},
		Source: "https://aws.amazon.com/waf/pricing/", Seen: "quoted, undated",
	}
	firewallRequests = Price{
		Service: "KMS and WAF", Name: "inspected requests", Unit: "requests", Per: 1_000_000,
		Tiers:  []Tier{{0, 0.60}},
		Source: "https://aws.amazon.com/waf/pricing/", Seen: "quoted, undated",
	}
	balancerHours = Price{
		Service: "ALB", Name: "load balancers", Unit: "hour", Per: 1,
		Tiers:  []Tier{{0, 0.0225}},
		Source: "https://aws.amazon.com/elasticloadbalancing/pricing/", Seen: "quoted 2026-05",
	}
	balancerUnits = Price{
		Service: "ALB", Name: "capacity units", Unit: "LCU-hour", Per: 1,
		Tiers:  []Tier{{0, 0.008}},
		Source: "https://aws.amazon.com/elasticloadbalancing/pricing/", Seen: "quoted 2026-05",
	}
	addressHours = Price{
		Service: "ALB", Name: "public IPv4 addresses", Unit: "hour", Per: 1,
		Tiers:  []Tier{{0, 0.005}},
		Source: "https://aws.amazon.com/vpc/pricing/", Seen: "quoted 2024",
	}
	// Artifact Registry charges for internet egress as the Premium network tier does.
	// Inside its own location it is free.
	upstreamOut = Price{
		Service: "Upstream", Name: "transfer to the internet", Unit: "GB", Per: 1,
		Tiers:  []Tier{{1 * tb, 0.12}, {10 * tb, 0.11}, {0, 0.08}},
		Source: "https://cloud.google.com/artifact-registry/pricing", Seen: "quoted 2026-03",
	}
)

// Prices is the price list, grouped by service.
var Prices = []*Price{
	&edgeNear, &edgeFar, &edgeRequests, &edgeFunctions, &lambdaRequests, &lambdaDuration,
	&s3Storage, &s3Reads, &s3Writes, &toRegion, &toInternet, &logIngest, &customMetrics,
	&alarmMetrics, &balancerHours, &balancerUnits, &addressHours, &topicKeys, &firewalls, &firewallRequests, &upstreamOut,
}

// Cost returns the dollars for units in one month, with the free units subtracted if
// free is true.
func (p *Price) Cost(units float64, free bool) float64 {
	dollars := p.list(units)
	if free {
		dollars -= p.list(min(units, p.Free))
	}
	return dollars
}

func (p *Price) list(units float64) float64 {
	dollars, from := 0.0, 0.0
	for _, t := range p.Tiers {
		end := t.UpTo
		if end == 0 {
			end = math.Inf(1)
		}
		if units <= from {
			break
		}
		dollars += (min(units, end) - from) * t.Dollars / p.Per
		from = end
	}
	return dollars
}
