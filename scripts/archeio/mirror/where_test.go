package mirror

import (
	"strings"
	"testing"

	"archeio/lambda/config"
	"archeio/scripts/archeio/cli"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestQuestions tests the commands that show where a blob is, what is missing, and what
// is not used.
func TestQuestions(t *testing.T) {
	t.Parallel()
	s := start(t, "questions", "where-primary", "where-replica")
	s.push(t, "one:v1", 1000, 2)
	digest := s.anyBlob()
	both := []string{"-bucket", "where-primary", "-bucket", "where-replica"}
	state := t.TempDir()
	from := append([]string{"-source", s.source, "-state", state}, both...)
	const unused = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	remove := func() {
		if _, err := s.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("where-replica"), Key: aws.String(config.BlobPrefix + digest)}); err != nil {
			t.Fatal(err)
		}
	}
	add := func() {
		if _, err := s.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("where-replica"), Key: aws.String(config.BlobPrefix + unused), Body: strings.NewReader("unused")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		before func()
		args   []string
		code   int
		want   []string
	}{
		{"missing-all", nil, append([]string{"status", "-missing"}, from...), cli.ExitProblem, []string{"\nMISSING ", digest + "  ", "/one:v1  where-primary where-replica\n"}},
		{"where-nowhere", nil, append([]string{"where", digest}, both...), cli.ExitProblem, []string{"where-primary  0 of 1  1        0 B   -\n", "missing from where-replica: " + digest}},
		{"copy", nil, append([]string{"copy"}, from...), cli.ExitDone, []string{"copied 6 blobs"}},
		{"where-digest", nil, append([]string{"where", digest}, both...), cli.ExitDone, []string{"MIRROR         HAS     MISSING  SIZE", "where-replica  1 of 1  0 ", "  20"}},
		{"where-image", nil, append([]string{"where", s.source + "/one:v1"}, both...), cli.ExitDone, []string{"/one:v1: 1 manifest, 3 blobs\n", "where-replica  3 of 3  0 "}},
		{"where-image-json", nil, append([]string{"where", "-json", s.source + "/one:v1"}, both...), cli.ExitDone, []string{`"manifests": 1,`, `"has": 3,`, `"missing": [],`, `"withdrawn": []`}},
		{"where-no-image", nil, append([]string{"where", s.source + "/one:v2"}, both...), cli.ExitProblem, []string{"/one:v2: "}},
		{"where-missing", remove, append([]string{"where", s.source + "/one:v1"}, both...), cli.ExitProblem, []string{"where-primary  3 of 3  0 ", "where-replica  2 of 3  1 ", "missing from where-replica: " + digest + "\n"}},
		{"where-not-checked", nil, []string{"where", digest, "-bucket", "where-primary", "-bucket", "where-nowhere"}, cli.ExitProblem, []string{"where-primary  1 of 1  0 "}},
		{"status-missing", nil, append([]string{"status", "-missing"}, from...), cli.ExitProblem, []string{"/one:v1  where-replica\n"}},
		{"status-missing-json", nil, append([]string{"status", "-missing", "-json"}, from...), cli.ExitProblem, []string{`"missingBlobs": [`, `"digest": "` + digest + `"`, `"mirrors": [`}},
		{"withdraw", nil, append([]string{"withdraw", "-state", state, digest}, both...), cli.ExitDone, []string{"where-replica  0 versions"}},
		{"where-withdrawn", nil, append([]string{"where", "-state", state, digest}, both...), cli.ExitDone, []string{"withdrawn since 20", ": " + digest + "\n"}},
		{"status-missing-nothing", nil, append([]string{"status", "-missing"}, from...), cli.ExitDone, []string{"  yes\n"}},
		{"status-unused", add, append([]string{"status"}, from...), cli.ExitDone, []string{"no manifest refers to 1 blob of 6 B in where-replica\n"}},
		{"prune-first", nil, append([]string{"prune", "-delete"}, from...), cli.ExitDone, []string{"no manifest refers to    ", "for less than 720h         1 blob   6 B\n", "for longer                 0 blobs  0 B\n"}},
		{"prune-json", nil, append([]string{"prune", "-json"}, from...), cli.ExitDone, []string{`"dryRun": true`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.before != nil {
				tt.before()
			}
			code, stdout, stderr := run(t, tt.args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(stdout+stderr, want) {
					t.Errorf("missing %q in\n%s%s", want, stdout, stderr)
				}
			}
		})
	}
}
