package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"archeio/lambda/config"
	"archeio/ranges"
	"archeio/scripts/lab/system"
)

// rangesRefresh is RANGES_REFRESH of the testbeds that load a range table.
const rangesRefresh = 200 * time.Millisecond

// invalidRanges: a damaged, truncated, older or future range table in a mirror has no
// effect, and an intact one is used as soon as it is there. No download fails.
func (f *faultTest) invalidRanges(ctx context.Context) (string, error) {
	t, err := f.testbed(ctx, map[string]string{"RANGES_REFRESH": rangesRefresh.String()})
	if err != nil {
		return "", err
	}
	defer t.stop()
	var table atomic.Pointer[[]byte]
	var served atomic.Int64
	for _, m := range t.allMirrors() {
		m.inject(func(w http.ResponseWriter, r *http.Request) {
			data := table.Load()
			if !strings.HasSuffix(r.URL.Path, "/"+config.RangesName) || data == nil {
				m.handler.ServeHTTP(w, r)
				return
			}
			w.Write(*data)
			served.Add(1)
		})
	}
	now := time.Now()
	// The client is in AWS us-east-1; these tables have it in other clouds.
	used, err := clientIn(ranges.Azure, now.Add(-time.Hour))
	if err != nil {
		return "", err
	}
	later, err := clientIn(ranges.GCP, now)
	if err != nil {
		return "", err
	}
	flipped := append([]byte{}, later...)
	flipped[len(flipped)/2] ^= 1
	older, err := clientIn(ranges.GCP, now.Add(-2*time.Hour))
	if err != nil {
		return "", err
	}
	future, err := clientIn(ranges.GCP, now.Add(time.Hour))
	if err != nil {
		return "", err
	}
	var observed []string
	for _, c := range []struct {
		name, reason string
		data         []byte
	}{
		{"truncated", "aws-region", later[:len(later)-1]},
		{"intact", "default-mirror", used},
		{"damaged", "default-mirror", flipped},
		{"older", "default-mirror", older},
		{"1h ahead", "default-mirror", future},
		{"too large", "default-mirror", make([]byte, ranges.MaxSize+1)},
		{"later", "upstream-cloud", later},
	} {
		table.Store(&c.data)
		// When the second request of a load begins, the first has had its effect.
		before, began := served.Load(), time.Now()
		for served.Load() < before+3 {
			if s := t.watchN(ctx, 20*time.Millisecond, 5); s.failed > 0 {
				return strings.Join(observed, "; "), fmt.Errorf("range table %s: %d downloads failed: %v", c.name, s.failed, s.err)
			}
			if time.Since(began) > 20*time.Second {
				return strings.Join(observed, "; "), fmt.Errorf("range table %s: it was not requested", c.name)
			}
		}
		s := t.watchN(ctx, time.Millisecond, 10)
		observed = append(observed, fmt.Sprintf("%s: %s", c.name, counted(s.reasons)))
		if s.failed > 0 || s.reasons[c.reason] != 10 {
			return strings.Join(observed, "; "), fmt.Errorf("range table %s: %d downloads failed (%v), reasons %s, want %s", c.name, s.failed, s.err, counted(s.reasons), c.reason)
		}
	}
	return strings.Join(observed, "; "), nil
}

// clientIn returns a range table that is issued at a time and has the client of a testbed
// in a cloud.
func clientIn(cloud ranges.Cloud, issued time.Time) ([]byte, error) {
	address := system.Address(ranges.AWS, "us-east-1")
	t, err := ranges.Compile(
		[]ranges.Prefix{{Prefix: netip.PrefixFrom(address, address.BitLen()-8).Masked(), Place: ranges.Place{Cloud: cloud, Region: "somewhere"}}},
		[]ranges.Source{{Cloud: cloud, Version: "test", Date: time.Unix(1_700_000_000, 0), Prefixes: 1}})
	return t.Issue(issued).Bytes(), err
}
