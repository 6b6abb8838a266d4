package capacity

import (
	"math"
	"testing"
)

func TestQuotaNeeds(t *testing.T) {
	t.Parallel()
	q := Quantities{
		// A mean of 1000/s; 40 % of it in the busiest of four regions, and ten times as
		// much at the peak.
		Invocations: 2_628_000 * 1000, Checks: 2_628_000 * 1000,
		Edge: 2_628_000 * 100, Reads: 2_628_000 * 50,
		Paths: make([]Path, Redirects+1),
	}
	q.Paths[EdgeCached].Bytes = 2_628_000 * 100e6
	q.Paths[EdgeFetched].Bytes = 2_628_000 * 20e6
	q.Paths[Redirects].Bytes = 2_628_000 * 10e6
	l := Load{Pulls: 1e6, Redirectors: 4, Mirrors: 2, Busiest: 0.4, Peak: 10, Warm: 2, Check: 18, BalancerShare: 0.5, Balancers: 1}
	for i, want := range []float64{
		80,   // 1000*0.4*10 /s of 20 ms
		4000, // 1000*0.4*10
		3600, // less the 400 of the mean
		1000, // 100*10
		10,   // (100 + 20 + 10*0.5) MB/s * 8 * 10
		250,  // 50*10, and half of it: there are only two mirrors
	} {
		got := Quotas(l, q)[i]
		near(t, got.Name, got.Need, want)
		near(t, got.Name+", pulls", got.Pulls, 1e6*got.Limit/want)
	}
}

// A quota that is just reached is not exceeded.
func TestQuotaExceeded(t *testing.T) {
	t.Parallel()
	// What a load needs of a quota grows with the pulls. What does not, such as the
	// reads of the replication, is less than one percent.
	for i, quota := range Quotas(large, Model(large)) {
		t.Run(quota.Name, func(t *testing.T) {
			for _, c := range []struct {
				name  string
				times float64
				want  bool
			}{{"below", 0.99, false}, {"above", 1.01, true}} {
				l := large
				l.Pulls = quota.Pulls * c.times
				got := Quotas(l, Model(l))[i]
				if got.Exceeded != c.want || got.Exceeded != (got.Need > got.Limit) {
					t.Errorf("%s: %v of %v needed, exceeded %v", c.name, got.Need, got.Limit, got.Exceeded)
				}
			}
		})
	}
	at := Load{Pulls: 1, Redirectors: 1, Mirrors: 1, Peak: 1}
	q := Quantities{Edge: 250_000 * month, Paths: make([]Path, Redirects+1)}
	if got := Quotas(at, q)[3]; got.Need != 250_000 || got.Exceeded {
		t.Errorf("at the limit: %+v", got)
	}
	q.Edge = math.Nextafter(q.Edge, math.Inf(1))
	if got := Quotas(at, q)[3]; !got.Exceeded {
		t.Errorf("above the limit: %+v", got)
	}
}

func TestQuotasWithoutTraffic(t *testing.T) {
	t.Parallel()
	q := Quantities{Paths: make([]Path, Redirects+1)}
	for _, got := range Quotas(Load{Redirectors: 1, Mirrors: 1, Peak: 1}, q) {
		if got.Exceeded || got.Need != 0 || got.Pulls != 0 || got.String() != "0" {
			t.Errorf("%+v", got)
		}
	}
}
