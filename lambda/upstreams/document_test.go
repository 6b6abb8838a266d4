package upstreams

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestDocument tests that the operations guide has the table of known registries.
func TestDocument(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../.github/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	code := func(hosts []string) string {
		if len(hosts) == 0 {
			return ""
		}
		return "`" + strings.Join(hosts, "`, `") + "`"
	}
	var want strings.Builder
	want.WriteString("| upstream | access | tokens from | blobs from | tags cached | limits |\n|---|---|---|---|---|---|\n")
	for _, r := range Known {
		access, age := string(r.Access), strings.TrimSuffix(r.TagMaxAge.Truncate(time.Second).String(), "0s")
		if r.Access == Login {
			access, age = "none: it requires credentials of every client", ""
		}
		tokens := ""
		if r.Access == Token {
			tokens = cmp.Or(code(r.TokenHosts), "itself")
		}
		fmt.Fprintf(&want, "| %s: `%s` | %s | %s | %s | %s | %s |\n", r.Name, r.Endpoint, access, tokens, code(r.BlobHosts), age, r.Limits)
	}
	if !strings.Contains(string(page), want.String()) {
		t.Errorf("operations.md does not have this table of upstreams:\n%s", want.String())
	}
}
