package main

import (
	"flag"
	"fmt"
	"math"
)

// Load is what a registry is asked in a month, and how it is deployed. Shares
// are from 0 to 1.
type Load struct {
	Pulls                    float64 // a month
	Pings, Manifests, Blobs  float64 // requests of each kind a pull
	BlobMB                   float64 // of 10^6 bytes
	AWS, UpstreamCloud       float64 // of the clients; all others use the default mirror
	SameRegion               float64 // of the clients in AWS: their region has a mirror
	Absent                   float64 // of the blobs: in no mirror
	PingHit, ManifestHit     float64 // answered by the distribution's cache
	EdgeHit                  float64 // of the blob bytes it serves, from its cache
	IndexHit, CacheHit       float64 // existence questions; CacheHit of what the index leaves
	FarEdge                  float64 // of the distribution's bytes: outside North America and Europe
	BalancerShare, Balancers float64 // requests that come through load balancers; their number
	Mirrors, Redirectors     float64
	StorageGB, GrowthGB      float64 // of blobs; new ones a month
	MemoryMB                 float64
	Warm, Check, Cold        float64 // ms billed an invocation, added by a check, added by a cold start
	ColdShare                float64 // of the invocations
	Peak                     float64 // highest rate to the mean
	Busiest                  float64 // of all traffic, in the busiest region
}

// small is a company that pulls its own images: 1.8 TB a month, in the stage
// "smallest" of cdk.json.
var small = Load{
	Pulls: 20_000, Pings: 1, Manifests: 3, Blobs: 6, BlobMB: 15,
	AWS: 0.7, UpstreamCloud: 0.1, SameRegion: 0.9, Absent: 0.02,
	PingHit: 0.5, ManifestHit: 0.2, EdgeHit: 0.5, IndexHit: 0.97, CacheHit: 0.3,
	Mirrors: 1, Redirectors: 1, StorageGB: 200, GrowthGB: 20,
	MemoryMB: 256, Warm: 2, Check: 13, Cold: 45, ColdShare: 0.05, Peak: 30, Busiest: 1,
}

// large is a public registry of 10 PB a month, in the stage "production". Many
// small blobs, as images without a distribution in them have.
var large = Load{
	Pulls: 400e6, Pings: 1, Manifests: 3, Blobs: 10, BlobMB: 2.5,
	AWS: 0.65, UpstreamCloud: 0.2, SameRegion: 0.97, Absent: 0.01,
	PingHit: 0.99, ManifestHit: 0.9, EdgeHit: 0.95, IndexHit: 0.99, CacheHit: 0.5,
	FarEdge: 0.3, Mirrors: 31, Redirectors: 5, StorageGB: 20_000, GrowthGB: 300,
	MemoryMB: 512, Warm: 2, Check: 13, Cold: 45, ColdShare: 0.0005, Peak: 4, Busiest: 0.4,
}

// input is a flag and what it takes.
type input struct {
	name     string
	value    *float64
	min, max float64
	whole    bool
	usage    string
}

const most = 1e15

func (l *Load) inputs() []input {
	share := func(name string, v *float64, usage string) input {
		return input{name, v, 0, 1, false, "share of " + usage}
	}
	amount := func(name string, v *float64, usage string) input { return input{name, v, 0, most, false, usage} }
	count := func(name string, v *float64, min float64, usage string) input {
		return input{name, v, min, 1000, true, usage}
	}
	return []input{
		amount("pulls", &l.Pulls, "pulls a month"),
		amount("pings", &l.Pings, "requests for /v2/ a pull"),
		amount("manifests", &l.Manifests, "requests for manifests a pull"),
		amount("blobs", &l.Blobs, "requests for blobs a pull"),
		amount("blob-size", &l.BlobMB, "mean size of a blob in `MB`, of 10^6 bytes"),
		share("aws", &l.AWS, "the clients that are in AWS"),
		share("upstream-cloud", &l.UpstreamCloud, "the clients that are in the upstream's cloud"),
		share("same-region", &l.SameRegion, "the clients in AWS whose region has a mirror"),
		share("absent", &l.Absent, "the blobs that no mirror has"),
		share("ping-hit", &l.PingHit, "/v2/ that the edge answers from its cache"),
		share("manifest-hit", &l.ManifestHit, "manifest redirects that the edge answers from its cache"),
		share("edge-hit", &l.EdgeHit, "the distribution's blob bytes that come from its cache"),
		share("index-hit", &l.IndexHit, "existence questions about blobs in the mirrors that the index answers"),
		share("cache-hit", &l.CacheHit, "the other existence questions that the function remembers"),
		share("far-edge", &l.FarEdge, "the distribution's bytes served outside North America and Europe"),
		count("balancers", &l.Balancers, 0, "number of load balancers"),
		share("balancer-share", &l.BalancerShare, "the requests that come through load balancers"),
		count("mirrors", &l.Mirrors, 1, "number of mirror buckets"),
		count("redirectors", &l.Redirectors, 1, "number of regions with a redirector function"),
		amount("storage", &l.StorageGB, "`GB` of blobs in each mirror"),
		amount("growth", &l.GrowthGB, "`GB` of new blobs a month"),
		{"memory", &l.MemoryMB, 128, 10_240, true, "memory of the function in `MB`"},
		amount("warm-ms", &l.Warm, "`ms` billed for an invocation without a check"),
		amount("check-ms", &l.Check, "`ms` that a check adds"),
		amount("cold-ms", &l.Cold, "`ms` that a cold start adds"),
		share("cold", &l.ColdShare, "the invocations that start cold"),
		{"peak", &l.Peak, 1, 1e6, false, "highest rate, as a multiple of the mean"},
		share("busiest", &l.Busiest, "all traffic that is in the busiest region"),
	}
}

// flags makes the flags of a load; those that are set change l.
func (l *Load) flags(set *flag.FlagSet) {
	for _, in := range l.inputs() {
		set.Float64Var(in.value, in.name, *in.value, in.usage)
	}
}

// validate answers the first thing that cannot be.
func (l *Load) validate() error {
	for _, in := range l.inputs() {
		switch v := *in.value; {
		case !(v >= in.min && v <= in.max): // also refuses NaN
			return fmt.Errorf("-%s takes a number from %g to %g; it is %g", in.name, in.min, in.max, v)
		case in.whole && v != math.Trunc(v):
			return fmt.Errorf("-%s takes a whole number; it is %g", in.name, v)
		}
	}
	if l.AWS+l.UpstreamCloud > 1 {
		return fmt.Errorf("-aws %g and -upstream-cloud %g are more than all clients", l.AWS, l.UpstreamCloud)
	}
	if l.BalancerShare > 0 && l.Balancers == 0 {
		return fmt.Errorf("-balancer-share %g needs load balancers; -balancers is 0", l.BalancerShare)
	}
	return nil
}

// others is the share of the clients that are in neither cloud. What 0.9 and
// 0.1 leave of 1 is a little less than nothing.
func (l *Load) others() float64 { return max(0, 1-l.AWS-l.UpstreamCloud) }

// busiest is the share of the busiest of n regions, which is never below that
// of an equal division.
func (l *Load) busiest(n float64) float64 { return max(l.Busiest, 1/n) }
