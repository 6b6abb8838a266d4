package main

import (
	"context"
	"io"
	"runtime"
	"slices"
)

// bench is what the measurements share.
type bench struct {
	root, dir string // the repository, and a place for files
	short     bool
	rounds    int // 0: each measurement's own number
	log       io.Writer
	report    report
}

// pick answers the full or the short form of a number.
func (b *bench) pick(full, short int) int {
	if b.short {
		return short
	}
	return full
}

// side is one of those that are compared. It does its work once through, and
// answers what one unit of it took, in nanoseconds or whatever is compared.
type side func(context.Context) (float64, error)

// interleave lets the sides take turns, and answers the values of each, one a
// round: the mean of so many turns. A first round does not count.
func (b *bench) interleave(ctx context.Context, rounds, turns int, sides ...side) ([][]float64, error) {
	if b.rounds > 0 {
		rounds = b.rounds
	}
	first := -1
	if b.short {
		first, rounds, turns = 0, 1, 1
	}
	values := make([][]float64, len(sides))
	for round := first; round < rounds; round++ {
		sums := make([]float64, len(sides))
		for range turns {
			for i, run := range sides {
				if err := context.Cause(ctx); err != nil {
					return nil, err
				}
				runtime.GC() // nobody cleans up behind the one before
				v, err := run(ctx)
				if err != nil {
					return nil, err
				}
				sums[i] += v
			}
		}
		for i := range sides {
			if round >= 0 {
				values[i] = append(values[i], sums[i]/float64(turns))
			}
		}
	}
	return values, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
