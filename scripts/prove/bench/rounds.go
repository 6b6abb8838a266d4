package main

import (
	"context"
	"runtime"
	"slices"

	"archeio/scripts/prove/cli"
)

// bench is what the measurements have in common.
type bench struct {
	root     string // of the repository
	short    bool
	rounds   int // 0 for the default of each measurement
	progress *cli.Progress
	report   report
}

// pick returns the full or the short value of a parameter.
func (b *bench) pick(full, short int) int {
	if b.short {
		return short
	}
	return full
}

// side is one of those that are compared. It does its work once and returns what
// one unit took, in nanoseconds or whatever else is compared.
type side func(context.Context) (float64, error)

// interleave lets the sides take turns. It returns the values of each side, one a
// round: the mean of its turns. A warm-up round before the first does not count, unless
// there is only one.
func (b *bench) interleave(ctx context.Context, rounds, turns int, sides ...side) ([][]float64, error) {
	rounds = b.pick(rounds, max(rounds/3, min(rounds, 3)))
	if b.rounds > 0 {
		rounds = b.rounds
	}
	values := make([][]float64, len(sides))
	first := -1
	if rounds == 1 {
		first = 0
	}
	for round := first; round < rounds; round++ {
		means, err := takeTurns(ctx, turns, sides)
		if err != nil {
			return nil, err
		}
		if round < 0 {
			continue
		}
		for i, mean := range means {
			values[i] = append(values[i], mean)
		}
	}
	return values, nil
}

// takeTurns returns the mean of each side's turns.
func takeTurns(ctx context.Context, turns int, sides []side) ([]float64, error) {
	means := make([]float64, len(sides))
	for range turns {
		for i, run := range sides {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			runtime.GC() // so that no side collects the garbage of another one
			v, err := run(ctx)
			if err != nil {
				return nil, err
			}
			means[i] += v / float64(turns)
		}
	}
	return means, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
