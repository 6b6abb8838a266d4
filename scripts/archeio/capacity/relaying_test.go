package capacity

import "testing"

func TestRelaying(t *testing.T) {
	t.Parallel()
	l := sample
	open := Model(l)
	if open.Relaying != (Relaying{}) {
		t.Errorf("a load that is not relayed has %+v", open.Relaying)
	}
	l.Relay = 100
	q := Model(l)
	cost := func(l Load, q Quantities, service string) float64 { return Total(Bill(l, q, false, false), service) }
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		// Manifests 2000*(0.8*0.75 + 0.2), blobs 5000*0.1 inside the upstream's cloud and
		// 4500*0.1 in no mirror.
		{"requests", q.Relaying.Requests, 2550},
		{"tokens", q.Relaying.Tokens, 2550}, // 2 environments * 10 repositories need more in 730 hours
		{"direct", q.Relaying.Direct, 8000}, // 2000 + 5000 + 1000
		{"bytes", q.Relaying.Bytes, 4.8e6},  // 2000*0.8*3000
		{"balancer-bytes", q.Relaying.BalancerBytes, 1.2e6},
		{"gb-seconds", q.GBSeconds, 162.3},                                    // 69600 + 2550*100 ms, of half a GB
		{"manifests-to-the-internet", q.Paths[ManifestInternet].Bytes, 4.8e6}, // 1600*3000
		{"more-for-lambda", cost(l, q, LambdaDuration.Service) - cost(sample, open, LambdaDuration.Service), 127.5 * LambdaDuration.Tiers[0].Dollars},
	} {
		t.Run(c.name, func(t *testing.T) { near(t, "quantity", c.got, c.want) })
	}
}
