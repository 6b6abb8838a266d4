package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"archeio/lambda/index"
	"archeio/scripts/lab/system"
)

// contradictedIndex is a nearest mirror that does not have what the index lists.
type contradictedIndex struct {
	// covered are the regions of the mirrors that the index is true of.
	covered []string
	// status is that of the mirror for every object.
	status int
	// everywhere is set if the bucket of the default mirror is as empty.
	everywhere bool
	// before is set if the mirror is so before the first request; else it has all
	// blobs until then.
	before bool
	// reason is that of downloads that do not fail.
	reason string
}

var (
	closedBucket  = contradictedIndex{covered: system.Regions, status: http.StatusForbidden, reason: "default-mirror"}
	emptiedBucket = contradictedIndex{covered: system.Regions, status: http.StatusNotFound, everywhere: true, reason: "mirror-absent"}
	newRegion     = contradictedIndex{covered: system.Regions, status: http.StatusNotFound, before: true, reason: "default-mirror"}
	notCovered    = contradictedIndex{covered: system.Regions[1:], status: http.StatusForbidden, before: true, reason: "default-mirror"}
)

const (
	// indexedProcesses is how many processes of the function have the index.
	indexedProcesses = 2
	// afterwards is for how long no download may fail any more.
	afterwards = 2 * time.Second
)

// run counts the downloads that fail because the function trusts the index: none if
// that does not cover the mirror, else only those until each process has checked the
// mirror.
func (x contradictedIndex) run(f *faultTest, ctx context.Context) (string, error) {
	// The index is loaded once, so that only checks of the mirror can show the fault.
	t, err := f.indexedTestbedOf(ctx, indexedProcesses, map[string]string{"MIRROR_INDEX_REFRESH": "1m"})
	if err != nil {
		return "", err
	}
	defer t.stop()
	data, err := buildIndexOf(time.Now(), x.covered, t.blobs)
	if err != nil {
		return "", err
	}
	t.index.Store(data)
	if x.before {
		x.inject(t)
	}
	if err := t.loadIndex(ctx, indexedProcesses); err != nil {
		return "", err
	}
	if !x.before {
		if err := t.warmUp(ctx, 3*len(t.blobs)); err != nil {
			return "", err
		}
	}
	bound := healthInterval + checkTimeout
	began := time.Now()
	if !x.before {
		x.inject(t)
	}
	s := t.watchFor(ctx, 10*time.Millisecond, began, bound+slack+afterwards)
	failedFor := s.failedFor(began)
	observed := fmt.Sprintf("%d of %d downloads failed, in the first %s (bound %s, %d processes); then %s",
		s.failed, s.failed+s.ok, seconds(failedFor), seconds(bound), indexedProcesses, counted(s.reasons))
	switch covers := len(x.covered) == len(system.Regions); {
	case failedFor > bound+slack:
		err = fmt.Errorf("downloads failed for %s: %v", failedFor, s.err)
	case !covers && s.failed > 0:
		err = fmt.Errorf("%d downloads failed although the index does not cover the mirror: %v", s.failed, s.err)
	case covers && s.failed == 0:
		err = fmt.Errorf("no download failed, so the index was not used")
	case s.reasons[x.reason]+s.reasons["mirror-unavailable"] != s.ok || s.reasons[x.reason] < s.ok*9/10:
		err = fmt.Errorf("reasons are %s, want %s", counted(s.reasons), x.reason)
	}
	return observed, err
}

// inject makes the mirror, and the bucket of the default one if everywhere is set, serve
// no blob. The bucket of the default mirror keeps the index.
func (x contradictedIndex) inject(t *indexedTestbed) {
	t.near.injectStatus(x.status)
	if x.everywhere {
		serve := *t.bucket.fault.Load()
		t.bucket.inject(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/"+index.Name) {
				serve(w, r)
				return
			}
			w.WriteHeader(x.status)
		})
	}
}
