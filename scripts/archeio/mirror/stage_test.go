package mirror

import (
	"os"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
	"archeio/scripts/archeio/cli"
)

// TestStagesWithOtherState tests that a bucket is known as the mirror of a stage unless the
// state is that of the stage.
func TestStagesWithOtherState(t *testing.T) {
	t.Parallel()
	const file, bucket, state = "../../../cdk.json", "archeio-smallest-123456789012-eu-central-1-an", "s3://archeio-smallest-state-123456789012-eu-central-1-an"
	for _, tt := range []struct {
		name, file, bucket, state string
		other                     bool
	}{
		{"no-state", file, bucket, "", true},
		{"region", file, bucket + "@eu-central-1", "folder", true},
		{"state", file, bucket, state + "@eu-central-1", false},
		{"state-without-region", file, bucket, state + "/", false},
		{"state-with-longer-name", file, bucket, state + "-2@eu-central-1", true},
		{"other-bucket", file, bucket + "-other", "", false},
		{"no-file", "missing.json", bucket, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options{buckets: []string{"another", tt.bucket}, state: tt.state, otherState: "blobs return"}
			var want []string
			if tt.other {
				want = []string{`bucket "` + bucket + `" is a mirror of stage "smallest": without its state, blobs return: pass -stage smallest, or -state ` + state + "@eu-central-1"}
			}
			if got := o.stagesWithOtherState(tt.file); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// TestOtherStateOfStage tests which commands only warn of a state that is not that of the
// stage, because what they change would not hold. No server is there, so that a command
// that is not refused fails later.
func TestOtherStateOfStage(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "x")
	}
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	file, err := os.ReadFile("../../../cdk.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("cdk.json", file, 0o600); err != nil {
		t.Fatal(err)
	}
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, tt := range []struct {
		name, args string
		refused    bool
		want       string
	}{
		{"withdraw", "withdraw " + digest, true, "the stage copies the blob again"},
		{"withdraw-later", "withdraw -later " + digest, true, "the stage copies the blob again"},
		{"undo", "withdraw -undo " + digest, true, "the blob stays withdrawn there"},
		{"list", "withdraw -list", false, "this is not the list of the stage"},
		{"prune-delete", "prune -source 127.0.0.1:1 -delete", true, "the stage may add deleted blobs to its blob index"},
		{"dry-prune", "prune -source 127.0.0.1:1", false, "the stage may add deleted blobs to its blob index"},
		{"copy", "copy -source 127.0.0.1:1", false, "withdrawn blobs are copied again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append(strings.Fields(tt.args), "-bucket", "archeio-smallest-123456789012-eu-central-1-an", "-state", "state")
			code, stdout, stderr := run(t, args...)
			want := `bucket "archeio-smallest-123456789012-eu-central-1-an" is a mirror of stage "smallest": without its state, ` + tt.want + ": pass -stage smallest, or -state s3://"
			if !tt.refused {
				want = "warning: " + want
			}
			if !strings.Contains(stderr, ": "+want) || (code == cli.ExitUsage) != tt.refused {
				t.Errorf("exit code %d, output %q and %q, want %q", code, stdout, stderr, want)
			}
			if _, err := os.Stat("state/withdrawn"); err == nil {
				t.Error("the digest was listed")
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
