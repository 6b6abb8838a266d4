package constructs

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
)

// relayingStage returns a stage that relays what the upstream responds with.
func relayingStage(t *testing.T) *stage.Stage {
	t.Helper()
	stages, err := stage.Load([]byte(`{"relaying": {
		"account": "111122223333",
		"mirrors": ["eu-west-1", "us-west-2"],
		"redirectors": ["eu-west-1", "us-west-2"],
		"upstream": {"endpoint": "https://ghcr.io", "path": "example", "access": "token"}
	}}`))
	if err != nil {
		t.Fatal(err)
	}
	return stages[0]
}

// A query without a meaning would be part of the cache key of a relayed response.
func TestViewerRequestQuery(t *testing.T) {
	t.Parallel()
	sent := map[string]edgeValue{
		"n": {"10"}, "last": {"a"}, "next_page": {"x"}, "ns": {"registry.example"},
	}
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	all := strings.Join(slices.Sorted(maps.Keys(sent)), " ")
	for _, tt := range []struct{ name, uri, want string }{
		{"manifest", edgeManifest, ""},
		{"manifest-named-list", "/v2/tags/manifests/list", ""},
		{"blob", "/v2/pause/blobs/" + digest, ""},
		{"page", "/where", all},
		{"ping", "/v2/", ""},
		{"tags", "/v2/a/pause/tags/list", all},
		{"tags-below", "/v2/pause/tags/list/x", ""},
		{"referrers", "/v2/a/pause/referrers/" + digest, all},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for s, want := range map[*stage.Stage]string{relayingStage(t): tt.want, edgeStages(t)[0]: all} {
				r := edgeFrom("DE", tt.uri)
				r.Querystring = maps.Clone(sent)
				out := runAtEdge(t, s, r)[0]
				passed := out.request(t)
				if got := strings.Join(slices.Sorted(maps.Keys(passed.Querystring)), " "); got != want {
					t.Errorf("stage %s: the parameters %q are passed on, want %q", s.Name, got, want)
				}
			}
		})
	}
}

// The upstream is the same for all redirectors, so its 429 and 502 are passed on.
func TestViewerRequestRelayedErrors(t *testing.T) {
	t.Parallel()
	for s, want := range map[*stage.Stage][]int{relayingStage(t): {500, 503, 504}, edgeStages(t)[0]: {429, 500, 502, 503, 504}} {
		out := runAtEdge(t, s, edgeFrom("DE", edgeManifest))[0]
		if got := out.group(t).codes; !slices.Equal(got, want) {
			t.Errorf("stage %s: fails over after %v, want %v", s.Name, got, want)
		}
	}
}
