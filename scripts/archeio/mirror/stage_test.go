package mirror

import (
	"strings"
	"testing"

	"archeio/infra/stage"
)

// TestWarnOfStage tests that a copy to the mirror of a stage without its state is warned of.
func TestWarnOfStage(t *testing.T) {
	t.Parallel()
	const file, bucket, state = "../../../cdk.json", "archeio-smallest-123456789012-eu-central-1-an", "s3://archeio-smallest-state-123456789012-eu-central-1-an"
	for _, tt := range []struct {
		name, file, bucket, state string
		warns                     bool
	}{
		{"no-state", file, bucket, "", true},
		{"region", file, bucket + "@eu-central-1", "folder", true},
		{"state", file, bucket, state + "@eu-central-1", false},
		{"other-bucket", file, bucket + "-other", "", false},
		{"no-file", "missing.json", bucket, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			o := options{buckets: []string{"another", tt.bucket}, state: tt.state}
			o.warnOfStage(&out, "copy", tt.file)
			want := ""
			if tt.warns {
				want = `copy: bucket "` + bucket + `" is a mirror of stage "smallest": without its state, withdrawn blobs are copied again: pass -stage smallest, or -state ` + state + "@eu-central-1\n"
			}
			if got := out.String(); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// TestMayRelay tests of which stages a withdrawal invalidates manifests at the edge.
func TestMayRelay(t *testing.T) {
	t.Parallel()
	all, err := stage.Load([]byte(`{
		"relays": {"account": "123456789012", "mirrors": ["eu-west-1"], "redirectors": ["eu-west-1"], "upstream": {"endpoint": "https://ghcr.io", "access": "token"}},
		"redirects": {"account": "123456789012", "mirrors": ["eu-west-1"], "redirectors": ["eu-west-1"], "upstream": {"endpoint": "https://a.example"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if got, want := (&stageFlag{read: s}).mayRelay(), s.Name == "relays"; got != want {
			t.Errorf("stage %q: %v, want %v", s.Name, got, want)
		}
	}
	if !(&stageFlag{}).mayRelay() {
		t.Error("without a stage: false, want true")
	}
}
