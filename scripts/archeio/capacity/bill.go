package main

// Line is a line of the bill.
type Line struct {
	Service     string  `json:"service"`
	Price       string  `json:"price"`
	Units       float64 `json:"units"`
	Unit        string  `json:"unit"`
	Dollars     float64 `json:"dollars"`
	Unconfirmed bool    `json:"unconfirmed"`
}

// Bill prices a month. The same lines come for every load, those of a service
// together.
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
	// Each mirror's storage begins with the dearest tier.
	storage := line(&s3Storage, l.StorageGB*l.Mirrors)
	storage.Dollars = s3Storage.Cost(l.StorageGB, free) * l.Mirrors

	edge := bytes(EdgeCached, EdgeFetched) + bytes(Answers)*(1-l.BalancerShare)
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
		// Clients, and the replication.
		line(&toRegion, bytes(BucketOther)+l.GrowthGB*(l.Mirrors-1)),
		// One tier for all services of an account.
		line(&toInternet, bytes(BucketInternet)+bytes(Answers)*l.BalancerShare),
		line(&logIngest, q.LogBytes/gb),
		line(&customMetrics, q.Metrics),
		line(&balancerHours, l.Balancers*hours),
		line(&balancerUnits, q.CapacityUnits),
		// One in each of two zones.
		line(&addressHours, l.Balancers*2*hours),
		// New blobs are copied from there once.
		line(&upstreamOut, bytes(UpstreamInternet, ManifestInternet)+l.GrowthGB),
	}
}

// Total is the sum of the lines of a service, or of all with "".
func Total(lines []Line, service string) (dollars float64) {
	for _, line := range lines {
		if service == "" || line.Service == service {
			dollars += line.Dollars
		}
	}
	return dollars
}

// WithoutMirrors is what the upstream charges if it serves everything itself.
func WithoutMirrors(l Load, q Quantities) float64 {
	outside := q.Paths[ManifestInternet].Bytes
	for i, p := range q.Paths[:blobPaths] {
		if i != UpstreamInside {
			outside += p.Bytes
		}
	}
	return upstreamOut.Cost(outside/gb, false)
}

// Filling is paid once: the upstream gives every blob, the primary mirror
// copies it to the others.
func Filling(l Load) float64 {
	dollars := upstreamOut.Cost(l.StorageGB, false) + toRegion.Cost(l.StorageGB*(l.Mirrors-1), false)
	if l.BlobMB > 0 {
		dollars += s3Writes.Cost(l.StorageGB*gb/(l.BlobMB*1e6)*l.Mirrors, false)
	}
	return dollars
}
