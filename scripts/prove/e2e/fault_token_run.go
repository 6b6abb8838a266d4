package main

import (
	"context"
	"fmt"

	"archeio/scripts/prove/cli"
	"archeio/scripts/prove/clients"
)

// crowds are checks with many requests at the same time, allClients those with all clients.
var crowds = []fault{
	{"1,000 requests without a token", tokenCrowd{}.run},
	{"1,000 requests, token server fails", tokenCrowd{fails: true}.run},
}

var allClients = []fault{
	{"clients, token server down", clientsDuring{func(t *testbed) { t.tokens.close() }}.run},
	{"clients, upstream limits requests", clientsDuring{(*testbed).limitContent}.run},
}

// runTokenFaults injects every fault of an upstream that requires a token behind both
// kinds of entry points.
func (s *testSystem) runTokenFaults(ctx context.Context, o *options, images *testImages) ([]tokenResult, []check, error) {
	missing, err := clients.Install(ctx, []string{"crane"}, s.progress)
	if err != nil {
		return nil, nil, err
	}
	for name, err := range missing {
		s.progress.Note("skipped: pulls with %s: %v", name, err)
	}
	results := injectAll(s, ctx, o, images, tokenFaults, concurrentFaults, func(f *faultTest, ctx context.Context, x tokenFault) tokenResult { return x.run(f, ctx) })
	checks := injectAll(s, ctx, o, images, allClients, concurrentFaults, runFault)
	return results, append(checks, injectAll(s, ctx, o, images, crowds, 1, runFault)...), nil
}

func (x tokenFault) String() string { return x.name }

func (r tokenResult) outcome() cli.Result { return r.Result }

// tokenHead is the head of the table of tokenRows.
var tokenHead = []string{"FAULT", "ENTRY POINT", "FIRST REQUEST", "BLOB IN NO MIRROR", "TOKENS", "RESULT", "CRANE", "LATER REQUEST", "TOKENS", "CRANE"}

// tokenResultColumn is the column of the result.
const tokenResultColumn = 5

// tokenLegend explains the table.
const tokenLegend = `FIRST REQUEST is for a tag that was not requested before, LATER REQUEST for a tag that was relayed before the
fault and is no longer cached. TOKENS counts the requests to the token server for it, CRANE is a pull of the tag.
Times are given from half a second. In each row, blobs of a mirror came from there at once, and what had been
relayed before did too: a manifest by digest, and the address of a blob that no mirror has.`

// row returns the row of the table.
func (r *tokenResult) row() []string {
	count := func(response *relayed, n int64) string {
		if response == nil {
			return "-"
		}
		return fmt.Sprint(n)
	}
	return []string{
		r.Fault, r.EntryPoint, r.Cold.cell(), r.Blob.cell(), count(r.Cold, r.Tokens), r.Result.Word(), r.Pull.String(),
		r.Warm.cell(), count(r.Warm, r.WarmTokens), r.WarmPull.String(),
	}
}
