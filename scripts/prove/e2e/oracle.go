package main

import (
	"context"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/redirect"
)

// newOracle returns what determines the responses of a function with this
// environment: its own handler, without an entry point, Runtime API, network, cache or index. If
// nearFails is set, the mirror in us-east-1 is unavailable.
func newOracle(env map[string]string, sets *blobSets, nearFails bool) (*redirect.Handler, error) {
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		return nil, err
	}
	origins := redirect.Origins{Default: contentsOf(sets.everywhere, sets.indexed, sets.byDefault)}
	for _, m := range c.Mirrors {
		own := map[string][]string{"us-east-1": sets.near, "eu-central-1": sets.far}[m.Region]
		if m.Region == "us-east-1" && nearFails {
			origins.Mirrors = append(origins.Mirrors, unavailable{})
			continue
		}
		origins.Mirrors = append(origins.Mirrors, contentsOf(sets.everywhere, sets.indexed, own))
	}
	return redirect.New(c, origins, nil, nil), nil
}

// contents is a mirror that has these digests.
type contents map[string]bool

func contentsOf(sets ...[]string) contents {
	c := contents{}
	for _, digests := range sets {
		for _, d := range digests {
			c[d] = true
		}
	}
	return c
}

func (c contents) Has(_ context.Context, _ *blobs.Limit, digest string) blobs.Answer {
	if c[digest] {
		return blobs.Present
	}
	return blobs.Absent
}

// unavailable is a mirror that cannot be checked.
type unavailable struct{}

func (unavailable) Has(context.Context, *blobs.Limit, string) blobs.Answer { return blobs.Unknown }
