package rude

import (
	"context"
	"io"
	"net/http"
	"slices"
	"testing"

	"archeio/scripts/lab/system"
)

// TestPush copies all odd content to a real registry, and reads back what it
// accepted.
func TestPush(t *testing.T) {
	t.Parallel()
	base, stop, err := system.StartOlareg(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	want := []string{"artifact-manifest"}
	content := Odd(1)
	accepted, refused, err := Push(context.Background(), base, content)
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	for tag := range content.Repositories[appName].Tags {
		if _, has := accepted.Repositories[appName].Tags[tag]; !has {
			missing = append(missing, tag)
		}
	}
	if slices.Sort(missing); !slices.Equal(missing, want) || len(accepted.Repositories) != len(content.Repositories) {
		t.Errorf("refused %q in %d of %d repositories, want %q: %v", missing, len(accepted.Repositories), len(content.Repositories), want, refused)
	}
	for path, status := range map[string]int{
		"/manifests/" + accepted.Repositories[appName].Tags["sparse-index"]: http.StatusOK,
		"/manifests/" + missingChild(t, accepted):                           http.StatusNotFound,
		"/blobs/" + digestOf(nil):                                           http.StatusOK,
	} {
		resp, body, err := ask(t, http.DefaultClient, http.MethodGet, base+"/v2/"+appName+path, http.Header{"Accept": {ociIndex, ociManifest}})
		if err != nil || resp.StatusCode != status {
			t.Errorf("%s: status %d, %v, %.200s; want %d", path, resp.StatusCode, err, body, status)
		}
	}
	if w := accepted.Want(Run{Referrers: true}); len(w.Outcomes) != 1 || w.Outcomes[0] != Full || len(w.Blobs) < 110 {
		t.Errorf("oracle: outcomes %v, %d blobs", w.Outcomes, len(w.Blobs))
	}
}

// missingChild is the digest of the child that the sparse index does not have.
func missingChild(t *testing.T, c *Content) string {
	t.Helper()
	for digest := range Odd(1).Repositories[appName].deleted.Manifests {
		if _, has := c.Repositories[appName].Manifests[digest]; !has {
			return digest
		}
	}
	t.Fatal("no child is missing")
	return ""
}
