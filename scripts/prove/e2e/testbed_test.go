package main

import (
	"io"
	"net/url"
	"testing"

	"archeio/scripts/lab/system"
)

// TestTestbedWithoutFunction: a testbed that cannot start, as after Ctrl-C,
// stops what it has started.
func TestTestbedWithoutFunction(t *testing.T) {
	t.Parallel()
	s := &testSystem{local: &system.System{Env: map[string]string{}}, defaultMirror: new(url.URL), log: io.Discard, function: "no/such/function"}
	if x, err := s.newTestbed(t.Context(), &testImages{single: &testImage{}}, loadBalancer, 1, nil); err == nil || x != nil {
		t.Errorf("testbed %v, error %v", x, err)
	}
}
