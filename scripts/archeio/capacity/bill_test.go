package capacity

import "testing"

// Bytes are whole GB, so that the arithmetic can be followed.
var billed = Quantities{
	Edge: 20_000, Invocations: 3e6, GBSeconds: 3e5, Reads: 5e6, Writes: 4000,
	LogBytes: 6 * gb, Metrics: 20, CapacityUnits: 1000, Inspected: 2e6,
	Paths: []Path{
		BucketSame:       {Bytes: 1000 * gb},
		BucketOther:      {Bytes: 70 * gb},
		BucketInternet:   {Bytes: 300 * gb},
		EdgeCached:       {Bytes: 150 * gb},
		EdgeFetched:      {Bytes: 50 * gb},
		UpstreamInside:   {Bytes: 500 * gb},
		UpstreamInternet: {Bytes: 30 * gb},
		ManifestInside:   {Bytes: 5 * gb},
		ManifestInternet: {Bytes: 15 * gb},
		Redirects:        {Bytes: 100 * gb},
	},
}

func TestBill(t *testing.T) {
	t.Parallel()
	want := []struct {
		price      *Price
		list, free float64
	}{
		{&edgeNear, 17.85, 0},       // (200 + 100*0.8)*0.75 = 210 GB * 0.085; 1 TB is free
		{&edgeFar, 8.4, 8.4},        // 70 GB * 0.12
		{&edgeRequests, 0.024, 0},   // 2 * 0.012
		{&edgeFunctions, 0.002, 0},  // 0.02 * 0.1
		{&lambdaRequests, 0.6, 0.4}, // 3 * 0.2; one is free
		{&lambdaDuration, 4.00002, 0},
		{&s3Storage, 9.2, 9.2},         // 4 mirrors * 100 GB * 0.023
		{&s3Reads, 2, 2},               // 5000 * 0.0004
		{&s3Writes, 0.02, 0.02},        // 4 * 0.005
		{&toRegion, 2, 2},              // (70 + 10*3) * 0.02
		{&toInternet, 28.8, 19.8},      // (300 + 100*0.2) * 0.09; 100 GB are free
		{&logIngest, 3, 0.5},           // 6 * 0.5; 5 GB are free
		{&customMetrics, 6, 3},         // 20 * 0.3; ten are free
		{&alarmMetrics, 3, 2},          // 30 * 0.1; ten are free
		{&balancerHours, 32.85, 32.85}, // 2*730 * 0.0225
		{&balancerUnits, 8, 8},         // 1000 * 0.008
		{&addressHours, 14.6, 14.6},    // 2*2*730 * 0.005
		{&topicKeys, 5, 5},
		{&firewalls, 18, 18},          // 3 * (5 + 1)
		{&firewallRequests, 1.2, 1.2}, // 2 * 0.6
		{&upstreamOut, 6.6, 6.6},      // (30 + 15 + 10) * 0.12
	}
	list, free := Bill(sample, billed, false), Bill(sample, billed, true)
	if len(list) != len(want) || len(Prices) != len(want) {
		t.Fatalf("%d lines and %d prices, want %d", len(list), len(Prices), len(want))
	}
	var all float64
	for i, c := range want {
		if list[i].Price != c.price.Name || list[i].Unconfirmed != (c.price.Seen == "") {
			t.Errorf("line %d is %+v, want %s", i, list[i], c.price.Name)
		}
		near(t, c.price.Name, list[i].Dollars, c.list)
		near(t, c.price.Name+", with free units", free[i].Dollars, c.free)
		all += c.list
	}
	near(t, "all", Total(list, ""), all)
	near(t, "S3", Total(list, "S3"), 13.22) // 9.2 + 2 + 0.02 + 2
	near(t, "none", Total(list, "S4"), 0)
}

// Every mirror starts at the most expensive tier: 60,000 GB in two mirrors cost
// 2*(51200*0.023 + 8800*0.022), not the price of 120,000 GB in one.
func TestStorageTiersPerMirror(t *testing.T) {
	t.Parallel()
	l := sample
	l.Mirrors, l.StorageGB = 2, 60_000
	for _, line := range Bill(l, billed, false) {
		if line.Price == s3Storage.Name {
			near(t, "units", line.Units, 120_000)
			near(t, "dollars", line.Dollars, 2742.4)
			return
		}
	}
	t.Error("no line for storage")
}

func TestUpstreamAlone(t *testing.T) {
	t.Parallel()
	// All blobs but those inside the upstream's cloud, and the manifests for the
	// internet: 1000+70+300+150+50+30+15 = 1615 GB; 1024*0.12 + 591*0.11.
	near(t, "dollars", UpstreamAlone(sample, billed), 187.89)
}

func TestFilling(t *testing.T) {
	t.Parallel()
	// 100 GB from the upstream at 0.12, three copies at 0.02, and
	// 100*2^30/4e6 = 26843.5456 blobs written four times at 0.005 per thousand.
	near(t, "dollars", Filling(sample), 12+6+0.536870912)
}

// Both presets have the traffic that their documentation states, cost less than the
// upstream alone and reach no quota.
func TestPresets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		load  Load
		bytes float64
	}{"small": {small, 1.8e12}, "large": {large, 10e15}} {
		t.Run(name, func(t *testing.T) {
			if err := c.load.validate(); err != nil {
				t.Error(err)
			}
			near(t, "bytes", c.load.Pulls*c.load.Blobs*c.load.BlobMB*1e6, c.bytes)
			r := Evaluate(name, c.load, false)
			if r.Saved != r.UpstreamAlone-r.Total || r.Saved <= 0 {
				t.Errorf("saving %v of %v, total %v", r.Saved, r.UpstreamAlone, r.Total)
			}
			for _, q := range r.Quotas {
				if q.Exceeded {
					t.Errorf("quota exceeded: %s", q.Name)
				}
			}
		})
	}
}
