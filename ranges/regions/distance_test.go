package regions_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"archeio/ranges/regions"
)

const (
	radius      = 6371.0088
	halfCircle  = math.Pi * radius
	kmPerDegree = halfCircle / 180
)

func TestDistance(t *testing.T) {
	t.Parallel()
	london := regions.Point{Latitude: 51.5074, Longitude: -0.1278}
	paris := regions.Point{Latitude: 48.8566, Longitude: 2.3522}
	newYork := regions.Point{Latitude: 40.7128, Longitude: -74.0060}
	sydney := regions.Point{Latitude: -33.8688, Longitude: 151.2093}
	melbourne := regions.Point{Latitude: -37.8136, Longitude: 144.9631}
	tokyo := regions.Point{Latitude: 35.6762, Longitude: 139.6503}
	sanFrancisco := regions.Point{Latitude: 37.7749, Longitude: -122.4194}
	northPole := regions.Point{Latitude: 90}
	southPole := regions.Point{Latitude: -90}

	tests := []struct {
		name      string
		a, b      regions.Point
		want, off float64
	}{
		{"london-paris", london, paris, 344, 1},
		{"london-newyork", london, newYork, 5570, 5},
		{"sydney-melbourne", sydney, melbourne, 713, 2},
		{"tokyo-sanfrancisco", tokyo, sanFrancisco, 8270, 10},
		{"london-sydney", london, sydney, 16994, 10},
		{"same", tokyo, tokyo, 0, 0},
		{"poles", northPole, southPole, halfCircle, 1e-6},
		{"pole-equator", northPole, regions.Point{Longitude: 73}, halfCircle / 2, 1e-6},
		{"pole-longitudes", northPole, regions.Point{Latitude: 90, Longitude: 133}, 0, 1e-6},
		{"antimeridian", regions.Point{Longitude: 179.5}, regions.Point{Longitude: -179.5}, kmPerDegree, 1e-6},
		{"antimeridian-same", regions.Point{Latitude: 10, Longitude: 180}, regions.Point{Latitude: 10, Longitude: -180}, 0, 1e-6},
		{"meridian", regions.Point{Latitude: 10}, regions.Point{Latitude: 11}, kmPerDegree, 1e-6},
		{"antipodes", regions.Point{Latitude: 12.3, Longitude: 45.6}, regions.Point{Latitude: -12.3, Longitude: -134.4}, halfCircle, 1e-3},
		{"metre", regions.Point{Latitude: 50}, regions.Point{Latitude: 50 + 0.001/kmPerDegree}, 0.001, 1e-9},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := regions.Distance(test.a, test.b)
			if math.Abs(got-test.want) > test.off {
				t.Errorf("Distance(%v, %v) = %v, want %v within %v", test.a, test.b, got, test.want, test.off)
			}
			if back := regions.Distance(test.b, test.a); back != got {
				t.Errorf("Distance is %v, and %v with the arguments swapped", got, back)
			}
		})
	}
}

func TestDistanceProperties(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		a, b, c := randomPoint(r), randomPoint(r), randomPoint(r)
		ab := regions.Distance(a, b)
		if ba := regions.Distance(b, a); ab != ba {
			t.Fatalf("Distance(%v, %v) = %v, and %v with the arguments swapped", a, b, ab, ba)
		}
		if !(ab >= 0 && ab <= halfCircle+1e-9) {
			t.Fatalf("Distance(%v, %v) = %v, want 0 to %v", a, b, ab, halfCircle)
		}
		if ac, cb := regions.Distance(a, c), regions.Distance(c, b); ab > ac+cb+1e-3 {
			t.Fatalf("Distance(%v, %v) = %v, longer than %v through %v", a, b, ab, ac+cb, c)
		}
	}
}

func TestDistanceOfInvalid(t *testing.T) {
	t.Parallel()
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1)}
	for _, v := range odd {
		for _, p := range []regions.Point{{Latitude: v}, {Longitude: v}, {Latitude: v, Longitude: v}} {
			for _, q := range []regions.Point{{}, p} {
				there, back := regions.Distance(p, q), regions.Distance(q, p)
				if !math.IsInf(there, 1) || !math.IsInf(back, 1) {
					t.Errorf("Distance(%v, %v) = %v and %v swapped, want +Inf", p, q, there, back)
				}
			}
		}
	}
	far := []float64{91, 270, 1e6, -math.MaxFloat64, math.MaxFloat64}
	for _, v := range far {
		d := regions.Distance(regions.Point{Latitude: v}, regions.Point{Longitude: v})
		if math.IsNaN(d) || d < 0 {
			t.Errorf("Distance with the coordinate %v is %v, want a number from 0", v, d)
		}
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		p    regions.Point
		want bool
	}{
		{"origin", regions.Point{}, true},
		{"northeast-corner", regions.Point{Latitude: 90, Longitude: 180}, true},
		{"southwest-corner", regions.Point{Latitude: -90, Longitude: -180}, true},
		{"past-pole", regions.Point{Latitude: math.Nextafter(90, 91)}, false},
		{"past-antimeridian", regions.Point{Longitude: math.Nextafter(-180, -181)}, false},
		{"nan-latitude", regions.Point{Latitude: math.NaN()}, false},
		{"nan-longitude", regions.Point{Longitude: math.NaN()}, false},
		{"infinite-latitude", regions.Point{Latitude: math.Inf(-1)}, false},
		{"infinite-longitude", regions.Point{Longitude: math.Inf(1)}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.p.Valid(); got != test.want {
				t.Errorf("%v.Valid() = %t, want %t", test.p, got, test.want)
			}
		})
	}
}
