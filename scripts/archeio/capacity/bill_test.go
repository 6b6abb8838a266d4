package capacity

import "testing"

// Bytes are whole GB, so that the arithmetic can be followed.
var billed = Quantities{
	Edge: 20_000, Invocations: 2e6, GBSeconds: 2e5, CanaryRuns: 4e5, CanaryGBSeconds: 4e4, Reads: 5e6, Writes: 4000,
	Filling: Filling{
		PrimaryPages: 3000, ReplicaPages: 7000, PageBytes: 40 * gib, IndexWrites: 1000, IndexBytes: 20 * gib,
		PlannerReads: 4e5, WorkerReads: 6e5, PlannerWrites: 5000, Queue: 3e6, Invocations: 6e5, GBSeconds: 6e4, SourceBytes: 5 * gib,
	},
	LogBytes: 6 * gib, Metrics: 20, CapacityUnits: 1000, Inspected: 2e6,
	Paths: []Path{
		BucketSame:       {Bytes: 1000 * gib},
		BucketOther:      {Bytes: 70 * gib},
		BucketInternet:   {Bytes: 300 * gib},
		EdgeCached:       {Bytes: 150 * gib},
		EdgeFetched:      {Bytes: 50 * gib},
		UpstreamInside:   {Bytes: 500 * gib},
		UpstreamInternet: {Bytes: 30 * gib},
		ManifestInside:   {Bytes: 5 * gib},
		ManifestInternet: {Bytes: 15 * gib},
		Redirects:        {Bytes: 100 * gib},
	},
}

func TestBill(t *testing.T) {
	t.Parallel()
	l := sample
	l.StorageGB, l.GrowthGB = 100*gib/gb, 10*gib/gb
	want := []struct {
		price      *Price
		list, free float64
	}{
		{&edgeNear, 17.85, 0},       // (200 + 100*0.8)*0.75 = 210 GB * 0.085; 1 TB is free
		{&edgeFar, 8.4, 8.4},        // 70 GB * 0.12
		{&edgeRequests, 0.024, 0},   // 2 * 0.012
		{&edgeFunctions, 0.002, 0},  // 0.02 * 0.1
		{&LambdaRequests, 0.6, 0.4}, // 2 + 0.6 + 0.4 = 3 * 0.2; one is free
		{&LambdaDuration, 4.00002, 0},
		{&QueueRequests, 1.2, 0.8},     // 3 * 0.4; one is free
		{&S3Storage, 9.2, 9.2},         // 4 mirrors * 100 GB * 0.023
		{&S3Reads, 2.4, 2.4},           // (5000 + 1000) * 0.0004
		{&S3Writes, 0.05, 0.05},        // (4 + 5 + 1) * 0.005
		{&Lists, 0.05, 0.05},           // (3 + 7) * 0.005
		{&ToRegion, 2, 2},              // (70 + 10*3) * 0.02
		{&listTransfer, 0.8, 0.8},      // 40 * 0.02
		{&indexTransfer, 0.4, 0.4},     // 20 * 0.02
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
		{&UpstreamOut, 7.2, 7.2},      // (30 + 15 + 10 + 5) * 0.12
	}
	list, free := Bill(l, billed, false, false), Bill(l, billed, true, false)
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
	near(t, "S3", Total(list, "S3"), 14.9)  // 9.2 + 2.4 + 0.05 + 0.05 + 2 + 0.8 + 0.4
	near(t, "listing", Listing(list), 1.25) // 0.05 + 0.8 + 0.4
	near(t, "none", Total(list, "S4"), 0)
}

// Every mirror starts at the most expensive tier: 60,000 GB in two mirrors cost
// 2*(51200*0.023 + 8800*0.022), not the price of 120,000 GB in one.
func TestStorageTiersPerMirror(t *testing.T) {
	t.Parallel()
	l := sample
	l.Mirrors, l.StorageGB = 2, 60_000*gib/gb
	for _, line := range Bill(l, billed, false, true) {
		if line.Price == S3Storage.Name {
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

func TestFillingOnce(t *testing.T) {
	t.Parallel()
	l := sample
	l.StorageGB = 100 * gib / gb
	// 100 GiB from the upstream at 0.12, three copies at 0.02, and
	// 100*2^30/4e6 = 26843.5456 blobs written four times at 0.005 per thousand.
	near(t, "dollars", FillingOnce(l), 12+6+0.536870912)
	// São Paulo sends at 0.138 and writes at 0.007; the others are listed as us-east-1.
	l.Places = []string{"sa-east-1", "us-east-1", "us-east-2", "eu-west-1"}
	near(t, "dollars from São Paulo", FillingOnce(l), 12+6*6.9+0.536870912*(1.4+3)/4)
}

// Regions are priced apart: the primary in us-east-1, the replica in São Paulo.
func TestBillOfRegions(t *testing.T) {
	t.Parallel()
	l := sample
	l.Mirrors, l.Places, l.Busiest = 2, []string{"us-east-1", "sa-east-1"}, 0.6
	l.StorageGB, l.GrowthGB = 100*gib/gb, 10*gib/gb
	want := map[*Price]float64{
		&S3Storage: 100*0.023 + 100*0.0405,
		// Of the reads, 40 % in São Paulo; the state is in the primary's region.
		&S3Reads:       5000*(0.6*0.0004+0.4*0.00056) + 1000*0.0004,
		&S3Writes:      4*(0.005+0.007)/2 + 6*0.005,
		&Lists:         3*0.005 + 7*0.007,
		&ToRegion:      70*(0.6*0.02+0.4*0.138) + 10*0.02, // new blobs are sent by the primary
		&listTransfer:  40 * 0.138,
		&indexTransfer: 20 * 0.02,
		&toInternet:    320 * (0.6*0.09 + 0.4*0.15),
	}
	bill := func(places bool) (out map[string]float64) {
		out = map[string]float64{}
		for _, line := range Bill(l, billed, false, places) {
			out[line.Service+line.Price] = line.Dollars
		}
		return out
	}
	got, base := bill(true), bill(false)
	for _, p := range Prices {
		if dollars, ok := want[p]; ok {
			near(t, p.Name, got[p.Service+p.Name], dollars)
		} else if got[p.Service+p.Name] != base[p.Service+p.Name] {
			t.Errorf("%s: %v with regions, %v without", p.Name, got[p.Service+p.Name], base[p.Service+p.Name])
		}
	}
	// What was measured is used instead of the busiest region's share.
	l.Downloads = []float64{0.1, 0.9}
	near(t, "transfer to the internet, measured", bill(true)[toInternet.Service+toInternet.Name], 320*(0.1*0.09+0.9*0.15))
}

// 31 mirrors with eight million blobs are listed for less than $250 a month without
// changes at $0.02 a GB with the schedule of the stage, including the bytes of listings
// and indexes between regions. With new blobs in every hour the index is also written in
// each, once more.
func TestListingTarget(t *testing.T) {
	t.Parallel()
	l := large
	if l.Mirrors != 31 || l.storedBlobs() != 8e6 {
		t.Fatalf("%v mirrors with %v blobs", l.Mirrors, l.storedBlobs())
	}
	unchanged := l
	unchanged.GrowthGB = 0
	if r := Evaluate("unchanged", unchanged, false); r.ListingBase <= 200 || r.ListingBase >= 250 {
		t.Errorf("$%.0f a month without changes, want less than 250", r.ListingBase)
	}
	r := Evaluate("large", l, false)
	if r.ListingBase <= 250 || r.ListingBase >= 270 {
		t.Errorf("$%.0f a month, want less than 270", r.ListingBase)
	}
	if r.Listing <= r.ListingBase || r.Listing >= 500 {
		t.Errorf("$%.0f a month at the regions' own prices, $%.0f at those of us-east-1", r.Listing, r.ListingBase)
	}
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
