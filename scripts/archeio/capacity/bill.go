package capacity

// Line is one line of a monthly bill.
type Line struct {
	Service     string  `json:"service"`
	Price       string  `json:"price"`
	Units       float64 `json:"units"`
	Unit        string  `json:"unit"`
	Dollars     float64 `json:"dollars"`
	Unconfirmed bool    `json:"unconfirmed"` // the price is
}

// Bill returns the bill of a month, with free units subtracted if free is true. It
// has the same lines for every load, grouped by service.
func Bill(l Load, q Quantities, free bool) []Line {
	bytes := func(paths ...int) (n float64) {
		for _, i := range paths {
			n += q.Paths[i].Bytes
		}
		return n / gb
	}
	line := func(p *Price, units float64) Line {
		return Line{p.Service, p.Name, units, p.Unit, p.Cost(units, free), p.Seen == ""}
	}
	// Each mirror's storage starts at the most expensive tier.
	storage := line(&s3Storage, l.StorageGB*l.Mirrors)
	storage.Dollars = s3Storage.Cost(l.StorageGB, free) * l.Mirrors

	edge := bytes(EdgeCached, EdgeFetched) + bytes(Redirects)*(1-l.BalancerShare)
	return []Line{
		line(&edgeNear, edge*(1-l.FarEdge)),
		line(&edgeFar, edge*l.FarEdge),
		line(&edgeRequests, q.Edge),
		line(&edgeFunctions, q.Edge),
		line(&lambdaRequests, q.Invocations),
		line(&lambdaDuration, q.GBSeconds),
		storage,
		line(&s3Reads, q.Reads),
		line(&s3Writes, q.Writes),
		// To clients and by replication.
		line(&toRegion, bytes(BucketOther)+l.GrowthGB*(l.Mirrors-1)),
		// The tiers apply to all services of an account together.
		line(&toInternet, bytes(BucketInternet)+bytes(Redirects)*l.BalancerShare),
		line(&logIngest, q.LogBytes/gb),
		line(&customMetrics, q.Metrics),
		line(&alarmMetrics, l.AlarmMetrics),
		line(&balancerHours, l.Balancers*hours),
		line(&balancerUnits, q.CapacityUnits),
		// One address in each of two zones.
		line(&addressHours, l.Balancers*2*hours),
		line(&topicKeys, l.Regions),
		line(&firewalls, l.Firewalls),
		line(&firewallRequests, q.Inspected),
		// New blobs are copied from the upstream once.
		line(&upstreamOut, bytes(UpstreamInternet, ManifestInternet)+l.GrowthGB),
	}
}

// Total returns the sum of the lines of a service, or of all lines for "".
func Total(lines []Line, service string) (dollars float64) {
	for _, line := range lines {
		if service == "" || line.Service == service {
			dollars += line.Dollars
		}
	}
	return dollars
}

// UpstreamAlone returns the dollars that the upstream charges for the same traffic
// without this system.
func UpstreamAlone(l Load, q Quantities) float64 {
	outside := q.Paths[ManifestInternet].Bytes
	for i, p := range q.Paths[:blobPaths] {
		if i != UpstreamInside {
			outside += p.Bytes
		}
	}
	return upstreamOut.Cost(outside/gb, false)
}

// Filling returns the dollars to fill the mirrors once: every blob is copied from
// the upstream to the primary mirror, and replicated from there.
func Filling(l Load) float64 {
	dollars := upstreamOut.Cost(l.StorageGB, false) + toRegion.Cost(l.StorageGB*(l.Mirrors-1), false)
	if l.BlobMB > 0 {
		dollars += s3Writes.Cost(l.StorageGB*gb/(l.BlobMB*1e6)*l.Mirrors, false)
	}
	return dollars
}
