package route

import (
	"strings"
	"sync"
	"testing"

	"archeio/lambda/oci"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// requests returns the requests of the tests below, by the reason for the mirror.
func requests(t testing.TB) (*Planner, map[string]Request) {
	var all []string
	for r := range regions.All("AWS") {
		if r.Partition == "aws" && r.Name != "eu-west-3" {
			all = append(all, r.Name)
		}
	}
	p := plan(t, " MIRROR_URL_TEMPLATE=https://{region}.example MIRROR_REGIONS="+strings.Join(all, ",")+" MIRROR_FOR=cn-north-1:ap-east-1 AWS_REGION=eu-west-3"+signatures)
	tag := aws("eu-west-1")
	tag.Path, _ = oci.Parse("/v2/pause/manifests/3.9")
	return p, map[string]Request{
		"own":      aws("eu-west-1"),
		"nearest":  aws("eu-west-3"),
		"rule":     aws("cn-north-1"),
		"viewer":   from("", "", at(tokyo)),
		"function": from("", ""),
		"cloud":    from(ranges.GCP, "europe-west9"),
		"tag":      tag,
	}
}

func TestAllocations(t *testing.T) {
	p, all := requests(t)
	for name, r := range all {
		allocations := testing.AllocsPerRun(100, func() {
			if d := p.Decide(&r); len(d.Candidates()) > 0 && d.Candidates()[0].Target == Regional {
				p.Next(&r, &d)
			}
		})
		if allocations != 0 {
			t.Errorf("%s: %v allocations, want 0", name, allocations)
		}
	}
}

// TestConcurrentDecisions is for the race detector.
func TestConcurrentDecisions(t *testing.T) {
	t.Parallel()
	p, tests := requests(t)
	var all sync.WaitGroup
	for name, r := range tests {
		want := p.Decide(&r)
		for range 4 {
			all.Go(func() {
				for range 100 {
					if got := p.Decide(&r); got != want {
						t.Errorf("%s: decision %v, want %v as before", name, got, want)
					}
				}
			})
		}
	}
	all.Wait()
}

func BenchmarkDecide(b *testing.B) {
	p, all := requests(b)
	for name, r := range all {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := p.Decide(&r); len(d.Candidates()) == 0 {
					b.Fatal("no candidates")
				}
			}
		})
	}
}
