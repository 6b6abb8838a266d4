package copier

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestTruncatedListing tests that the listing of blobs, of the state and of versions is
// complete only if the server has said so.
func TestTruncatedListing(t *testing.T) {
	t.Parallel()
	_, blob := noise(1, 10)
	const no, yes = "<IsTruncated>false</IsTruncated>", "<IsTruncated>true</IsTruncated>"
	token := func(s string) string { return "<NextContinuationToken>" + s + "</NextContinuationToken>" }
	key := "<Contents><Key>containers/images/" + blob.Digest + "</Key><Size>10</Size></Contents>"
	for _, tt := range []struct {
		name  string
		pages []string // the last one is repeated
		blobs int      // negative for an error
	}{
		{"empty", []string{no}, 0},
		{"one-page", []string{key + no}, 1},
		{"page-without-keys", []string{yes + token("a"), yes + token("b"), key + no}, 1},
		{"token-repeated", []string{yes + token("a")}, -1},
		{"token-missing", []string{yes}, -1},
		{"token-missing-after-keys", []string{key + yes}, -1},
		{"same-page-again", []string{key + yes + token("a")}, -1},
		{"complete-or-not", []string{key}, -1},
		{"nothing", []string{""}, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := func() wire {
				requests := 0
				return func(r *http.Request) (*http.Response, error) {
					if requests++; requests > 10 {
						return nil, fmt.Errorf("%d requests", requests)
					}
					return respond(r, http.StatusOK, nil, "<ListBucketResult>"+tt.pages[min(requests, len(tt.pages))-1]+"</ListBucketResult>")
				}
			}
			b := newMemory().bucket("primary", "us-east-1")
			check := func(what string, n int, err error) {
				t.Helper()
				if tt.blobs < 0 && (err == nil || !strings.Contains(err.Error(), "listing: the response ")) || tt.blobs >= 0 && (err != nil || n != tt.blobs) {
					t.Errorf("%s: %d, error %v; want %d", what, n, err, tt.blobs)
				}
			}
			held, err := through(b, server()).List(t.Context())
			check("blobs", len(held), err)
			names, err := StateBucket{Client: through(b, server()).client, Name: b.Name}.Names(t.Context(), "")
			check("state", len(names), err)
		})
	}
	for name, end := range map[string]string{"truncated": yes, "complete-or-not": ""} {
		b := through(newMemory().bucket("primary", "us-east-1"), wire(func(r *http.Request) (*http.Response, error) {
			return respond(r, http.StatusOK, nil, "<ListVersionsResult>"+end+"</ListVersionsResult>")
		}))
		if n, err := b.Remove(t.Context(), blob.Digest); err == nil {
			t.Errorf("versions, %s: removed %d without an error", name, n)
		}
	}
}
