package mirror

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"time"
)

// A registry or a bucket that cannot be reached is reported within five seconds,
// while the command still retries.
func TestOutage(t *testing.T) {
	t.Parallel()
	s := start(t, "outage", "outage")
	const unreachable = "127.0.0.1:1"
	for _, tt := range []struct {
		name, env, source string
	}{
		{"registry", "", unreachable},
		{"bucket", "AWS_ENDPOINT_URL_S3=http://" + unreachable, s.source},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd, _, _ := child(t, []string{tt.env}, "plan", "-source", tt.source, "-bucket", "outage")
			cmd.Stderr = nil
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stderr).ReadString('\n')
			took := time.Since(begin)
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
			cmd.Wait()
			if err != nil || !strings.HasPrefix(line, "archeio mirror plan: cannot reach "+unreachable+": ") || took > 5*time.Second {
				t.Errorf("%q after %s, error %v", line, took, err)
			}
		})
	}
}
