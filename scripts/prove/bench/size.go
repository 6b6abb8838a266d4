package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"

	"github.com/gaissmai/bart"

	"archeio/lambda/build"
	"archeio/ranges"
	"archeio/scripts/prove/bench/peers"
)

// measureSize compares the size of the binary with that of the empty function, and
// the range table with the memory of a table that is built at start.
func measureSize(ctx context.Context, b *bench) error {
	ours, other, err := b.functions(ctx)
	if err != nil {
		return err
	}
	size := func(file string) []float64 {
		info, e := os.Stat(file)
		if e != nil {
			err = e
			return []float64{0}
		}
		return []float64{float64(info.Size())}
	}
	b.report.compare("binary, stripped", "empty function", bytesOf, size(ours), size(other), atMost(build.RedirectorBudget))
	b.report.compare("range table", "bart Table, on the heap", bytesOf, size(filepath.Join(b.root, "ranges", "table.bin")), []float64{bartMemory()}, budget{})
	return err
}

// bartMemory returns the bytes on the heap of a bart.Table with the prefixes of the
// range table.
func bartMemory() float64 {
	all := peers.Blocks()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table := new(bart.Table[ranges.Place])
	for _, one := range all {
		for _, x := range one {
			table.Insert(x.Prefix, x.Place)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(table)
	runtime.KeepAlive(all)
	return float64(after.HeapAlloc) - float64(before.HeapAlloc)
}
