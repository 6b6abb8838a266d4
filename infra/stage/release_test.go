package stage

import (
	"strings"
	"testing"
)

func TestReleaseAfterAnotherStage(t *testing.T) {
	t.Parallel()
	text := `{"first": ` + minimal + `, "second": ` + strings.Replace(minimal, "{", `{"release": {"after": "first"},`, 1) + `}`
	all, err := Load([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := all[1].Release.After; got != "first" {
		t.Errorf("the second stage is deployed after %q, want first", got)
	}
}

func TestOverrideRelease(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, keys, shift string
		want              string // the shift afterwards, empty for no release
		refused           bool
	}{
		{"none", `{"release": {}}`, "none", "skipped ", false},
		{"none-no-release", `{}`, "none", "", false},
		{"at-once", `{"release": {"after": ""}}`, "AllAtOnce", "AllAtOnce", false},
		{"no-release", `{}`, "AllAtOnce", "", false},
		{"unknown", `{"release": {}}`, "fast", "Canary10Percent5Minutes", true},
		{"unknown-no-release", `{}`, "fast", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := load(t, tt.keys)
			err := s.OverrideRelease(tt.shift)
			got := ""
			if s.Release != nil {
				got = s.Release.Shift
			}
			if s.Release != nil && s.Release.Skipped {
				got = "skipped " + s.Release.After
			}
			if got != tt.want || (err != nil) != tt.refused {
				t.Errorf("shift %q, error %v; want %q", got, err, tt.want)
			}
			if tt.refused && !strings.Contains(err.Error(), `release="fast": unknown traffic shift: want none or one of Canary10Percent5Minutes`) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// The environment of the rollout hook is larger than the redirector's.
func TestLongestEnvironmentWithRelease(t *testing.T) {
	t.Parallel()
	const address = "https://example.com/"
	with := func(n int, release string) error {
		_, err := Load(stages(t, `{"infoURL": "`+address+strings.Repeat("x", n)+`"`+release+`}`))
		return err
	}
	n := 0
	for with(n+100, "") == nil {
		n += 100
	}
	if err := with(n-hookEnvironment, `, "release": {}`); err != nil {
		t.Errorf("an environment with room for the hook: %v", err)
	}
	const canary = `, "release": {}, "canary": {"image": "app@sha256:a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3"}`
	refused(t, with(n-hookEnvironment, canary), "the environment of the function in eu-central-1 has")
	refused(t, with(n, `, "release": {}`), "the environment of the function in eu-central-1 has", "Lambda allows 4096")
}
