package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"archeio/scripts/prove/cli"
)

// largestIndex is the maximum number of blobs in an index.
const largestIndex = 8_000_000

// dataOfLargestIndex builds it once for both kinds of entry points.
var dataOfLargestIndex = sync.OnceValues(func() ([]byte, error) { return buildLargeIndex(largestIndex) })

// largestIndexLoads are functions that get the largest index again and again.
var largestIndexLoads = []struct {
	memory int // in MB
	used   bool
	peak   int // at most, in kB of resident memory
}{
	{256, true, 200 << 10}, // the default: the index and the next one fit together
	{128, true, 128 << 10}, // the smallest Lambda function: one is dropped before the next one is loaded
	{90, false, 40 << 10},  // none fits, so it is refused by its header
}

// largestIndex loads the largest index in functions of several sizes with the memory
// limit that the templates set.
func (f *faultTest) largestIndex(ctx context.Context) (string, error) {
	data, err := dataOfLargestIndex()
	if err != nil {
		return "", err
	}
	var observed []string
	for _, x := range largestIndexLoads {
		used, peak, err := f.loadIn(ctx, x.memory, &data)
		if errors.Is(err, cli.ErrSkipped) {
			return "", err
		}
		observed = append(observed, fmt.Sprintf("%d MB: used %v, at most %.0f MB resident", x.memory, used, mb(peak)))
		if err == nil && (used != x.used || peak > x.peak) {
			err = fmt.Errorf("the index is used: %v, at most %.0f MB are resident: want %v, %.0f MB", used, mb(peak), x.used, mb(x.peak))
		}
		if err != nil {
			return strings.Join(observed, "; "), fmt.Errorf("with %d MB: %w", x.memory, err)
		}
	}
	return strings.Join(observed, "; "), nil
}

// loadIn serves an index to a function with some MB of memory until it has been
// requested four times. It reports whether it is used, and the peak of the resident
// memory in kB. It is an error if the function exits or a download fails.
func (f *faultTest) loadIn(ctx context.Context, memory int, data *[]byte) (used bool, peak int, err error) {
	dir, remove, err := tempDir("memory")
	if err != nil {
		return false, 0, err
	}
	defer remove()
	group, err := newMemoryGroup(filepath.Base(dir), memory<<20)
	if err != nil {
		return false, 0, fmt.Errorf("%w: cannot limit memory: %v", cli.ErrSkipped, err)
	}
	defer group.remove()
	wrapper, err := group.wrap(dir, f.function)
	if err != nil {
		return false, 0, err
	}
	t, err := f.withFunction(wrapper).indexedTestbedOf(ctx, 1, map[string]string{
		"MIRROR_INDEX_REFRESH": indexRefresh.String(), "MIRROR_INDEX_MAX_AGE": "1h",
		// As the templates do, see memoryShare in infra/constructs.
		"GOMEMLIMIT": fmt.Sprintf("%dMiB", memory*85/100),
	})
	if err != nil {
		return false, 0, err
	}
	defer t.stop()
	t.index.Store(data)
	if err := t.loadIndex(ctx, 4); err != nil {
		return false, 0, err
	}
	_, used = t.untilIndexUsed(ctx, 3*time.Second)
	s := t.watchN(ctx, 20*time.Millisecond, 100)
	select {
	case <-t.processes[0].Exited():
		return used, 0, t.processes[0].Err()
	default:
	}
	if s.failed > 0 {
		return used, 0, fmt.Errorf("%d of 100 downloads failed: %v", s.failed, s.err)
	}
	peak, err = peakMemory(t.processes[0].Pid())
	return used, peak, err
}
