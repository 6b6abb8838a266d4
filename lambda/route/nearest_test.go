package route

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"archeio/ranges/regions"
)

// oracle returns the first mirror of the list at the smallest distance, except
// one; "" if there is none.
func oracle(list []string, p regions.Point, except string) string {
	best := ""
	var least float64
	for _, name := range list {
		r, _ := regions.Find("AWS", name)
		if d := regions.Distance(p, r.Point); name != except && (best == "" || d < least) {
			best, least = name, d
		}
	}
	return best
}

// subsets returns lists of mirrors: each region alone, all pairs in both orders,
// and random larger ones.
func subsets(all []string) [][]string {
	var out [][]string
	for _, a := range all {
		out = append(out, []string{a})
		for _, b := range all {
			if a != b {
				out = append(out, []string{a, b})
			}
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		mixed := slices.Clone(all)
		r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		out = append(out, mixed[:3+r.IntN(len(mixed)-2)])
	}
	return out
}

// TestNearest compares the mirror of every client and its failover with the oracle.
func TestNearest(t *testing.T) {
	t.Parallel()
	var clients []regions.Region
	var names []string
	for r := range regions.All("AWS") {
		clients = append(clients, r)
		names = append(names, r.Name)
	}
	for _, list := range subsets(names) {
		p := plan(t, "MIRROR_REGIONS="+strings.Join(list, ",")+" MIRROR_URL_TEMPLATE=https://{region}.example"+distribution)
		for _, client := range clients {
			want, reason := "default upstream", DefaultMirror
			first := ""
			switch {
			case client.Partition != "aws" || !client.Located:
			case slices.Contains(list, client.Name):
				first, reason = client.Name, AWSRegion
			default:
				first, reason = oracle(list, client.Point, ""), NearestRegion
			}
			if first != "" {
				want = first + " " + want
			}
			r := aws(client.Name)
			d := p.Decide(&r)
			if got := spell(p, &d); got != want || d.Reason != reason {
				t.Fatalf("client in %s, mirrors in %v: %q with reason %s, want %q with reason %s", client.Name, list, got, d.Reason, want, reason)
			}
			if first == "" {
				continue
			}
			if got, want := next(p, &r, &d), oracle(list, client.Point, first); got != want {
				t.Fatalf("client in %s, mirrors in %v without %s: failover to %q, want %q", client.Name, list, first, got, want)
			}
		}
	}
}

// next returns the region of the failover mirror, "" if there is none.
func next(p *Planner, r *Request, d *Decision) string {
	if i := p.Next(r, d); i >= 0 {
		return p.config.Mirrors[i].Region
	}
	return ""
}

// TestNext has failovers that would differ with the distance from another place.
func TestNext(t *testing.T) {
	t.Parallel()
	const four = " MIRROR_REGIONS=us-east-1,us-west-2,eu-west-1,ap-northeast-1 MIRROR_URL_TEMPLATE=https://mirror-{region}.example"
	for _, tt := range []struct {
		name, env string
		request   Request
		first     string
		reason    Reason
		next      string
	}{
		{"own", four + distribution, aws("us-west-2"), "us-west-2", AWSRegion, "us-east-1"},
		{"own-function-elsewhere", four + " AWS_REGION=ap-northeast-1", aws("us-west-2", at(tokyo)), "us-west-2", AWSRegion, "us-east-1"},
		// By distance from the failed mirror in Tokyo it would be Oregon.
		{"nearest", four + distribution, aws("ap-south-1"), "ap-northeast-1", NearestRegion, "eu-west-1"},
		{"nearest-function-elsewhere", four + " AWS_REGION=us-west-2", aws("me-central-1", at(tokyo)), "eu-west-1", NearestRegion, "ap-northeast-1"},
		// By distance from the client in Sydney it would be Tokyo.
		{"rule", four + distribution + " MIRROR_FOR=ap-southeast-2:eu-west-1", aws("ap-southeast-2"), "eu-west-1", MirrorRule, "us-east-1"},
		{"rule-other-partition", four + distribution + " MIRROR_FOR=cn-north-1:us-west-2", aws("cn-north-1"), "us-west-2", MirrorRule, "us-east-1"},
		{"viewer", four + " AWS_REGION=eu-west-1", from("", "", at(regions.Point{Latitude: 20, Longitude: 75})), "ap-northeast-1", ViewerPosition, "eu-west-1"},
		{"function-own", four + " AWS_REGION=us-west-2", from("", ""), "us-west-2", FunctionRegion, "us-east-1"},
		{"function-nearest", four + " AWS_REGION=ap-south-1", from("", ""), "ap-northeast-1", FunctionRegion, "eu-west-1"},
		{"function-nearest-china", four + " AWS_REGION=ap-south-1", aws("cn-north-1"), "ap-northeast-1", FunctionRegion, "eu-west-1"},
		{"only-one", " MIRROR_REGIONS=eu-west-1 MIRROR_URL_TEMPLATE=https://{region}.example", aws("us-west-2"), "eu-west-1", NearestRegion, ""},
		{"only-one-viewer", " MIRROR_REGIONS=eu-west-1 MIRROR_URL_TEMPLATE=https://{region}.example", from("", "", at(tokyo)), "eu-west-1", ViewerPosition, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := plan(t, tt.env)
			d := p.Decide(&tt.request)
			first, _, _ := strings.Cut(spell(p, &d), " ")
			if first != tt.first || d.Reason != tt.reason {
				t.Fatalf("first %s with reason %s, want %s with reason %s", first, d.Reason, tt.first, tt.reason)
			}
			if got := next(p, &tt.request, &d); got != tt.next {
				t.Errorf("failover to %q, want %q", got, tt.next)
			}
		})
	}
}
