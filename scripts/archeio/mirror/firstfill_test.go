package mirror

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"archeio/scripts/archeio/capacity"
)

func TestFirstFill(t *testing.T) {
	t.Parallel()
	million := missingIn{"us-east-1", 1_000_000, 32 << 40}
	for _, tt := range []struct {
		name      string
		o         fillOptions
		manifests int64
		referrers bool
		missing   []missingIn
		requests  int64
		seconds   float64
		limit     string
		transfer  float64 // dollars between regions
	}{
		{"by-requests", fillOptions{rate: 20, workers: 100}, 300_000, true, []missingIn{million}, 1_600_000, 80_000, "about 22.2 hours, limited by the requests: raise fill.rate", 0},
		{"without-referrers", fillOptions{rate: 20, workers: 100}, 300_000, false, []missingIn{million}, 1_300_000, 65_000, "limited by the requests", 0},
		{"by-bytes", fillOptions{rate: 1000, workers: 4, bandwidth: 1 << 30}, 300_000, true, []missingIn{million}, 1_600_000, 8192, "about 2.3 hours, limited by the bytes: raise fill.workers", 0},
		{"two-regions", fillOptions{rate: 1000, workers: 4, bandwidth: 1 << 30}, 0, true, []missingIn{million, {"eu-central-1", 10, 1 << 40}}, 1_000_000, 8192, "limited by the bytes", 1024 * 0.02},
		{"two-buckets-of-a-region", fillOptions{rate: 1000, workers: 4, bandwidth: 1 << 30}, 0, true, []missingIn{million, million}, 1_000_000, 8192, "limited by the bytes", 0},
		{"nothing", fillOptions{rate: 20, workers: 4}, 0, true, []missingIn{{region: "mars-1"}}, 0, 0, "nothing is missing", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newFillReport(&tt.o, tt.manifests, tt.referrers, tt.missing)
			var out strings.Builder
			if err := r.writeText(&out); err != nil {
				t.Fatal(err)
			}
			if r.Requests != tt.requests || r.Seconds != tt.seconds || !strings.Contains(out.String(), tt.limit) {
				t.Errorf("%d requests, %v seconds, want %d and %v with %q:\n%s", r.Requests, r.Seconds, tt.requests, tt.seconds, tt.limit, &out)
			}
			writes, transfer, reads, duration := 0.0, 0.0, 0.0, 0.0
			for _, c := range r.Costs {
				switch c.Price {
				case capacity.S3Writes.Name:
					writes += c.Units
				case capacity.S3Reads.Name:
					reads += c.Units
				case capacity.LambdaDuration.Name:
					duration += c.Units
				case capacity.ToRegion.Name:
					transfer += c.Dollars
				}
			}
			looked := 3 * tt.missing[0].blobs
			if len(tt.missing) > 1 {
				looked += 3 * tt.missing[1].blobs
			}
			if reads != float64(looked) || duration != tt.seconds*float64(tt.o.workers) {
				t.Errorf("%v reads, %v GiB-seconds, want %v and %v", reads, duration, looked, tt.seconds*float64(tt.o.workers))
			}
			blobs := int64(0)
			for _, m := range tt.missing {
				blobs += m.blobs
			}
			if writes != float64(blobs) || math.Abs(transfer-tt.transfer) > 1e-9 {
				t.Errorf("%v writes, $%v between regions, want %v and $%v", writes, transfer, blobs, tt.transfer)
			}
			if unpriced := tt.missing[0].region == "mars-1"; unpriced != strings.Contains(out.String(), "those of mars-1 are unknown") {
				t.Errorf("unpriced regions in\n%s", &out)
			}
		})
	}
}

// TestFillDefaults tests that the defaults are those of a stage.
func TestFillDefaults(t *testing.T) {
	t.Parallel()
	reference, err := os.ReadFile("../../../.github/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{fmt.Sprintf("| `fill.rate` | 0.1 to 1000000 requests per second | `%d` |", defaultRate), fmt.Sprintf("| `fill.workers` | 2 to 1000 workers | `%d` |", defaultWorkers)} {
		if !strings.Contains(string(reference), want) {
			t.Errorf("the reference has no row %s", want)
		}
	}
}
