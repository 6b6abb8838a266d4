package main

import (
	"fmt"
	"io"
	"strings"

	"archeio/scripts/archeio/capacity"
	"archeio/scripts/prove/cli"
)

// dollars returns what a phase costs: its requests to S3 and bytes between regions, at
// the price of us-east-1.
func (p *phase) dollars() float64 {
	const gib = 1 << 30
	r := p.requests
	return capacity.Lists.Cost(float64(r[listPrimary].requests+r[listReplica].requests+r[stateList].requests), false) +
		capacity.S3Reads.Cost(float64(r[mirrorRead].requests+r[stateRead].requests), false) +
		capacity.S3Writes.Cost(float64(r[mirrorWrite].requests+r[stateWrite].requests+r[progressWrite].requests), false) +
		capacity.ToRegion.Cost(float64(r[listReplica].bytes+p.toReplicas)/gib, false)
}

func writeTable(out io.Writer, o options, phases []phase) {
	var sizes []string
	if o.blobs > 0 {
		sizes = append(sizes, fmt.Sprintf("%d mirrors with %d blobs, %d manifests in %d repositories", o.mirrors, o.blobs, o.manifests, o.repositories))
	}
	if o.fill > 0 {
		sizes = append(sizes, fmt.Sprintf("%d mirrors to fill with %d blobs of %d manifests", o.mirrors, o.fill, manifestsFor(o.fill)))
	}
	fmt.Fprintf(out, "%s; dollars of S3 at list prices\n\n", strings.Join(sizes, "; "))
	var rows [][]string
	for _, p := range phases {
		r := p.requests
		n := func(some ...kind) string {
			var sum int64
			for _, k := range some {
				sum += r[k].requests
			}
			return fmt.Sprint(sum)
		}
		rows = append(rows, []string{
			p.name, fmt.Sprintf("%d MB", p.Memory/1e6), fmt.Sprintf("%.1f s", p.Seconds), fmt.Sprint(p.Invocations),
			n(listPrimary), n(listReplica), n(mirrorRead), n(mirrorWrite), n(stateRead, stateList), n(stateWrite, progressWrite),
			n(sourceList), n(sourceManifest), n(sourceReferrers), n(sourceBlob), fmt.Sprint(p.Sent),
			fmt.Sprintf("%.1f MB", float64(r[listReplica].bytes+p.toReplicas)/1e6), fmt.Sprintf("%.4f", p.dollars()),
		})
	}
	cli.Table(out, false, []string{"PHASE", "MEMORY", "TIME", "INVOCATIONS", "LIST PRIMARY", "LIST REPLICAS", "MIRROR READS", "MIRROR WRITES",
		"STATE READS", "STATE WRITES", "SOURCE LISTS", "MANIFESTS", "REFERRERS", "BLOBS", "MESSAGES", "BETWEEN REGIONS", "DOLLARS"}, rows, cli.FailedRow)
}

// tolerance is by how much a count may differ from the model.
const tolerance = 0.25

// compareModel compares the requests of hours without changes with those of the model,
// and returns an error if one differs by more than the tolerance.
func (o options) compareModel(out io.Writer, p phase) error {
	const blobMB, hoursOfMonth = 1, 730
	l := capacity.Load{
		Mirrors: float64(o.mirrors), Redirectors: 1, Runs: hoursOfMonth, BlobMB: blobMB, StorageGB: float64(o.blobs) * blobMB / 1000,
		Repositories: float64(o.repositories), Images: float64(o.manifests), Places: places[:min(o.mirrors, len(places))],
	}
	f := capacity.ModelFilling(l)
	r := p.requests
	var rows [][]string
	var wrong error
	for _, c := range []struct {
		name           string
		counted, model float64
	}{
		{"pages of the primary", float64(r[listPrimary].requests), f.PrimaryPages},
		{"pages of replicas", float64(r[listReplica].requests), f.ReplicaPages},
		{"bytes of pages of replicas", float64(r[listReplica].bytes), f.PageBytes},
		{"reads of indexes", float64(r[mirrorRead].requests), f.IndexReads},
		{"writes of indexes", float64(r[mirrorWrite].requests), f.IndexWrites},
		{"bytes of indexes to replicas", float64(p.toReplicas), f.IndexBytes},
		// Those of its progress depend on the time that a listing takes.
		{"writes of the planner's state", float64(r[stateWrite].requests), f.PlannerWrites - f.ProgressWrites},
		{"reads of the planner's state", float64(r[stateRead].requests), f.PlannerReads},
		{"messages", float64(p.Sent), f.Messages},
	} {
		counted := c.counted / float64(p.hours) * hoursOfMonth
		ratio := counted / c.model
		result := cli.OK
		if ratio < 1-tolerance || ratio > 1+tolerance {
			wrong = fmt.Errorf("%s: %.3g counted for a month, archeio capacity has %.3g", c.name, counted, c.model)
			result = cli.ResultOf(wrong)
		}
		rows = append(rows, []string{c.name, fmt.Sprintf("%.4g", counted), fmt.Sprintf("%.4g", c.model), fmt.Sprintf("%.2f", ratio), result.Word()})
	}
	base, own := capacity.Evaluate("", l, false).ListingBase, capacity.Evaluate("", l, false).Listing
	fmt.Fprintf(out, "\nA month of hourly plans, counted and as archeio capacity models it: $%.2f for listings and indexes, $%.2f at the regions' own prices\n\n", base, own)
	cli.Table(out, false, []string{"REQUESTS", "COUNTED", "MODEL", "RATIO", "RESULT"}, rows, cli.FailedRow)
	return wrong
}
