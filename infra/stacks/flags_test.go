package stacks

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestFeatureFlags tests that cdk.json has every feature flag whose recommended value is
// not the default, as the CDK's templates for new apps have: otherwise each command of
// the CDK prints how many are not configured. Run "cdk flags --unstable=flags" after an
// update of the CDK.
func TestFeatureFlags(t *testing.T) {
	c := synthesized(t)
	text, err := os.ReadFile(filepath.Join(c.dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	type flag struct {
		RecommendedValue, UserValue any
		UnconfiguredBehavesLike     struct{ V2 any }
	}
	var manifest struct {
		Artifacts map[string]struct {
			Type       string
			Properties struct{ Flags map[string]flag }
		}
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	flags := 0
	for _, artifact := range manifest.Artifacts {
		if artifact.Type != "cdk:feature-flag-report" {
			continue
		}
		for name, f := range artifact.Properties.Flags {
			flags++
			unset := f.UnconfiguredBehavesLike.V2
			if unset == nil {
				unset = false
			}
			if f.UserValue == nil && fmt.Sprint(f.RecommendedValue) != fmt.Sprint(unset) {
				t.Errorf("cdk.json does not set %q, recommended is %v", name, f.RecommendedValue)
			}
		}
	}
	if flags == 0 {
		t.Error("the synthesized app has no report of feature flags")
	}
}
