package route

import (
	"strings"
	"sync"
	"testing"

	"archeio/lambda/oci"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// The questions of the budget and the benchmark, by what is to be found out.
func questions(t testing.TB) (*Planner, map[string]Request) {
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

func TestDecidingDoesNotAllocate(t *testing.T) {
	p, all := questions(t)
	for name, r := range all {
		allocations := testing.AllocsPerRun(100, func() {
			if d := p.Decide(&r); len(d.Candidates()) > 0 && d.Candidates()[0].Target == Regional {
				p.Next(&r, &d)
			}
		})
		if allocations != 0 {
			t.Errorf("%s allocates %v times", name, allocations)
		}
	}
}

// TestTogether is for the race detector.
func TestTogether(t *testing.T) {
	p, asked := questions(t)
	var all sync.WaitGroup
	for name, r := range asked {
		want := p.Decide(&r)
		for range 4 {
			all.Go(func() {
				for range 100 {
					if got := p.Decide(&r); got != want {
						t.Errorf("%s: %v, then %v", name, want, got)
					}
				}
			})
		}
	}
	all.Wait()
}

func BenchmarkDecide(b *testing.B) {
	p, all := questions(b)
	for name, r := range all {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := p.Decide(&r); len(d.Candidates()) == 0 {
					b.Fatal("nowhere to go")
				}
			}
		})
	}
}
