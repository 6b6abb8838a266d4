package capacity

import (
	"math"
	"strings"
	"testing"

	"archeio/ranges"
	"archeio/ranges/regions"
)

// near compares with a result that was calculated by hand, to its digits.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	p := Price{Per: 10, Free: 30, Tiers: []Tier{{100, 5}, {300, 4}, {0, 1}}}
	for _, c := range []struct {
		name  string
		units float64
		free  bool
		want  float64
	}{
		{"nothing", 0, false, 0},
		{"first-tier", 40, false, 20},                  // 40/10*5
		{"end-of-first", 100, false, 50},               // 100/10*5
		{"just-beyond-first", 110, false, 54},          // 50 + 10/10*4
		{"end-of-second", 300, false, 130},             // 50 + 200/10*4
		{"open-end", 1300, false, 230},                 // 130 + 1000/10*1
		{"all-free", 30, true, 0},                      // at most the free units
		{"less-than-free", 10, true, 0},                // never negative
		{"free-are-the-first", 110, true, 39},          // 54 - 30/10*5
		{"free-not-counted", 30, false, 15},            // 30/10*5
		{"free-and-open-end", 1300, true, 215},         // 230 - 15
		{"free-ends-inside-first-tier", 100, true, 35}, // 50 - 15
	} {
		t.Run(c.name, func(t *testing.T) { near(t, "dollars", p.Cost(c.units, c.free), c.want) })
	}
}

// The bounds are those of the price lists, in which 10 TB are 10,240 GB.
func TestTierBoundaries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		price *Price
		units float64
		want  float64
	}{
		{"edge-10-TB", &edgeNear, 10_240, 870.4},                    // 10240*0.085
		{"edge-10-TB-and-1", &edgeNear, 10_241, 870.48},             // + 0.08
		{"edge-50-TB", &edgeNear, 51_200, 4_147.2},                  // + 40960*0.08
		{"edge-150-TB", &edgeNear, 153_600, 10_291.2},               // + 102400*0.06
		{"edge-500-TB", &edgeNear, 512_000, 24_627.2},               // + 358400*0.04
		{"edge-1-PB", &edgeNear, 1_048_576, 40_724.48},              // + 536576*0.03
		{"edge-5-PB", &edgeNear, 5_242_880, 145_582.08},             // + 4194304*0.025
		{"edge-5-PB-and-100", &edgeNear, 5_242_980, 145_584.08},     // + 100*0.02
		{"edge-far-50-TB", &edgeFar, 51_200, 5_324.8},               // 10240*0.12 + 40960*0.1
		{"internet-10-TB-and-100", &toInternet, 10_340, 930.1},      // 10240*0.09 + 100*0.085
		{"internet-150-TB-and-100", &toInternet, 153_700, 11_576.2}, // 921.6 + 40960*0.085 + 102400*0.07 + 100*0.05
		{"storage-50-TB-and-100", &S3Storage, 51_300, 1_179.8},      // 51200*0.023 + 100*0.022
		{"logs-60-TB", &logIngest, 61_440, 12_800},                  // 10240*0.5 + 20480*0.25 + 20480*0.1 + 10240*0.05
		{"duration-7.5-billion", &LambdaDuration, 7.5e9, 100_000.5}, // 7.5e9*0.0000133334
		{"duration-one-billion-more", &LambdaDuration, 8.5e9, 112_000.6},
		{"upstream-1-TB", &UpstreamOut, 1_024, 122.88},             // 1024*0.12
		{"upstream-10-TB-and-100", &UpstreamOut, 10_340, 1_144.64}, // 122.88 + 9216*0.11 + 100*0.08
		{"requests-a-million", &edgeRequests, 1e6, 1.2},            // 100*0.012
		{"reads-a-million", &S3Reads, 1e6, 0.4},                    // 1000*0.0004
		{"writes-a-million", &S3Writes, 1e6, 5},                    // 1000*0.005
		{"invocations-a-million", &LambdaRequests, 1e6, 0.2},       // 1*0.2
		{"edge-functions-a-million", &edgeFunctions, 1e6, 0.1},     // 1*0.1
		{"metrics", &customMetrics, 10, 3},                         // 10*0.3
		{"another-region", &ToRegion, 100, 2},                      // 100*0.02
		{"balancer-hours", &balancerHours, 730, 16.425},            // 730*0.0225
		{"capacity-units", &balancerUnits, 730, 5.84},              // 730*0.008
		{"addresses", &addressHours, 730, 3.65},                    // 730*0.005
	} {
		t.Run(c.name, func(t *testing.T) { near(t, "dollars", c.price.Cost(c.units, false), c.want) })
	}
	near(t, "a TB and 100 GB with the free TB", edgeNear.Cost(1_124, true), 8.5)
}

func TestPricesAreComplete(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, p := range Prices {
		name := p.Service + ": " + p.Name
		if names[name] || p.Service == "" || p.Name == "" || p.Unit == "" || p.Per <= 0 {
			t.Errorf("%q is a duplicate or incomplete", name)
		}
		names[name] = true
		if !strings.HasPrefix(p.Source, "https://") {
			t.Errorf("%q has no source", name)
		}
		if len(p.Tiers) == 0 || p.Tiers[len(p.Tiers)-1].UpTo != 0 {
			t.Fatalf("%q: the last tier has an upper bound", name)
		}
		for i, tier := range p.Tiers {
			if tier.Dollars <= 0 {
				t.Errorf("%q: tier %d costs %v", name, i, tier.Dollars)
			}
			if i == 0 {
				continue
			}
			if last := p.Tiers[i-1]; last.UpTo <= 0 || tier.UpTo != 0 && tier.UpTo <= last.UpTo || tier.Dollars >= last.Dollars {
				t.Errorf("%q: tier %d is not above and cheaper than the one before", name, i)
			}
		}
	}
}

// Regional prices are of known regions and not far from those of us-east-1, and each
// has a source.
func TestRegionalPrices(t *testing.T) {
	t.Parallel()
	for _, p := range Prices {
		if p.Regional == nil {
			if _, known := p.In("eu-west-1"); known {
				t.Errorf("%s: a price of a region is known without a list", p.Name)
			}
			continue
		}
		if p.Regional.Seen == "" {
			t.Errorf("%s: the regional prices have no source", p.Name)
		}
		for region := range p.Regional.Dollars {
			if _, ok := regions.Find(string(ranges.AWS), region); !ok || region == baseRegion {
				t.Errorf("%s: unexpected region %q", p.Name, region)
			}
			if ratio, known := p.In(region); !known || ratio < 0.8 || ratio > 8 {
				t.Errorf("%s in %s: %v times the price in %s", p.Name, region, ratio, baseRegion)
			}
		}
		if ratio, known := p.In("xx-new-1"); known || ratio != 1 {
			t.Errorf("%s: an unknown region has ratio %v", p.Name, ratio)
		}
	}
}
