package capacity

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"archeio/infra/dashboard"
	"archeio/lambda/route"
	"archeio/ranges"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/archeio/report"
)

// readMeasured reads what report -json printed, from a file or from standard input
// for "-".
func readMeasured(name string, stdin io.Reader) (*report.Document, error) {
	from := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("reading the measured load: %w", err)
		}
		defer file.Close()
		from = file
	}
	var d report.Document
	if err := json.NewDecoder(from).Decode(&d); err != nil {
		return nil, fmt.Errorf("reading the measured load: %q: %w: want the output of archeio report -json", cli.Printable(name), err)
	}
	if !d.To.After(d.From) || len(d.Widgets) == 0 {
		return nil, fmt.Errorf("reading the measured load: %q: no period or no widgets: want the output of archeio report -json", cli.Printable(name))
	}
	return &d, nil
}

// measure sets what a report says of the load of a stage, and returns the names of the
// inputs that it sets. What the report does not have stays as it is: hit rates of
// CloudFront's caches are not in it.
func (l *Load) measure(d *report.Document) (names []string) {
	monthly := month / d.To.Sub(d.From).Seconds()
	set := func(name string, value *float64, v float64) {
		*value = v
		names = append(names, name)
	}
	reason := func(some ...route.Reason) (n float64) {
		for _, r := range some {
			v, _ := d.Find(dashboard.TitleReasons, r.String())
			n += v
		}
		return n
	}
	blobs, _ := d.Find(dashboard.TitleRequests, dashboard.Blobs)
	if blobs > 0 {
		set("pulls", &l.Pulls, blobs*monthly/l.Blobs)
		// Manifests are counted behind CloudFront's cache.
		if manifests, ok := d.Find(dashboard.TitleRequests, dashboard.Manifests); ok {
			if passed := (1-l.BalancerShare)*(1-l.ManifestHit) + l.BalancerShare; passed > 0 {
				set("manifests", &l.Manifests, manifests*monthly/l.Pulls/passed)
			}
		}
		upstream := min(1, reason(route.UpstreamCloud)/blobs)
		if upstream < 1 {
			set("absent", &l.Absent, min(1, reason(route.MirrorAbsent)/(blobs*(1-upstream))))
		}
		var all, aws float64
		for _, cloud := range append([]string{dashboard.OtherClouds}, clouds()...) {
			n, _ := d.Find(dashboard.TitleClouds, cloud)
			all += n
			if cloud == string(ranges.AWS) {
				aws = n
			}
		}
		if all > 0 {
			set("aws", &l.AWS, min(1-upstream, aws/all))
			set("upstream-cloud", &l.UpstreamCloud, upstream)
		}
	}
	if regional := reason(route.AWSRegion, route.NearestRegion, route.MirrorRule); regional > 0 {
		set("same-region", &l.SameRegion, reason(route.AWSRegion)/regional)
	}
	l.measureMirrors(d, monthly, blobs, set)
	return names
}

// measureMirrors sets what a report says of the mirrors.
func (l *Load) measureMirrors(d *report.Document, monthly, blobs float64, set func(string, *float64, float64)) {
	var downloads, stored float64
	parts := make([]float64, len(l.Places))
	for i, region := range l.Places {
		parts[i], _ = d.Find(dashboard.TitleDownloads, region)
		downloads += parts[i]
		v, _ := d.Find(dashboard.TitleStorage, region)
		stored = max(stored, v)
	}
	if downloads > 0 {
		for i := range parts {
			parts[i] /= downloads
		}
		l.Downloads = parts
		// Of what clients of the distribution get, buckets serve what is not cached.
		inBuckets := l.AWS + l.others()*(l.BalancerShare+(1-l.BalancerShare)*(1-l.EdgeHit))
		if served := blobs * inBuckets * (1 - l.Absent); served > 0 {
			set("blob-size", &l.BlobMB, downloads/served/mb)
		}
	}
	if stored > 0 {
		set("storage", &l.StorageGB, stored/gb)
	}
	if copied, ok := d.Find(dashboard.TitleFilling, dashboard.BytesCopied); ok {
		// Without replication, as into new mirrors, every copy counts.
		set("growth", &l.GrowthGB, copied*monthly/gb)
	}
}

func clouds() (names []string) {
	for _, cloud := range ranges.Clouds {
		names = append(names, string(cloud))
	}
	return names
}
