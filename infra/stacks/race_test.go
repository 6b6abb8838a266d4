//go:build race

package stacks

import "testing"

func TestTemplates(t *testing.T) {
	t.Skip("the race detector and the CDK do not go together: run go test ./infra/... without -race for the tests of the templates")
}
