//go:build race

package stacks

import "testing"

func TestTemplates(t *testing.T) {
	t.Skip("the CDK does not work with the race detector: run go test ./infra/... without -race to test the templates")
}
