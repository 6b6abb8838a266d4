package main

import (
	"io"
	"net/url"
	"testing"

	"archeio/scripts/lab/system"
)

// TestLabWithoutFunction: a lab that does not come up, as at Ctrl-C, ends what
// it has started, and not the program in a panic that leaves the servers behind.
func TestLabWithoutFunction(t *testing.T) {
	w := &world{stack: &system.Stack{Env: map[string]string{}}, bucket: new(url.URL), log: io.Discard, function: "no/such/function"}
	if l, err := w.lab(t.Context(), nil, loadBalancer, 1, nil); err == nil || l != nil {
		t.Errorf("a lab %v, error %v", l, err)
	}
}
