package redirect

import (
	"context"
	"testing"

	"archeio/lambda/blobs"
)

// constant is an origin that always returns the same result.
type constant blobs.Answer

func (c constant) Has(context.Context, *blobs.Limit, string) blobs.Answer { return blobs.Answer(c) }

// benchmarks are requests of each way through the handler.
var benchmarks = []struct {
	name        string
	env         env
	origin      blobs.Answer
	place, path string
	reason      string
	allocations float64 // at most: one for the limit of the checks, one for each URL or its parts
}{
	{"regional-mirror", nil, present, "AWS eu-west-3", blobOf + digest, "aws-region", 2},
	{"default-mirror", nil, present, "", blobOf + digest, "default-mirror", 2},
	{"default-mirror-on-the-same-host", sameHost, present, "", blobOf + digest, "default-mirror", 2},
	{"next-mirror", env{"FAILOVER_BUDGET": "1000000"}, unknown, "AWS eu-west-3", blobOf + digest, "mirror-unavailable", 3},
	{"no-mirror-has-it", nil, absent, "AWS eu-west-3", blobOf + digest, "mirror-absent", 3},
	{"upstream", nil, absent, "", "/v2/pause/manifests/" + digest, "manifest", 3},
	{"upstream-checked", env{"SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example"}, present, "", "/v2/pause/manifests/" + digest, "manifest", 3},
	{"signature-upstream", env{"SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example"}, absent, "", "/v2/pause/manifests/" + digest, "signature", 3},
	{"tags", nil, absent, "", "/v2/pause/tags/list", "tags", 3},
	// A stage that relays; the others pay nothing for it.
	{"relayed-stage-mirror", tokenEnv, present, "AWS eu-west-3", blobOf + digest, "aws-region", 2},
	{"relayed-manifest", tokenEnv, absent, "", "/v2/pause/manifests/" + digest, "manifest", 4},
}

func eachBenchmark(tb testing.TB, run func(name string, h *Handler, r Request)) {
	for _, bb := range benchmarks {
		c := load(tb, bb.env)
		o := (&script{}).origins(c)
		for i := range o.Mirrors {
			o.Mirrors[i] = constant(bb.origin)
		}
		o.Default, o.Upstream = constant(bb.origin), constant(bb.origin)
		if c.Relays() {
			o.Relay = fullUpstream{}
		}
		h := New(c, o, nil, nil)
		r := Request{Method: "GET", Path: bb.path, Client: client(tb, bb.place), ViewerHost: "registry.example.com"}
		if got := h.Handle(tb.Context(), r); got.Reason != bb.reason {
			tb.Fatalf("%s: reason %s, want %s", bb.name, got.Reason, bb.reason)
		}
		run(bb.name, h, r)
	}
}

func TestAllocations(t *testing.T) {
	i := 0
	eachBenchmark(t, func(name string, h *Handler, r Request) {
		want := benchmarks[i].allocations
		i++
		if n := testing.AllocsPerRun(100, func() { h.Handle(t.Context(), r) }); n > want {
			t.Errorf("%s: %v allocations, want at most %v", name, n, want)
		}
	})
}

func BenchmarkHandle(b *testing.B) {
	eachBenchmark(b, func(name string, h *Handler, r Request) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			ctx := b.Context()
			for b.Loop() {
				h.Handle(ctx, r)
			}
		})
	})
}
