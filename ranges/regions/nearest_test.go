package regions_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"archeio/ranges/regions"
)

const metre = 0.001

// randomPoint prefers points where spherical trigonometry has edge cases: the
// poles, the antimeridian and whole degrees.
func randomPoint(r *rand.Rand) regions.Point {
	p := regions.Point{
		Latitude:  math.Asin(2*r.Float64()-1) * 180 / math.Pi,
		Longitude: 360*r.Float64() - 180,
	}
	switch r.IntN(16) {
	case 0:
		p.Latitude = 90
	case 1:
		p.Latitude = -90
	case 2:
		p.Longitude = 180
	case 3:
		p.Longitude = -180
	case 4:
		p.Longitude = math.Copysign(180-1e-9*r.Float64(), p.Longitude)
	case 5:
		p.Latitude = math.Copysign(90-1e-9*r.Float64(), p.Latitude)
	case 6, 7:
		p.Latitude, p.Longitude = math.Round(p.Latitude/30)*30, math.Round(p.Longitude/30)*30
	}
	return p
}

func randomSet(r *rand.Rand, known []regions.Region, n int) []regions.Region {
	rs := make([]regions.Region, n)
	for i := range rs {
		switch r.IntN(4) {
		case 0:
			rs[i] = regions.Region{Point: randomPoint(r), Located: r.IntN(8) != 0}
		case 1:
			// A copy of an earlier region is equally near.
			rs[i] = known[r.IntN(len(known))]
			if i > 0 {
				rs[i] = rs[r.IntN(i)]
			}
		default:
			rs[i] = known[r.IntN(len(known))]
		}
	}
	return rs
}

// nearest is the oracle of Index: it compares all distances.
func nearest(rs []regions.Region, p regions.Point, except int) (int, float64) {
	at, best := -1, math.Inf(1)
	if !p.Valid() {
		return at, best
	}
	for i, r := range rs {
		if i == except || !r.Located || !r.Point.Valid() {
			continue
		}
		if d := regions.Distance(p, r.Point); d < best {
			at, best = i, d
		}
	}
	return at, best
}

func checkNearest(t *testing.T, rs []regions.Region, x *regions.Index, p regions.Point, except int) {
	t.Helper()
	got := x.Nearest(p, except)
	want, best := nearest(rs, p, except)
	if got == want {
		return
	}
	if got < 0 || got >= len(rs) || got == except || want == -1 {
		t.Fatalf("Nearest(%v, %d) of %d regions = %d, want %d", p, except, len(rs), got, want)
	}
	if !rs[got].Located || !rs[got].Point.Valid() {
		t.Fatalf("Nearest(%v, %d) = %d, which is not located", p, except, got)
	}
	if d := regions.Distance(p, rs[got].Point); d > best+metre {
		t.Fatalf("Nearest(%v, %d) = %d at %v km, want %d at %v km", p, except, got, d, want, best)
	}
	for i, r := range rs[:got] {
		if i != except && r.Located && r.Point == rs[got].Point {
			t.Fatalf("Nearest(%v, %d) = %d, want %d at the same point", p, except, got, i)
		}
	}
}

func TestNearestAgainstDistance(t *testing.T) {
	t.Parallel()
	known := everything()
	r := rand.New(rand.NewPCG(3, 4))
	for range 400 {
		rs := randomSet(r, known, r.IntN(60))
		x := regions.NewIndex(rs)
		for range 50 {
			checkNearest(t, rs, x, randomPoint(r), r.IntN(len(rs)+2)-1)
		}
		for i, region := range rs {
			checkNearest(t, rs, x, region.Point, -1)
			checkNearest(t, rs, x, region.Point, i)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	at := func(lat, lon float64) regions.Region {
		return regions.Region{Point: regions.Point{Latitude: lat, Longitude: lon}, Located: true}
	}
	nowhere := regions.Region{Point: regions.Point{Latitude: 1, Longitude: 1}}
	wrong := at(91, 0)
	type set []regions.Region

	tests := []struct {
		name   string
		rs     set
		p      regions.Point
		except int
		want   int
	}{
		{"empty", nil, regions.Point{}, -1, -1},
		{"one", set{at(50, 50)}, regions.Point{Latitude: -50, Longitude: -130}, -1, 0},
		{"one-left-out", set{at(50, 50)}, regions.Point{}, 0, -1},
		{"left-out-of-range", set{at(50, 50)}, regions.Point{}, 7, 0},
		{"unlocated", set{nowhere, nowhere}, regions.Point{}, -1, -1},
		{"unlocated-keeps-position", set{nowhere, at(50, 50), nowhere, at(1, 1)}, regions.Point{}, -1, 3},
		{"unlocated-left-out", set{nowhere, at(50, 50), at(1, 1)}, regions.Point{}, 2, 1},
		{"region-not-valid", set{wrong, at(50, 50)}, regions.Point{Latitude: 90}, -1, 1},
		{"same-point", set{at(2, 2), at(1, 1), at(1, 1)}, regions.Point{}, -1, 1},
		{"same-point-left-out", set{at(2, 2), at(1, 1), at(1, 1)}, regions.Point{}, 1, 2},
		{"east-and-west", set{at(0, 20), at(0, -20)}, regions.Point{}, -1, 0},
		{"west-and-east", set{at(40, -20), at(40, 20)}, regions.Point{Latitude: 12}, -1, 0},
		{"north-and-south", set{at(-20, 3), at(20, 3)}, regions.Point{}, -1, 0},
		{"across-antimeridian", set{at(0, 170), at(0, -179)}, regions.Point{Longitude: 179}, -1, 1},
		{"two-antimeridians", set{at(7, -180), at(7, 180)}, regions.Point{Latitude: 33, Longitude: 171}, -1, 0},
		{"two-antimeridians-swapped", set{at(7, 180), at(7, -180)}, regions.Point{Latitude: 33, Longitude: -171}, -1, 0},
		{"one-parallel-from-pole", set{at(10, 77), at(10, 0), at(10, -120)}, regions.Point{Latitude: 90, Longitude: 5}, -1, 0},
		{"one-parallel-from-south-pole", set{at(-10, 77), at(-10, 0)}, regions.Point{Latitude: -90}, -1, 0},
		{"pole-twice", set{at(90, 120), at(90, 0)}, regions.Point{Latitude: 60}, -1, 0},
		{"across-pole", set{at(70, 0), at(85, 180)}, regions.Point{Latitude: 85}, -1, 1},
		{"antipode", set{at(-40, -100)}, regions.Point{Latitude: 40, Longitude: 80}, -1, 0},
		{"nan", set{at(0, 0)}, regions.Point{Latitude: math.NaN()}, -1, -1},
		{"infinite", set{at(0, 0)}, regions.Point{Longitude: math.Inf(1)}, -1, -1},
		{"out-of-range", set{at(0, 0)}, regions.Point{Longitude: 181}, -1, -1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := regions.NewIndex(test.rs).Nearest(test.p, test.except); got != test.want {
				t.Errorf("Nearest(%v, %d) = %d, want %d", test.p, test.except, got, test.want)
			}
		})
	}
}

func TestIndexDoesNotRetainSlice(t *testing.T) {
	t.Parallel()
	rs := []regions.Region{
		{Point: regions.Point{Latitude: 10}, Located: true},
		{Point: regions.Point{Latitude: 50}, Located: true},
	}
	x := regions.NewIndex(rs)
	rs[0].Point.Latitude, rs[1].Point.Latitude = 50, 10
	if got := x.Nearest(regions.Point{}, -1); got != 0 {
		t.Errorf("Nearest = %d after a change of the slice, want 0", got)
	}
}

func TestIndexIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	rs := everything()
	x := regions.NewIndex(rs)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, r := range rs {
				if !r.Located {
					continue
				}
				got := x.Nearest(r.Point, -1)
				if got < 0 || got > i || rs[got].Point != r.Point {
					t.Errorf("Nearest to %s = %d, want %d or an earlier one at the same point", r.Name, got, i)
				}
			}
		})
	}
	wg.Wait()
}

func TestNearestDoesNotAllocate(t *testing.T) {
	x := regions.NewIndex(everything())
	p := regions.Point{Latitude: 12.34, Longitude: 56.78}
	if n := testing.AllocsPerRun(100, func() { x.Nearest(p, 3) }); n != 0 {
		t.Errorf("Nearest allocates %v times, want 0", n)
	}
}

func FuzzNearest(f *testing.F) {
	f.Add(51.5, -0.1, uint64(1), uint8(30), -1)
	f.Add(90.0, 180.0, uint64(2), uint8(5), 0)
	f.Add(-90.0, -180.0, uint64(3), uint8(1), 0)
	f.Add(0.0, 179.999999, uint64(4), uint8(0), 9)
	f.Add(math.NaN(), math.Inf(1), uint64(5), uint8(200), -7)
	known := everything()
	f.Fuzz(func(t *testing.T, lat, lon float64, seed uint64, n uint8, except int) {
		rs := randomSet(rand.New(rand.NewPCG(seed, 0)), known, int(n))
		p := regions.Point{Latitude: lat, Longitude: lon}
		checkNearest(t, rs, regions.NewIndex(rs), p, except)
		if n > 0 {
			// The point is also that of a region, valid or not.
			rs[seed%uint64(n)] = regions.Region{Point: p, Located: true}
			checkNearest(t, rs, regions.NewIndex(rs), p, except)
		}
	})
}

func BenchmarkNearest(b *testing.B) {
	var rs []regions.Region
	for r := range regions.All("AWS") {
		if r.Partition == "aws" && len(rs) < 30 {
			rs = append(rs, r)
		}
	}
	if len(rs) != 30 {
		b.Fatalf("%d regions, want 30", len(rs))
	}
	x := regions.NewIndex(rs)
	p := regions.Point{Latitude: 48.2, Longitude: 16.4}
	b.ReportAllocs()
	for b.Loop() {
		x.Nearest(p, -1)
		// Another point each time defeats branch prediction.
		p.Longitude = -p.Longitude
	}
}

func BenchmarkFind(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		regions.Find("AWS", "us-west-2")
	}
}
