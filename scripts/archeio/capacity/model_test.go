package capacity

import (
	"math"
	"testing"

	"archeio/lambda/index"
)

// sample is small enough to be calculated by hand, and sets every input.
var sample = Load{
	Pulls: 1000, Pings: 1, Manifests: 2, Blobs: 5, BlobMB: 4,
	AWS: 0.6, UpstreamCloud: 0.1, SameRegion: 0.75, Absent: 0.1,
	PingHit: 0.5, ManifestHit: 0.25, EdgeHit: 0.4, IndexHit: 0.8, CacheHit: 0.5, FarEdge: 0.25,
	BalancerShare: 0.2, Balancers: 2, Mirrors: 4, Redirectors: 2, Regions: 5, AlarmMetrics: 30, Firewalls: 3, StorageGB: 100, GrowthGB: 10,
	Runs: 100, Repositories: 10, Images: 50, Canaries: 2,
	MemoryMB: 512, Warm: 2, Check: 10, Cold: 50, ColdShare: 0.02, Peak: 10, Busiest: 0.6,
}

func TestQuantities(t *testing.T) {
	t.Parallel()
	q := Model(sample)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"pings", q.Pings, 1000},
		{"manifests", q.Manifests, 2000},
		{"blobs", q.Blobs, 5000},
		// 8000 client requests * 0.8, and the 432 + 648 blobs below.
		{"edge-requests", q.Edge, 7480},
		{"balancer-requests", q.Balancer, 1600}, // 8000*0.2
		// (1000*0.5 + 2000*0.75 + 5000) * 0.8 + 1600, which no cache serves.
		{"invocations", q.Invocations, 7200},
		// 5000*0.9 of clients outside the upstream's cloud; a client in AWS without the
		// blob in its mirror, 3000*0.1, causes two: 4050 + 600 + 150.
		{"lookups", q.Lookups, 4800},
		{"checks", q.Checks, 780}, // (4050*0.2 + 750) * 0.5
		// All other lookups, because 2 environments * 2 mirrors * 262,800 intervals are more.
		{"health-checks", q.HealthChecks, 4020},
		{"environments", q.Environments, 2}, // one per redirector
		// 7200*(2 + 0.02*50) + 4800*10 = 69600 ms, of half a GB.
		{"gb-seconds", q.GBSeconds, 34.8},
		// 10e9/4e6 = 2500 new blobs, in four mirrors.
		{"writes", q.Writes, 10_000},
		// Blobs 2025+675+270+648, checks 4800, the index 2*8760, three replicas
		// of the new blobs 7500.
		{"reads", q.Reads, 33438},
		// 7200*(330+5000), each may write metrics; 1300+17520 others.
		{"log-bytes", q.LogBytes, 38_376_000 + 18_820*330},
		{"metrics", q.Metrics, 182},                    // 2*(40 + 3*2) + 3*4 + 4*16 + 2*3 + 8
		{"canary-runs", q.CanaryRuns, 17_520},          // 2*730*12
		{"canary-gb-seconds", q.CanaryGBSeconds, 8760}, // 17520 * 2 s * 0.25
		{"inspected", q.Inspected, 9080},               // 7480 + 1600
		// 1600*2000/2^30 GB at 0.4 per hour; connections need less.
		{"lcu-hours", q.CapacityUnits, 0.0074505806},
	} {
		t.Run(c.name, func(t *testing.T) { near(t, "quantity", c.got, c.want) })
	}
}

// Each mirror has 100e9/4e6 = 25,000 blobs in 25 pages and one part. Runs are 7.3 hours
// apart, so the replicas are listed in each.
func TestFilling(t *testing.T) {
	t.Parallel()
	f := Model(sample).Filling
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"primary-pages", f.PrimaryPages, 2600},             // 26 in 100 runs
		{"replica-pages", f.ReplicaPages, 7800},             // of three
		{"page-bytes", f.PageBytes, 300 * 26_000 * 370},     // of all keys, and of a page
		{"index-reads", f.IndexReads, 900},                  // 100 runs, 4 mirrors; 100 updates, 4 and a whole one
		{"index-writes", f.IndexWrites, 800},                // of 100 dates, and as each run has new blobs
		{"index-bytes", f.IndexBytes, 600 * (h + 25_000*8)}, // 3 replicas
		{"planner-reads", f.PlannerReads, 700},              // 100 * (5 + 2)
		{"planner-writes", f.PlannerWrites, 506.5},          // 100 * (1 + 3 + 1) + 2600*0.15/6/10
		{"progress-writes", f.ProgressWrites, 306.5},        // 100 * 3 + 6.5
		{"messages", f.Messages, 1200},                      // 100 * (10 + 1) + 100
		{"worker-reads", f.WorkerReads, 13600},              // 3 for each, and 4 for each of 2500 new blobs
		{"checks", f.Checks, 5000},                          // of the primary, twice for each of these
		{"queue", f.Queue, 659_520},                         // 2.1 for each, 5 polls each 20 s
		{"invocations", f.Invocations, 1300},
		{"gb-seconds", f.GBSeconds, 1265}, // 2600*0.15/6 + 1200
		{"source-bytes", f.SourceBytes, 1.5e6},
	} {
		t.Run(c.name, func(t *testing.T) { near(t, "quantity", c.got, c.want) })
	}
	none := sample
	none.Runs = 0
	if got := ModelFilling(none); got != (Filling{}) {
		t.Errorf("without runs: %+v", got)
	}
}

const h = index.HeaderSize

// Eight million blobs are 256 parts of 31,250, in 32 pages each. Hourly runs list the
// replicas once in 11 hours, in four turns, each with an index.
func TestFillingInTurns(t *testing.T) {
	t.Parallel()
	l := large
	l.GrowthGB = 0
	f := ModelFilling(l)
	near(t, "primary pages", f.PrimaryPages, 730*(256*32+1))
	near(t, "replica pages", f.ReplicaPages, 30*(730./11*256*32+730))
	near(t, "index writes", f.IndexWrites, 730./11*4*31)
	near(t, "planner reads", f.PlannerReads, 730*(2*256+5))
	near(t, "planner writes", f.PlannerWrites, 730*(4+(256*32+1)*0.15/6/10))
}

func TestPaths(t *testing.T) {
	t.Parallel()
	want := []Path{
		BucketSame:       {Requests: 2025, Bytes: 8.1e9},  // 3000*0.9*0.75
		BucketOther:      {Requests: 675, Bytes: 2.7e9},   // 3000*0.9*0.25
		BucketInternet:   {Requests: 270, Bytes: 1.08e9},  // 1500*0.9*0.2
		EdgeCached:       {Requests: 432, Bytes: 1.728e9}, // 1500*0.9*0.8*0.4
		EdgeFetched:      {Requests: 648, Bytes: 2.592e9}, // 1500*0.9*0.8*0.6
		UpstreamInside:   {Requests: 500, Bytes: 2e9},     // 5000*0.1
		UpstreamInternet: {Requests: 450, Bytes: 1.8e9},   // 4500*0.1
		ManifestInside:   {Requests: 200, Bytes: 600_000}, // 2000*0.1, 3000 bytes each
		ManifestInternet: {Requests: 1800, Bytes: 5_400_000},
		Redirects:        {Requests: 8000, Bytes: 8e6}, // 1000 bytes each
	}
	got := Model(sample).Paths
	if len(got) != len(want) {
		t.Fatalf("%d paths, want %d", len(got), len(want))
	}
	for i, path := range got {
		near(t, path.Name+", requests", path.Requests, want[i].Requests)
		near(t, path.Name+", bytes", path.Bytes, want[i].Bytes)
	}
}

// A month has 2,628,000 seconds. The busy loads have 1000 requests in each.
func TestEnvironments(t *testing.T) {
	t.Parallel()
	busy := Load{Pulls: 2_628_000 * 1000, Blobs: 1, AWS: 1, IndexHit: 1, Mirrors: 6, Redirectors: 4, Warm: 2}
	slow := busy
	slow.Warm = 500
	idle := busy
	idle.Pulls = 1
	for _, c := range []struct {
		name         string
		load         Load
		want, health float64
	}{
		{"ten-per-second-each", busy, 100, 100 * 2 * 262_800}, // 6 mirrors over 4 redirectors are 2
		{"by-duration", slow, 500, 500 * 2 * 262_800},
		{"one-per-region", idle, 4, 1}, // one lookup, one check
	} {
		t.Run(c.name, func(t *testing.T) {
			q := Model(c.load)
			near(t, "environments", q.Environments, c.want)
			near(t, "health checks", q.HealthChecks, c.health)
		})
	}
}

func TestFlushesOncePerInterval(t *testing.T) {
	t.Parallel()
	// 1000 per second in 100 environments, which write metrics 262,800 times each.
	l := Load{Pulls: 2_628_000 * 1000, Blobs: 1, UpstreamCloud: 1, Mirrors: 1, Redirectors: 1, Warm: 2}
	near(t, "log bytes", Model(l).LogBytes, 2_628_000*1000*330+100*262_800*5000)
}

func TestCapacityUnitsByConnections(t *testing.T) {
	t.Parallel()
	// 2,628,000 * 100 pulls are 100 connections per second, 4 units. Their bytes need
	// less: only one pull in a hundred sends a request.
	l := Load{Pulls: 2_628_000 * 100, Blobs: 0.01, BalancerShare: 1, Balancers: 1, Mirrors: 1, Redirectors: 1}
	near(t, "LCU-hours", Model(l).CapacityUnits, 4*730)
}

func variants() map[string]Load {
	all := map[string]Load{"sample": sample, "small": small, "large": large}
	for name, l := range all {
		behind := l
		behind.Balancers, behind.BalancerShare = 3, 1
		all[name+"-behind-balancers"] = behind
		inside := l
		inside.AWS, inside.UpstreamCloud = 0, 1
		all[name+"-in-the-upstreams-cloud"] = inside
		nothing := l
		nothing.Pulls, nothing.BlobMB = 0, 0
		all[name+"-without-traffic"] = nothing
	}
	return all
}

func TestSums(t *testing.T) {
	t.Parallel()
	for name, l := range variants() {
		t.Run(name, func(t *testing.T) {
			q := Model(l)
			var requests, bytes float64
			for _, p := range q.Paths[:blobPaths] {
				requests += p.Requests
				bytes += p.Bytes
			}
			near(t, "blobs by path", requests, l.Pulls*l.Blobs)
			near(t, "bytes by path", bytes, l.Pulls*l.Blobs*l.BlobMB*1e6)
			near(t, "manifests by path", q.Paths[ManifestInside].Requests+q.Paths[ManifestInternet].Requests, q.Manifests)
			front := q.Pings + q.Manifests + q.Blobs
			near(t, "requests by entry point", q.Edge-q.Paths[EdgeCached].Requests-q.Paths[EdgeFetched].Requests+q.Balancer, front)
			if q.Invocations > front || q.Checks+q.HealthChecks > q.Lookups*(1+1e-9) {
				t.Errorf("%v invocations for %v requests, %v checks for %v lookups", q.Invocations, front, q.Checks+q.HealthChecks, q.Lookups)
			}
			for _, line := range Bill(l, q, true, true) {
				if !(line.Dollars >= 0) || math.IsInf(line.Dollars, 0) {
					t.Errorf("%s: %v", line.Price, line.Dollars)
				}
			}
			if once := FillingOnce(l); !(once >= 0) || math.IsInf(once, 0) {
				t.Errorf("filling: %v", once)
			}
		})
	}
}

// A higher hit rate never costs more.
func TestHitsNeverCostMore(t *testing.T) {
	t.Parallel()
	for name, l := range variants() {
		for _, hit := range []struct {
			flag  string
			share *float64
		}{
			{"index-hit", &l.IndexHit}, {"cache-hit", &l.CacheHit}, {"manifest-hit", &l.ManifestHit},
			{"ping-hit", &l.PingHit}, {"edge-hit", &l.EdgeHit}, {"same-region", &l.SameRegion},
		} {
			t.Run(name+"/"+hit.flag, func(t *testing.T) {
				before, checks := math.Inf(1), math.Inf(1)
				defer func(v float64) { *hit.share = v }(*hit.share)
				for *hit.share = 0; *hit.share <= 1; *hit.share += 0.0625 {
					q := Model(l)
					if dollars := Total(Bill(l, q, false, true), ""); dollars > before*(1+1e-12) {
						t.Fatalf("%v: %v dollars, %v before", *hit.share, dollars, before)
					} else {
						before = dollars
					}
					if q.Checks > checks {
						t.Fatalf("%v: %v checks, %v before", *hit.share, q.Checks, checks)
					}
					checks = q.Checks
				}
			})
		}
	}
}
