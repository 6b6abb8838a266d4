package main

import "math"

const (
	hours  = 730 // in a month
	month  = hours * 3600
	second = 1000 // ms

	// lifeSeconds is MIRROR_HEALTH_INTERVAL, flushSeconds how often a process
	// writes its metrics, indexSeconds MIRROR_INDEX_REFRESH.
	lifeSeconds, flushSeconds, indexSeconds = 10, 10, 300
	// environmentRate is how many requests a second Lambda gives one
	// execution environment, however short they are.
	// https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
	environmentRate = 10

	// Assumed sizes, in bytes: of an answer of the front with its headers, a
	// manifest, the lines START, END and REPORT that Lambda logs of each
	// invocation, and one writing of metrics.
	answerBytes, manifestBytes, platformBytes, flushBytes = 1000, 3000, 330, 5000
	// regionMetrics are the kinds, clouds and reasons that a region counts;
	// each mirror adds one for each of three answers.
	regionMetrics, checkAnswers = 40, 3
	// replicationMetrics are those of one replication rule.
	replicationMetrics = 4
)

// Path is a way that bytes go to clients.
type Path struct {
	Name     string  `json:"name"`
	Requests float64 `json:"requests"`
	Bytes    float64 `json:"bytes"`
}

// The paths. Blobs take the first seven.
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
	Answers
)

const blobPaths = UpstreamInternet + 1

// Quantities are those of one month.
type Quantities struct {
	Pings         float64 `json:"pings"`
	Manifests     float64 `json:"manifests"`
	Blobs         float64 `json:"blobs"`
	Edge          float64 `json:"edgeRequests"` // also for blobs that it serves
	Balancer      float64 `json:"balancerRequests"`
	Invocations   float64 `json:"invocations"`
	GBSeconds     float64 `json:"gbSeconds"`
	Questions     float64 `json:"questions"`  // whether a mirror has a blob
	Checks        float64 `json:"checks"`     // of those, asked by HEAD
	LifeChecks    float64 `json:"lifeChecks"` // at most: HEADs that only watch a mirror's life
	Environments  float64 `json:"environments"`
	Reads         float64 `json:"s3Reads"`
	Writes        float64 `json:"s3Writes"`
	LogBytes      float64 `json:"logBytes"`
	Metrics       float64 `json:"metrics"`
	CapacityUnits float64 `json:"lcuHours"`
	Paths         []Path  `json:"paths"`
}

// Model works out a month.
func Model(l Load) Quantities {
	q := Quantities{Pings: l.Pulls * l.Pings, Manifests: l.Pulls * l.Manifests, Blobs: l.Pulls * l.Blobs}
	throughEdge := 1 - l.BalancerShare
	front := q.Pings + q.Manifests + q.Blobs

	// Where the blobs come from. Through a load balancer there is no default
	// mirror: clients outside AWS are sent to a bucket itself.
	there := 1 - l.Absent
	aws, others := q.Blobs*l.AWS, q.Blobs*l.others()
	blobs := [blobPaths]float64{
		BucketSame:       aws * there * l.SameRegion,
		BucketOther:      aws * there * (1 - l.SameRegion),
		BucketInternet:   others * there * l.BalancerShare,
		EdgeCached:       others * there * throughEdge * l.EdgeHit,
		EdgeFetched:      others * there * throughEdge * (1 - l.EdgeHit),
		UpstreamInside:   q.Blobs * l.UpstreamCloud,
		UpstreamInternet: (aws + others) * l.Absent,
	}
	q.Paths = []Path{
		BucketSame:       {Name: "bucket, to its own region"},
		BucketOther:      {Name: "bucket, to another region"},
		BucketInternet:   {Name: "bucket, to the internet"},
		EdgeCached:       {Name: "distribution, from its cache"},
		EdgeFetched:      {Name: "distribution, from a bucket"},
		UpstreamInside:   {Name: "upstream, inside its cloud"},
		UpstreamInternet: {Name: "upstream, to the internet"},
		ManifestInside:   {"manifests, inside its cloud", q.Manifests * l.UpstreamCloud, 0},
		ManifestInternet: {"manifests, to the internet", q.Manifests * (1 - l.UpstreamCloud), 0},
		Answers:          {"the redirects themselves", front, front * answerBytes},
	}
	for i, n := range blobs {
		q.Paths[i].Requests, q.Paths[i].Bytes = n, n*l.BlobMB*1e6
	}
	for i := ManifestInside; i <= ManifestInternet; i++ {
		q.Paths[i].Bytes = q.Paths[i].Requests * manifestBytes
	}

	// Who is asked.
	q.Edge = front*throughEdge + blobs[EdgeCached] + blobs[EdgeFetched]
	q.Balancer = front * l.BalancerShare
	q.Invocations = throughEdge*(q.Pings*(1-l.PingHit)+q.Manifests*(1-l.ManifestHit)+q.Blobs) + q.Balancer

	// A client in AWS whose mirror lacks the blob is a question about the
	// default mirror too; the index knows only what all mirrors have.
	present := (aws + others) * there
	absent := aws*l.Absent*2 + others*l.Absent
	q.Questions = present + absent
	q.Checks = (present*(1-l.IndexHit) + absent) * (1 - l.CacheHit)

	// Checks of a mirror's life follow from the environments, and so are not in
	// their mean yet.
	rate := q.Invocations / month
	q.Environments = max(l.Redirectors, rate/environmentRate, rate*l.meanMS(q)/second)
	// A redirector is taken to be asked about the mirrors around it.
	around := math.Ceil(l.Mirrors / l.Redirectors)
	q.LifeChecks = min(q.Questions-q.Checks, q.Environments*around*month/lifeSeconds)
	q.GBSeconds = l.MemoryMB / 1024 * q.Invocations * l.meanMS(q) / second

	q.Reads = blobs[BucketSame] + blobs[BucketOther] + blobs[BucketInternet] + blobs[EdgeFetched] +
		q.Checks + q.LifeChecks + q.Environments*month/indexSeconds
	if l.BlobMB > 0 {
		added := l.GrowthGB * gb / (l.BlobMB * 1e6)
		q.Writes = added * l.Mirrors
		q.Reads += added * (l.Mirrors - 1) // by the replication
	}
	flushes := min(q.Invocations, q.Environments*month/flushSeconds)
	q.LogBytes = q.Invocations*platformBytes + flushes*flushBytes
	q.Metrics = l.Redirectors*(regionMetrics+checkAnswers*around) + (l.Mirrors-1)*replicationMetrics
	q.CapacityUnits = l.capacityUnits(q)
	return q
}

// meanMS is what is billed of a mean invocation.
func (l *Load) meanMS(q Quantities) float64 {
	if q.Invocations == 0 {
		return 0
	}
	return l.Warm + l.ColdShare*l.Cold + (q.Checks+q.LifeChecks)/q.Invocations*l.Check
}

// capacityUnits are LCU-hours: 25 new connections a second, one a pull, or 0.4
// GB an hour to and from a function, requests being as large as answers.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/introduction.html
func (l *Load) capacityUnits(q Quantities) float64 {
	connections := l.Pulls * l.BalancerShare / month / 25
	bytes := q.Balancer * 2 * answerBytes / gb / hours / 0.4
	return max(connections, bytes) * hours
}
