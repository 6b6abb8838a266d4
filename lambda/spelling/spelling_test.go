package spelling

import (
	"slices"
	"strings"
	"testing"
)

func TestSuggest(t *testing.T) {
	t.Parallel()
	regions := []string{"us-west-1", "us-east-2", "us-east-1", "eu-west-1", "eu-west-3", "eu-central-1"}
	long := strings.Repeat("a", maxLength+1)
	for _, tt := range []struct {
		test, name string
		known      []string
		want       string
	}{
		{"swapped", "us-esat-1", regions, "us-east-1"},
		{"missing-byte", "eu-centrl-1", regions, "eu-central-1"},
		{"extra-byte", "eu-centrall-1", regions, "eu-central-1"},
		{"replaced-byte", "us-west-l", regions, "us-west-1"},
		{"two-edits", "eu-cntrla-1", regions, "eu-central-1"},
		{"three-edits", "eu-cntrla-11", regions, ""},
		{"tie", "us-east-3", regions, "us-east-1"},
		{"tie-other-order", "us-east-3", []string{"us-east-1", "us-east-2"}, "us-east-1"},
		{"closer-one-later", "eu-west-33", []string{"eu-west-1", "eu-west-3"}, "eu-west-3"},
		{"upper-case", "US-EAST-1", regions, "us-east-1"},
		{"known-upper-case", "gpc", []string{"AWS", "GCP"}, "GCP"},
		{"other-word", "mars-north-1", regions, ""},
		{"word", "plam", []string{"plan", "copy"}, "plan"},
		{"short-word", "pln", []string{"plan", "copy"}, "plan"},
		{"short-word-two-edits", "pn", []string{"plan", "copy"}, ""},
		{"one-byte", "p", []string{"q", "pq"}, ""},
		{"empty", "", []string{"a", ""}, ""},
		{"known-empty-name", "ab", []string{""}, ""},
		{"none-known", "plan", nil, ""},
		{"name-too-long", long, []string{long[1:]}, ""},
		{"known-too-long", long[1:], []string{long}, ""},
		// The lower-case letter has a byte more.
		{"longer-in-lower-case", strings.Repeat("Ⱥ", maxLength/2), regions, ""},
		{"known-longer-in-lower-case", "us-esat-1", []string{strings.Repeat("Ⱥ", maxLength/2), "us-east-1"}, "us-east-1"},
		{"longest", long[1:], []string{long[2:]}, long[2:]},
	} {
		t.Run(tt.test, func(t *testing.T) {
			t.Parallel()
			if got := Suggest(tt.name, slices.Values(tt.known)); got != tt.want {
				t.Errorf("Suggest(%q, %q) = %q, want %q", tt.name, tt.known, got, tt.want)
			}
		})
	}
}

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	known := []string{"us-east-1"}
	for name, want := range map[string]string{"us-esat-1": ` (did you mean "us-east-1"?)`, "mars": ""} {
		if got := DidYouMean(name, slices.Values(known)); got != want {
			t.Errorf("DidYouMean(%q) = %q, want %q", name, got, want)
		}
	}
}
