package capacity

const providerPage = "stored copy of the provider's page"

var (
	edgeNear = Price{
		Service: "CloudFront", Name: "transfer, North America and Europe", Unit: "GiB", Per: 1, Free: 1 * tib,
		Tiers:  []Tier{{10 * tib, 0.085}, {50 * tib, 0.080}, {150 * tib, 0.060}, {500 * tib, 0.040}, {1024 * tib, 0.030}, {5120 * tib, 0.025}, {0, 0.020}},
		Source: "https://aws.amazon.com/cloudfront/pricing/", Seen: providerPage,
	}
	// The prices of Hong Kong. In other places the first tier costs 0.109 to 0.114,
	// the last one 0.04 to 0.08.
	edgeFar = Price{
		Service: "CloudFront", Name: "transfer, elsewhere", Unit: "GiB", Per: 1,
		Tiers:  []Tier{{10 * tib, 0.120}, {50 * tib, 0.100}, {150 * tib, 0.095}, {500 * tib, 0.090}, {1024 * tib, 0.080}, {5120 * tib, 0.070}, {0, 0.060}},
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
	// LambdaRequests is the price of invocations.
	LambdaRequests = Price{
		Service: "Lambda and SQS", Name: "requests", Unit: "requests", Per: 1_000_000, Free: 1_000_000,
		Tiers:  []Tier{{0, 0.20}},
		Source: "https://aws.amazon.com/lambda/pricing/", Seen: "quoted 2024",
	}
	// LambdaDuration is the price of a function's memory over time.
	LambdaDuration = Price{
		Service: "Lambda and SQS", Name: "duration, arm64", Unit: "GiB-second", Per: 1, Free: 400_000,
		Tiers:  []Tier{{7.5e9, 0.0000133334}, {18.75e9, 0.0000120001}, {0, 0.0000106667}},
		Source: "https://aws.amazon.com/lambda/pricing/", Seen: "quoted 2024; its tiers " + providerPage,
	}
	// QueueRequests is the price of up to 64 kB of messages, sent, received or deleted.
	QueueRequests = Price{
		Service: "Lambda and SQS", Name: "SQS requests", Unit: "requests", Per: 1_000_000, Free: 1_000_000,
		Tiers:  []Tier{{0, 0.40}},
		Source: "https://aws.amazon.com/sqs/pricing/", Seen: "quoted 2026-06",
	}
	// S3Storage is the price of blobs in a mirror for a month.
	S3Storage = Price{
		Service: "S3", Name: "storage, Standard", Unit: "GiB-month", Per: 1, Regional: regionalStorage,
		Tiers:  []Tier{{50 * tib, 0.023}, {500 * tib, 0.022}, {0, 0.021}},
		Source: "https://aws.amazon.com/s3/pricing/", Seen: "quoted 2022",
	}
	// S3Reads is the price of GET and HEAD requests.
	S3Reads = Price{
		Service: "S3", Name: "GET and HEAD", Unit: "requests", Per: 1000, Regional: regionalReads,
		Tiers:  []Tier{{0, 0.0004}},
		Source: "https://aws.amazon.com/s3/pricing/", Seen: "quoted, undated",
	}
	// S3Writes is the price of PUT requests, also of parts and by replication.
	S3Writes = Price{
		Service: "S3", Name: "PUT", Unit: "requests", Per: 1000, Regional: regionalWrites,
		Tiers:  []Tier{{0, 0.005}},
		Source: "https://aws.amazon.com/s3/pricing/", Seen: "quoted, undated",
	}
	// ToRegion is the price of bytes from a bucket to another region, by the region that
	// sends them.
	ToRegion = Price{
		Service: "S3", Name: "transfer to another region", Unit: "GiB", Per: 1, Regional: regionalTransfer,
		Tiers:  []Tier{{0, 0.02}},
		Source: "https://aws.amazon.com/s3/pricing/", Seen: "quoted 2026-05",
	}
	// Lists is the price of a page of a listing, at most 1,000 keys.
	Lists = S3Writes.as("LIST")
	// listTransfer is the price of listings of replicas, which the planner reads in
	// the region of the primary.
	listTransfer = ToRegion.as("listings to the planner")
	// indexTransfer is the price of blob indexes, which the planner writes into replicas.
	indexTransfer = ToRegion.as("blob indexes to the replicas")
	toInternet    = Price{
		Service: "S3 and ALB", Name: "transfer to the internet", Unit: "GiB", Per: 1, Free: 100, Regional: regionalInternet,
		Tiers:  []Tier{{10 * tib, 0.09}, {50 * tib, 0.085}, {150 * tib, 0.07}, {0, 0.05}},
		Source: "https://aws.amazon.com/s3/pricing/", Seen: "quoted 2026-06",
	}
	logIngest = Price{
		Service: "CloudWatch", Name: "logs of Lambda", Unit: "GiB", Per: 1, Free: 5,
		Tiers:  []Tier{{10 * tib, 0.50}, {30 * tib, 0.25}, {50 * tib, 0.10}, {0, 0.05}},
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
	// UpstreamOut is the price of bytes from the upstream to the internet.
	// Artifact Registry charges for internet egress as the Premium network tier does.
	// Inside its own location it is free.
	UpstreamOut = Price{
		Service: "Upstream", Name: "transfer to the internet", Unit: "GiB", Per: 1,
		Tiers:  []Tier{{1 * tib, 0.12}, {10 * tib, 0.11}, {0, 0.08}},
		Source: "https://cloud.google.com/artifact-registry/pricing", Seen: "quoted 2026-03",
	}
)

// Prices is the price list, grouped by service.
var Prices = []*Price{
	&edgeNear, &edgeFar, &edgeRequests, &edgeFunctions, &LambdaRequests, &LambdaDuration, &QueueRequests,
	&S3Storage, &S3Reads, &S3Writes, &Lists, &ToRegion, &listTransfer, &indexTransfer, &toInternet, &logIngest, &customMetrics,
	&alarmMetrics, &balancerHours, &balancerUnits, &addressHours, &topicKeys, &firewalls, &firewallRequests, &UpstreamOut,
}
