package capacity

import (
	"fmt"
	"math"
)

// Load is the traffic of a registry in a month, and how it is deployed. Shares are
// from 0 to 1.
type Load struct {
	Pulls                    float64 // per month
	Pings, Manifests, Blobs  float64 // requests of each kind per pull
	BlobMB                   float64 // mean size, in MB of 10^6 bytes
	AWS, UpstreamCloud       float64 // of the clients; the others use the default mirror
	SameRegion               float64 // of the clients in AWS: those with a mirror in their region
	Absent                   float64 // of the blobs: those in no mirror
	PingHit, ManifestHit     float64 // of the requests: served from the distribution's cache
	EdgeHit                  float64 // of the distribution's blob bytes: served from its cache
	IndexHit, CacheHit       float64 // of the existence lookups; CacheHit of those without an index hit
	FarEdge                  float64 // of the distribution's bytes: served outside North America and Europe
	BalancerShare, Balancers float64 // of the requests: through load balancers; number of load balancers
	Mirrors, Redirectors     float64
	Regions, AlarmMetrics    float64 // with an alarm topic and its key; metrics that alarms evaluate
	Firewalls                float64
	StorageGB, GrowthGB      float64 // blobs in each mirror; new blobs per month
	MemoryMB                 float64
	Warm, Check, Cold        float64 // ms billed for an invocation, added by a check, added by a cold start
	ColdShare                float64 // of the invocations
	Peak                     float64 // ratio of the highest rate to the mean
	Busiest                  float64 // of all traffic: in the busiest region
}

// small is a company that pulls its own images, 1.8 TB a month, with the stage
// "smallest" of cdk.json.
var small = Load{
	Pulls: 20_000, Pings: 1, Manifests: 3, Blobs: 6, BlobMB: 15,
	AWS: 0.7, UpstreamCloud: 0.1, SameRegion: 0.9, Absent: 0.02,
	PingHit: 0.5, ManifestHit: 0.2, EdgeHit: 0.5, IndexHit: 0.97, CacheHit: 0.3,
	Mirrors: 1, Redirectors: 1, Regions: 1, AlarmMetrics: 29, StorageGB: 200, GrowthGB: 20,
	MemoryMB: 256, Warm: 2, Check: 13, Cold: 45, ColdShare: 0.05, Peak: 30, Busiest: 1,
}

// large is a public registry of 10 PB a month, with the stage "production" of
// cdk.json. Its blobs are many and small, as in distroless images.
var large = Load{
	Pulls: 400e6, Pings: 1, Manifests: 3, Blobs: 10, BlobMB: 2.5,
	AWS: 0.65, UpstreamCloud: 0.2, SameRegion: 0.97, Absent: 0.01,
	PingHit: 0.99, ManifestHit: 0.9, EdgeHit: 0.95, IndexHit: 0.99, CacheHit: 0.5,
	FarEdge: 0.3, Mirrors: 31, Redirectors: 8, Regions: 31, AlarmMetrics: 734, StorageGB: 20_000, GrowthGB: 300,
	MemoryMB: 512, Warm: 2, Check: 13, Cold: 45, ColdShare: 0.0005, Peak: 4, Busiest: 0.4,
}

// input is a flag of a load and its valid values.
type input struct {
	name     string
	value    *float64
	min, max float64
	whole    bool
	usage    string
}

// maxAmount bounds inputs that have no bound of their own, so that no result is
// infinite.
const maxAmount = 1e15

func (l *Load) inputs() []input {
	share := func(name string, v *float64, usage string) input {
		return input{name, v, 0, 1, false, "`SHARE` share of " + usage}
	}
	amount := func(name string, v *float64, usage string) input { return input{name, v, 0, maxAmount, false, usage} }
	count := func(name string, v *float64, min float64, usage string) input {
		return input{name, v, min, 1000, true, usage}
	}
	return []input{
		amount("pulls", &l.Pulls, "`N` pulls per month"),
		amount("pings", &l.Pings, "`N` requests for /v2/ per pull"),
		amount("manifests", &l.Manifests, "`N` requests for manifests per pull"),
		amount("blobs", &l.Blobs, "`N` requests for blobs per pull"),
		amount("blob-size", &l.BlobMB, "`MB` mean size of a blob, in MB of 10^6 bytes"),
		share("aws", &l.AWS, "clients in AWS"),
		share("upstream-cloud", &l.UpstreamCloud, "clients in the upstream's cloud"),
		share("same-region", &l.SameRegion, "clients in AWS with a mirror in their region"),
		share("absent", &l.Absent, "blobs in no mirror"),
		share("ping-hit", &l.PingHit, "requests for /v2/ that CloudFront serves from its cache"),
		share("manifest-hit", &l.ManifestHit, "manifest redirects that CloudFront serves from its cache"),
		share("edge-hit", &l.EdgeHit, "CloudFront's blob bytes that it serves from its cache"),
		share("index-hit", &l.IndexHit, "existence lookups for mirrored blobs that the index resolves"),
		share("cache-hit", &l.CacheHit, "other existence lookups that the function has cached"),
		share("far-edge", &l.FarEdge, "CloudFront's bytes that it serves outside North America and Europe"),
		count("balancers", &l.Balancers, 0, "`N` load balancers"),
		share("balancer-share", &l.BalancerShare, "requests that go through load balancers"),
		count("mirrors", &l.Mirrors, 1, "`N` mirror buckets"),
		count("redirectors", &l.Redirectors, 1, "`N` regions with a redirector function"),
		count("regions", &l.Regions, 1, "`N` regions with an alarm topic"),
		{"alarms", &l.AlarmMetrics, 0, 1e6, true, "`N` metrics that alarms evaluate"},
		count("firewalls", &l.Firewalls, 0, "`N` firewalls"),
		amount("storage", &l.StorageGB, "`GB` GB of blobs in each mirror"),
		amount("growth", &l.GrowthGB, "`GB` GB of new blobs per month"),
		{"memory", &l.MemoryMB, 128, 10_240, true, "`MB` memory of the function, in MB"},
		amount("warm-ms", &l.Warm, "`MS` milliseconds billed for an invocation without a check"),
		amount("check-ms", &l.Check, "`MS` milliseconds that a check adds"),
		amount("cold-ms", &l.Cold, "`MS` milliseconds that a cold start adds"),
		share("cold", &l.ColdShare, "invocations with a cold start"),
		{"peak", &l.Peak, 1, 1e6, false, "`N` ratio of the highest rate to the mean"},
		share("busiest", &l.Busiest, "all traffic in the busiest region"),
	}
}

// validate returns an error for the first value that is invalid.
func (l *Load) validate() error {
	for _, in := range l.inputs() {
		switch v := *in.value; {
		case !(v >= in.min && v <= in.max): // also rejects NaN
			return fmt.Errorf("-%s %g: want a number from %g to %g", in.name, v, in.min, in.max)
		case in.whole && v != math.Trunc(v):
			return fmt.Errorf("-%s %g: want a whole number", in.name, v)
		}
	}
	if l.AWS+l.UpstreamCloud > 1 {
		return fmt.Errorf("-aws %g and -upstream-cloud %g: want shares with a sum of at most 1", l.AWS, l.UpstreamCloud)
	}
	if l.BalancerShare > 0 && l.Balancers == 0 {
		return fmt.Errorf("-balancer-share %g: want -balancers above 0", l.BalancerShare)
	}
	return nil
}

// others returns the share of the clients that are in neither cloud. It is not
// negative: in floating point, 1-0.9-0.1 is.
func (l *Load) others() float64 { return max(0, 1-l.AWS-l.UpstreamCloud) }

// busiest returns the share of traffic in the busiest of n regions, at least an
// equal share.
func (l *Load) busiest(n float64) float64 { return max(l.Busiest, 1/n) }
