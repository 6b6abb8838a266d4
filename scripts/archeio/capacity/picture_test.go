package capacity

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archeio/lambda/build"
	"archeio/scripts/archeio/cli"
)

// The picture in the documentation is what the command draws.
func TestCommittedPicture(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile(filepath.Join(root, ".github", "cost.svg"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cost.svg")
	output(t, "-o", file)
	drawn, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(drawn, committed) {
		t.Error(".github/cost.svg is out of date: run go run ./scripts/archeio capacity -o .github/cost.svg")
	}
	if len(drawn) > 20_000 {
		t.Errorf("the picture has %d bytes, want at most 20000", len(drawn))
	}
}

// texts returns the character data of an SVG document, and fails if it is not
// well-formed.
func texts(t *testing.T, picture []byte) string {
	t.Helper()
	var all strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(picture)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all.String()
		}
		if err != nil {
			t.Fatalf("%v in %s", err, picture)
		}
		if text, ok := token.(xml.CharData); ok {
			all.Write(text)
		}
	}
}

func TestDraw(t *testing.T) {
	t.Parallel()
	expensive, idle := small, large
	expensive.Balancers = 100
	idle.Pulls, idle.StorageGB, idle.GrowthGB, idle.Redirectors, idle.Mirrors = 0, 0, 0, 1, 1
	for _, tt := range []struct {
		name string
		load Load
		want []string
		not  string
	}{
		{"large", large, []string{"10 PB a month for $116,000 instead of $597,000", "400 million pulls", "saves $480,000 (80%)", "CloudFront $85,200", "Lambda and SQS $"}, "ALB"},
		{"small", small, []string{"1.8 TB a month for $6", "20,000 pulls", "saves "}, "ALB"},
		{"no-saving", expensive, []string{"ALB $"}, "saves"},
		{"no-traffic", idle, []string{"0 B a month for $", "instead of $0.00"}, "saves"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			picture := draw(Evaluate(tt.name, tt.load, false))
			text := texts(t, picture)
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in %s", want, text)
				}
			}
			if strings.Contains(text, tt.not) {
				t.Errorf("%q in %s", tt.not, text)
			}
			if s := string(picture); strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
				t.Errorf("a length is not a number in %s", s)
			}
			if again := draw(Evaluate(tt.name, tt.load, false)); !bytes.Equal(again, picture) {
				t.Error("two pictures of one load differ")
			}
		})
	}
}

// Each service has a color in both themes.
func TestServicesHaveColors(t *testing.T) {
	t.Parallel()
	for i, name := range services() {
		if class := ".s" + string(rune('0'+i)) + "{"; strings.Count(pictureStyle, class) != 2 {
			t.Errorf("%s has no class %s} in one of the themes", name, class)
		}
	}
}

func TestPictureToMissingFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "missing", "cost.svg")
	if code, stdout, stderr := run(t, "-o", file); code != cli.ExitProblem || stdout != "" || !strings.Contains(stderr, "writing the picture: open "+file) {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}
