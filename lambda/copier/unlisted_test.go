package copier

import (
	"errors"
	"fmt"
	"testing"

	"archeio/lambda/registry"
)

// TestUnlisted tests that what is too much for a list is counted, and that prune refuses a
// malformed manifest that is not listed.
func TestUnlisted(t *testing.T) {
	t.Parallel()
	const more = 10
	o := Options{}
	o.fill()
	w := newWalk(o)
	w.plan.Manifests = 1
	for range maxListed + more {
		w.fail("app", "app:v1", "", fmt.Errorf("manifest: %w", registry.ErrAbsent))
	}
	if err := complete(w.plan); err != nil {
		t.Fatal(err)
	}
	w.fail("app", "app:v2", "", fmt.Errorf("manifest: %w", registry.ErrMalformed))
	if len(w.plan.Absent) != maxListed || w.plan.Unlisted != (Unlisted{Absent: more + 1}) {
		t.Errorf("%d listed, %+v unlisted", len(w.plan.Absent), w.plan.Unlisted)
	}
	if err := complete(w.plan); !errors.Is(err, registry.ErrMalformed) {
		t.Errorf("error %v, want %v", err, registry.ErrMalformed)
	}
}
