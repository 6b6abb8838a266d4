package route

import (
	"testing"

	"archeio/ranges"
)

func TestFirst(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, env      string
		place          ranges.Place
		noDistribution bool
		want           string
	}{
		{"own-region", both, ranges.Place{Cloud: ranges.AWS, Region: "us-east-1"}, false, "mirror us-east-1"},
		{"no-coordinates", both, ranges.Place{Cloud: ranges.AWS, Region: "me-west-1"}, false, "default mirror"},
		{"unknown", both, ranges.Place{}, false, "default mirror"},
		{"cloud", both, ranges.Place{Cloud: ranges.GCP, Region: "europe-west9"}, false, "upstream"},
		{"no-mirrors", "", ranges.Place{Cloud: ranges.AWS, Region: "us-east-1"}, false, "upstream"},
		{"no-distribution", sameHost, ranges.Place{}, true, "upstream"},
		{"distribution", sameHost, ranges.Place{}, false, "default mirror"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := plan(t, tt.env).First(tt.place, tt.noDistribution); got != tt.want {
				t.Errorf("First(%s) = %q, want %q", tt.place, got, tt.want)
			}
		})
	}
}
