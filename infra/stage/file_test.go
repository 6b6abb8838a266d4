package stage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(path, []byte(`{"app": "x", "context": {"stages": `+string(stages(t, `{}`))+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Read(path, "test"); err != nil || s.Name != "test" {
		t.Errorf("Read: %v, %v", s, err)
	}
	if _, err := Read(path, "other"); err == nil || !strings.Contains(err.Error(), `there is no stage "other"; the stages are test`) {
		t.Errorf("Read of a stage that is not there: %v", err)
	}
	if _, err := Read(path+"x", "test"); err == nil {
		t.Error("Read of a file that is not there: no error")
	}
}
