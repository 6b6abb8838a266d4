package capacity

import "math"

const (
	hours  = 730 // in a month
	month  = hours * 3600
	second = 1000 // ms

	// healthSeconds is MIRROR_HEALTH_INTERVAL, flushSeconds the interval at which a
	// process writes its metrics, indexSeconds MIRROR_INDEX_REFRESH.
	healthSeconds, flushSeconds, indexSeconds = 10, 10, 300
	// environmentRate is how many requests per second one execution environment of
	// a Lambda function serves at most, however short they are.
	// https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
	environmentRate = 10

	// Assumed sizes in bytes: of a redirect with its headers, a manifest, the lines
	// START, END and REPORT that Lambda logs for each invocation, and the metrics
	// that a process writes at once.
	redirectBytes, manifestBytes, platformBytes, flushBytes = 1000, 3000, 330, 5000
	// regionMetrics is the number of kinds, clouds and reasons that are counted in a
	// region. Each mirror adds one metric for each of checkResults.
	regionMetrics, checkResults = 40, 3
	// replicationMetrics is the number of metrics of one replication rule,
	// requestMetrics that of a bucket's request metrics, which are billed as custom
	// metrics. A metric without data is not billed, so these are upper bounds.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
	replicationMetrics, requestMetrics = 4, 16
	// edgeMetrics is the number of additional metrics of a distribution, which are
	// billed as custom metrics.
	// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/viewing-cloudfront-metrics.html
	edgeMetrics = 8
	// A canary pulls from an entry point this often, takes about this long with a
	// function of this size, and has metrics for success, latency and origin.
	canariesAnHour, canarySeconds, canaryMB, canaryMetrics = 12, 2, 256, 3
)

// Path is a path that bytes take to clients.
type Path struct {
	Name     string  `json:"name"`
	Requests float64 `json:"requests"`
	Bytes    float64 `json:"bytes"`
}

// Indexes of [Quantities.Paths]. The first blobPaths are those of blobs.
const (
	BucketSame = iota
	BucketOther
	BucketInternet
	EdgeCached
	EdgeFetched
	UpstreamInside
	UpstreamInternet
	ManifestInside
	ManifestInternet
	Redirects
)

const blobPaths = UpstreamInternet + 1

// Quantities is what a load amounts to in a month.
type Quantities struct {
	Pings           float64  `json:"pings"`
	Manifests       float64  `json:"manifests"`
	Blobs           float64  `json:"blobs"`
	Edge            float64  `json:"edgeRequests"` // including those for blobs
	Balancer        float64  `json:"balancerRequests"`
	Invocations     float64  `json:"invocations"`
	GBSeconds       float64  `json:"gbSeconds"`
	Lookups         float64  `json:"lookups"`      // of whether a mirror has a blob
	Checks          float64  `json:"checks"`       // of the lookups, those by HEAD
	HealthChecks    float64  `json:"healthChecks"` // at most: HEADs only for a mirror's health
	Environments    float64  `json:"environments"`
	Reads           float64  `json:"S3Reads"`
	Writes          float64  `json:"S3Writes"`
	LogBytes        float64  `json:"logBytes"`
	Metrics         float64  `json:"metrics"`
	Inspected       float64  `json:"inspectedRequests"` // by firewalls
	CapacityUnits   float64  `json:"lcuHours"`
	CanaryRuns      float64  `json:"canaryRuns"`
	CanaryGBSeconds float64  `json:"canaryGBSeconds"`
	Filling         Filling  `json:"filling"`
	Relaying        Relaying `json:"relaying"`
	Paths           []Path   `json:"paths"`
}

// Model returns the quantities of a load.
func Model(l Load) Quantities {
	q := Quantities{Pings: l.Pulls * l.Pings, Manifests: l.Pulls * l.Manifests, Blobs: l.Pulls * l.Blobs}
	throughEdge := 1 - l.BalancerShare
	front := q.Pings + q.Manifests + q.Blobs

	// Where blobs are served from. Behind a load balancer, clients outside AWS are
	// redirected to a bucket and not to CloudFront.
	mirrored := 1 - l.Absent
	aws, others := q.Blobs*l.AWS, q.Blobs*l.others()
	blobs := [blobPaths]float64{
		BucketSame:       aws * mirrored * l.SameRegion,
		BucketOther:      aws * mirrored * (1 - l.SameRegion),
		BucketInternet:   others * mirrored * l.BalancerShare,
		EdgeCached:       others * mirrored * throughEdge * l.EdgeHit,
		EdgeFetched:      others * mirrored * throughEdge * (1 - l.EdgeHit),
		UpstreamInside:   q.Blobs * l.UpstreamCloud,
		UpstreamInternet: (aws + others) * l.Absent,
	}
	q.Paths = []Path{
		BucketSame:       {Name: "from a bucket to its own region"},
		BucketOther:      {Name: "from a bucket to another region"},
		BucketInternet:   {Name: "from a bucket to the internet"},
		EdgeCached:       {Name: "from CloudFront, cached"},
		EdgeFetched:      {Name: "from CloudFront, fetched from a bucket"},
		UpstreamInside:   {Name: "from the upstream inside its cloud"},
		UpstreamInternet: {Name: "from the upstream to the internet"},
		ManifestInside:   {"manifests inside the upstream's cloud", q.Manifests * l.UpstreamCloud, 0},
		ManifestInternet: {"manifests to the internet", q.Manifests * (1 - l.UpstreamCloud), 0},
		Redirects:        {"redirects", front, front * redirectBytes},
	}
	for i, n := range blobs {
		q.Paths[i].Requests, q.Paths[i].Bytes = n, n*l.BlobMB*mb
	}
	for i := ManifestInside; i <= ManifestInternet; i++ {
		q.Paths[i].Bytes = q.Paths[i].Requests * manifestBytes
	}
	if l.Relay > 0 {
		// The function fetches them, and the distribution's cache serves most.
		fetched := throughEdge*(1-l.ManifestHit) + l.BalancerShare
		q.Paths[ManifestInside].Bytes, q.Paths[ManifestInternet].Bytes = 0, q.Manifests*fetched*manifestBytes
	}

	// Where requests are served.
	q.Edge = front*throughEdge + blobs[EdgeCached] + blobs[EdgeFetched]
	q.Balancer = front * l.BalancerShare
	q.Invocations = throughEdge*(q.Pings*(1-l.PingHit)+q.Manifests*(1-l.ManifestHit)+q.Blobs) + q.Balancer

	// If the mirror of a client in AWS does not have the blob, it is also looked up
	// in the default mirror. The index has only the blobs that all mirrors have.
	present := (aws + others) * mirrored
	absent := aws*l.Absent*2 + others*l.Absent
	q.Lookups = present + absent
	q.Checks = (present*(1-l.IndexHit) + absent) * (1 - l.CacheHit)

	q.Relaying = relaying(l, q)

	// The number of health checks depends on the number of environments, so the mean
	// duration does not include them here.
	rate := q.Invocations / month
	q.Environments = max(l.Redirectors, rate/environmentRate, rate*l.meanMS(q)/second)
	// Assumes that a redirector only checks the mirrors near it.
	around := math.Ceil(l.Mirrors / l.Redirectors)
	q.HealthChecks = min(q.Lookups-q.Checks, q.Environments*around*month/healthSeconds)
	q.Relaying.Tokens = min(q.Relaying.Requests, q.Environments*month/tokenSeconds*max(1, l.Repositories))
	q.GBSeconds = l.MemoryMB / 1024 * q.Invocations * l.meanMS(q) / second

	q.Reads = blobs[BucketSame] + blobs[BucketOther] + blobs[BucketInternet] + blobs[EdgeFetched] +
		q.Checks + q.HealthChecks + q.Environments*month/indexSeconds
	q.Writes = l.newBlobs() * l.Mirrors
	q.Reads += l.newBlobs() * (l.Mirrors - 1) // by replication
	q.Filling = ModelFilling(l)
	q.CanaryRuns = l.Canaries * hours * canariesAnHour
	q.CanaryGBSeconds = q.CanaryRuns * canarySeconds * canaryMB / 1024
	flushes := min(q.Invocations, q.Environments*month/flushSeconds)
	q.LogBytes = (q.Invocations+q.Filling.Invocations+q.CanaryRuns)*platformBytes + flushes*flushBytes
	q.Metrics = l.Redirectors*(regionMetrics+checkResults*around) + (l.Mirrors-1)*replicationMetrics + l.Mirrors*requestMetrics + l.Canaries*canaryMetrics
	if l.BalancerShare < 1 {
		q.Metrics += edgeMetrics
	}
	q.CapacityUnits = l.capacityUnits(q)
	if l.Firewalls > 0 {
		q.Inspected = q.Edge + q.Balancer
	}
	return q
}

// meanMS returns the mean billed duration of an invocation, in milliseconds.
func (l *Load) meanMS(q Quantities) float64 {
	if q.Invocations == 0 {
		return 0
	}
	return l.Warm + l.ColdShare*l.Cold + (q.Checks+q.HealthChecks)/q.Invocations*l.Check + q.Relaying.Requests/q.Invocations*l.Relay
}

// capacityUnits returns LCU-hours. One LCU is 25 new connections per second, with
// one connection per pull, or 0.4 GB per hour to and from a function, with requests
// as large as redirects.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/introduction.html
func (l *Load) capacityUnits(q Quantities) float64 {
	connections := l.Pulls * l.BalancerShare / month / 25
	bytes := q.Balancer * 2 * redirectBytes / gib / hours / 0.4
	return max(connections, bytes) * hours
}
