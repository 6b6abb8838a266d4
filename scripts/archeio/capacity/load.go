package capacity

import (
	"fmt"
	"math"
	"slices"
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
	StorageGB, GrowthGB      float64 // blobs in each mirror; new blobs per month; GB of 10^9 bytes
	Runs                     float64 // of the planner per month
	Repositories, Images     float64 // of the upstream
	Canaries                 float64 // entry points that a canary pulls from
	MemoryMB                 float64
	Warm, Check, Cold        float64 // ms billed for an invocation, added by a check, added by a cold start
	Relay                    float64 // ms added by a request to an upstream that is relayed, 0 for one that is not
	ColdShare                float64 // of the invocations
	Peak                     float64 // ratio of the highest rate to the mean
	Busiest                  float64 // of all traffic: in the busiest region

	// Places are the regions of the mirrors, the primary first. Without them, all are
	// priced as us-east-1.
	Places []string
	// Downloads are the shares of the bytes from each of Places, if they were measured.
	Downloads []float64
}

// small is a company that pulls its own images, 1.8 TB a month, with the stage
// "smallest" of cdk.json.
var small = Load{
	Pulls: 20_000, Pings: 1, Manifests: 3, Blobs: 6, BlobMB: 15,
	AWS: 0.7, UpstreamCloud: 0.1, SameRegion: 0.9, Absent: 0.02,
	PingHit: 0.5, ManifestHit: 0.2, EdgeHit: 0.5, IndexHit: 0.97, CacheHit: 0.3,
	Mirrors: 1, Redirectors: 1, Regions: 2, AlarmMetrics: 42, StorageGB: 200, GrowthGB: 20,
	Runs: hours, Repositories: 20, Images: 1000,
	MemoryMB: 256, Warm: 2, Check: 13, Cold: 45, ColdShare: 0.05, Peak: 30, Busiest: 1,
	Places: []string{"eu-central-1"},
}

// large is a public registry of 10 PB a month, with the stage "production" of
// cdk.json. Its blobs are many and small, as in distroless images.
var large = Load{
	Pulls: 400e6, Pings: 1, Manifests: 3, Blobs: 10, BlobMB: 2.5,
	AWS: 0.65, UpstreamCloud: 0.2, SameRegion: 0.97, Absent: 0.01,
	PingHit: 0.99, ManifestHit: 0.9, EdgeHit: 0.95, IndexHit: 0.99, CacheHit: 0.5,
	FarEdge: 0.3, Mirrors: 31, Redirectors: 8, Regions: 31, AlarmMetrics: 786, StorageGB: 20_000, GrowthGB: 300,
	Runs: hours, Repositories: 2000, Images: 300_000, Canaries: 8,
	MemoryMB: 512, Warm: 2, Check: 13, Cold: 45, ColdShare: 0.0005, Peak: 4, Busiest: 0.4,
	Places: []string{
		"us-east-2", "us-east-1", "us-west-1", "us-west-2", "ca-central-1", "ca-west-1", "mx-central-1", "sa-east-1",
		"eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3",
		"ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1",
		"ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "af-south-1", "il-central-1", "me-central-1",
		"me-south-1",
	},
}

// Production returns the regions of the mirrors of the stage "production", the primary
// first.
func Production() []string { return slices.Clone(large.Places) }

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
		amount("storage", &l.StorageGB, "`GB` GB of blobs in each mirror, GB of 10^9 bytes"),
		amount("growth", &l.GrowthGB, "`GB` GB of new blobs per month"),
		{"runs", &l.Runs, 0, 60 * hours, false, "`N` runs of the planner per month, 0 without one"},
		amount("repositories", &l.Repositories, "`N` repositories of the upstream"),
		amount("images", &l.Images, "`N` manifests of the upstream"),
		count("canaries", &l.Canaries, 0, "`N` entry points that a canary pulls from, of all regions"),
		{"memory", &l.MemoryMB, 128, 10_240, true, "`MB` memory of the function, in MB of 2^20 bytes"},
		amount("warm-ms", &l.Warm, "`MS` milliseconds billed for an invocation without a check"),
		amount("check-ms", &l.Check, "`MS` milliseconds that a check adds"),
		amount("relay-ms", &l.Relay, "`MS` milliseconds that a request to an upstream that is relayed adds; 0 for an upstream that is not"),
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

// storedBlobs and newBlobs return the number of blobs in each mirror and of those
// that are new in a month.
func (l *Load) storedBlobs() float64 { return l.blobsOf(l.StorageGB) }
func (l *Load) newBlobs() float64    { return l.blobsOf(l.GrowthGB) }

func (l *Load) blobsOf(gigabytes float64) float64 {
	if l.BlobMB == 0 {
		return 0
	}
	return gigabytes * gb / (l.BlobMB * mb)
}

// replicas returns the regions of the mirrors but the primary.
func (l *Load) replicas() []string {
	if len(l.Places) == 0 {
		return nil
	}
	return l.Places[1:]
}

// downloads returns the share of each mirror in the bytes that leave mirrors: as
// measured, or else the primary has the busiest region's share and the others equal
// parts of the rest.
func (l *Load) downloads() (out []share) {
	for i, place := range l.Places {
		part := (1 - l.busiest(l.Mirrors)) / max(1, l.Mirrors-1)
		switch {
		case len(l.Downloads) == len(l.Places):
			part = l.Downloads[i]
		case i == 0:
			part = l.busiest(l.Mirrors)
		}
		out = append(out, share{place, part})
	}
	return out
}

// busiest returns the share of traffic in the busiest of n regions, at least an
// equal share.
func (l *Load) busiest(n float64) float64 { return max(l.Busiest, 1/n) }
