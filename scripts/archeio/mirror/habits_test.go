package mirror

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/config"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/lab/rude"
)

// TestHabits copies from registries with bad habits, and checks the exit code, what is
// copied, and what is called full. The engine is tested with all habits.
func TestHabits(t *testing.T) {
	t.Parallel()
	content := rude.Base(1)
	for i, habits := range [][]string{
		{"google-tags", "sparse-index", "tag-404"},
		{"empty-google"},
		{"empty-prefix"},
		{"catalog-404"},
		{"tags-unreadable-link"},
		{"tls", "token-login", "size-huge"},
		{"token-login", "cut-ranges", "blob-404"},
		{"tags-escape", "errors-escape", "manifest-not-json"},
		{"catalog-token", "tags-token", "redirect-relative"},
		{"429-first", "head-405"},
	} {
		t.Run(strings.Join(habits, "+"), func(t *testing.T) {
			t.Parallel()
			bucket := fmt.Sprintf("habits-%d", i)
			own := start(t, bucket, bucket)
			s, err := rude.New(content, habits...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			want := s.Want(rude.Run{Referrers: true})
			env := rudeEnv(t, s)
			state := t.TempDir()
			args := []string{"-source", s.Source(), "-bucket", bucket, "-state", state}
			cmd, stdout, stderr := child(t, env, append([]string{"copy"}, args...)...)
			exit := code(t, cmd.Run())
			said := stdout.String() + stderr.String()
			good := want.Allows(rude.Full) || want.Allows(rude.Empty)
			bad := want.Allows(rude.Incomplete) || want.Allows(rude.Refused)
			if exit == cli.ExitDone && !good || exit == cli.ExitProblem && !bad || exit != cli.ExitDone && exit != cli.ExitProblem {
				t.Errorf("exit code %d, want %v:\n%s", exit, want.Outcomes, said)
			}
			for digest := range want.Blobs {
				if _, err := own.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String(config.BlobPrefix + digest)}); err != nil {
					t.Errorf("%s was not copied: %v\n%s", digest, err, said)
					break
				}
			}
			if strings.ContainsFunc(said, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' }) {
				t.Errorf("control characters in %q", said)
			}

			cmd, stdout, stderr = child(t, env, append([]string{"status", "-json"}, args...)...)
			exit = code(t, cmd.Run())
			var status statusReport
			if err := json.Unmarshal(stdout.Bytes(), &status); err != nil {
				if want.Allows(rude.Refused) && exit == cli.ExitProblem {
					return
				}
				t.Fatalf("%v in %s%s", err, stdout, stderr)
			}
			outcome := map[string]rude.Outcome{statusFull: rude.Full, statusEmpty: rude.Empty, statusIncomplete: rude.Incomplete}[status.Mirrors[0].Status]
			if !want.Allows(outcome) || (exit == cli.ExitDone) != (outcome == rude.Full || outcome == rude.Empty) {
				t.Errorf("status %s with exit code %d, want %v:\n%s", status.Mirrors[0].Status, exit, want.Outcomes, stdout)
			}
			for _, violation := range s.Violations() {
				t.Errorf("violation: %s", violation)
			}
		})
	}
}

// rudeEnv returns the environment for a registry: its certificate and a login.
func rudeEnv(t *testing.T, s *rude.Server) []string {
	t.Helper()
	dir := t.TempDir()
	docker := "{}"
	if s.NeedsLogin() {
		user, password := s.Credentials()
		docker = fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, s.Host(), user, password)
	}
	for name, text := range map[string][]byte{"config.json": []byte(docker), "certificate.pem": s.Certificate()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"DOCKER_CONFIG=" + dir, "SSL_CERT_FILE=" + filepath.Join(dir, "certificate.pem")}
}
