package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"archeio/lambda/index"
	"archeio/scripts/lab/system"
	"archeio/scripts/prove/cli"
)

const (
	// largeIndex is how many blobs the index lists.
	largeIndex = 1_000_000
	// tooLittle is less memory than loading that index again and again needs,
	// in bytes; smallest is the smallest memory of a Lambda function.
	tooLittle, smallest = 14 << 20, 128 << 20
)

// memoryLimit gives the function less memory than it needs for a large index,
// and then as much as the smallest Lambda function has. As on Lambda, a process
// that needs more is killed.
func (f *faultTest) memoryLimit(ctx context.Context) (string, error) {
	data, err := buildLargeIndex(largeIndex)
	if err != nil {
		return "", err
	}
	dir, remove, err := tempDir("memory")
	if err != nil {
		return "", err
	}
	defer remove()
	group, err := newMemoryGroup(filepath.Base(dir), tooLittle)
	if err != nil {
		return "", fmt.Errorf("%w: cannot limit memory: %v", cli.ErrSkipped, err)
	}
	defer group.remove()
	wrapper, err := group.wrap(dir, f.function)
	if err != nil {
		return "", err
	}
	limited := f.withFunction(wrapper)
	t, err := limited.indexedTestbed(ctx, time.Hour)
	if err != nil {
		return "", err
	}
	defer t.stop()
	v := limited.supervise(t.testbed)
	defer v.stop()
	t.index.Store(&data)

	s := t.watchFor(ctx, 20*time.Millisecond, time.Now(), 4*time.Second)
	killed := len(v.exits())
	observed := fmt.Sprintf("%d MB: killed %d times, %d of %d requests failed, those in progress", tooLittle>>20, killed, s.failed, s.failed+s.ok)
	if killed == 0 || s.failed > killed || s.ok == 0 {
		return observed, fmt.Errorf("%d requests failed, want at most one for each time that the function was killed: %v", s.failed, s.err)
	}

	if err := group.setLimit(smallest); err != nil {
		return observed, err
	}
	after, used := t.untilIndexUsed(ctx, 10*time.Second)
	before := len(v.exits())
	s = t.watchN(ctx, 20*time.Millisecond, 100)
	killed = len(v.exits()) - before
	observed += fmt.Sprintf("; %d MB: the index is used after %s, %d errors in 100, killed %d times", smallest>>20, seconds(after), s.failed, killed)
	if !used || s.failed > 0 || killed > 0 {
		return observed, fmt.Errorf("%d downloads failed (%v), the index is used: %v, killed %d times", s.failed, s.err, used, killed)
	}
	return observed, nil
}

// buildLargeIndex returns an index of n blobs, with those of onlyInIndex.
func buildLargeIndex(n int) ([]byte, error) {
	return index.Encode(time.Now(), system.Regions, func(yield func(index.Digest) bool) {
		for i := range n - onlyInIndexBlobs {
			var d index.Digest
			binary.BigEndian.PutUint64(d[:], uint64(i+1)*0x9e3779b97f4a7c15) // all over the key space
			if !yield(d) {
				return
			}
		}
		for i := range int64(onlyInIndexBlobs) {
			if d, _ := index.ParseDigest(onlyInIndex(i)); !yield(d) {
				return
			}
		}
	})
}

// memoryGroup is a control group with a memory limit.
type memoryGroup struct{ dir, limitFile string }

// newMemoryGroup makes a group of cgroups version 1 or 2, whichever there is.
func newMemoryGroup(name string, bytes int) (g memoryGroup, err error) {
	for parent, file := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		if _, e := os.Stat(filepath.Join(parent, "cgroup.procs")); e != nil {
			err = e
			continue
		}
		dir := filepath.Join(parent, name)
		if err = os.Mkdir(dir, 0o700); err != nil {
			continue
		}
		g = memoryGroup{dir, filepath.Join(dir, file)}
		if err = g.setLimit(bytes); err == nil {
			return g, nil
		}
		g.remove()
	}
	return g, err
}

func (g memoryGroup) setLimit(bytes int) error {
	return os.WriteFile(g.limitFile, []byte(strconv.Itoa(bytes)), 0o600)
}

func (g memoryGroup) remove() { os.Remove(g.dir) }

// wrap writes a program that runs a binary in the group.
func (g memoryGroup) wrap(dir, binary string) (string, error) {
	wrapper := filepath.Join(dir, "bootstrap")
	script := fmt.Sprintf("#!/bin/sh\necho $$ >'%s/cgroup.procs' && exec '%s'\n", g.dir, binary)
	return wrapper, os.WriteFile(wrapper, []byte(script), 0o700)
}
