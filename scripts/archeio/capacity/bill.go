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
// has the same lines for every load, grouped by service. Regions are priced apart
// unless places is false.
func Bill(l Load, q Quantities, free, places bool) []Line {
	if !places {
		l.Places = nil
	}
	bytes := func(paths ...int) (n float64) {
		for _, i := range paths {
			n += q.Paths[i].Bytes
		}
		return n / gib
	}
	in := func(p *Price, units float64, where []share) Line {
		return Line{p.Service, p.Name, units, p.Unit, p.Cost(units, free) * p.mean(where), p.Seen == ""}
	}
	line := func(p *Price, units float64) Line { return in(p, units, nil) }
	// Each mirror's storage starts at the most expensive tier.
	stored := l.StorageGB * gb / gib
	storage := line(&S3Storage, stored*l.Mirrors)
	storage.Dollars = S3Storage.Cost(stored, free) * l.Mirrors * S3Storage.mean(equally(l.Places))

	f := q.Filling
	primary, replicas := equally(l.Places[:min(1, len(l.Places))]), equally(l.replicas())
	growth := l.GrowthGB * gb / gib
	// Existence checks and blobs are read where blobs are downloaded from.
	reads := in(&S3Reads, q.Reads, l.downloads())
	reads.add(in(&S3Reads, f.PlannerReads+f.WorkerReads+f.IndexReads+f.Checks, primary))
	writes := in(&S3Writes, q.Writes, equally(l.Places))
	writes.add(in(&S3Writes, f.PlannerWrites+f.IndexWrites, primary))
	lists := in(&Lists, f.PrimaryPages, primary)
	lists.add(in(&Lists, f.ReplicaPages, replicas))
	// To clients and by replication.
	toRegion := in(&ToRegion, bytes(BucketOther), l.downloads())
	toRegion.add(in(&ToRegion, growth*(l.Mirrors-1), primary))

	edge := bytes(EdgeCached, EdgeFetched) + bytes(Redirects)*(1-l.BalancerShare) + q.Relaying.Bytes/gib
	return []Line{
		line(&edgeNear, edge*(1-l.FarEdge)),
		line(&edgeFar, edge*l.FarEdge),
		line(&edgeRequests, q.Edge),
		line(&edgeFunctions, q.Edge),
		line(&LambdaRequests, q.Invocations+f.Invocations+q.CanaryRuns),
		line(&LambdaDuration, q.GBSeconds+f.GBSeconds+q.CanaryGBSeconds),
		line(&QueueRequests, f.Queue),
		storage,
		reads,
		writes,
		lists,
		toRegion,
		in(&listTransfer, f.PageBytes/gib, replicas),
		in(&indexTransfer, f.IndexBytes/gib, primary),
		// The tiers apply to all services of an account together.
		in(&toInternet, bytes(BucketInternet)+bytes(Redirects)*l.BalancerShare+q.Relaying.BalancerBytes/gib, l.downloads()),
		line(&logIngest, q.LogBytes/gib),
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
		line(&UpstreamOut, bytes(UpstreamInternet, ManifestInternet)+growth+f.SourceBytes/gib),
	}
}

// add adds the units and dollars of another line of the same price.
func (line *Line) add(other Line) {
	line.Units += other.Units
	line.Dollars += other.Dollars
}

// Listing returns the dollars for listing the mirrors, and for the bytes of listings
// and blob indexes between regions.
func Listing(lines []Line) (dollars float64) {
	for _, line := range lines {
		if line.Price == Lists.Name || line.Price == listTransfer.Name || line.Price == indexTransfer.Name {
			dollars += line.Dollars
		}
	}
	return dollars
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
	return UpstreamOut.Cost(outside/gib, false)
}

// FillingOnce returns the dollars to fill the mirrors once: every blob is copied from
// the upstream to the primary mirror, and replicated from there.
func FillingOnce(l Load) float64 {
	stored := l.StorageGB * gb / gib
	primary := equally(l.Places[:min(1, len(l.Places))])
	return UpstreamOut.Cost(stored, false) +
		ToRegion.Cost(stored*(l.Mirrors-1), false)*ToRegion.mean(primary) +
		S3Writes.Cost(l.storedBlobs()*l.Mirrors, false)*S3Writes.mean(equally(l.Places))
}
