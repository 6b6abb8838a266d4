package regions

import (
	"slices"
	"testing"
)

func TestCountries(t *testing.T) {
	t.Parallel()
	all := slices.Collect(Countries())
	if len(all) < 240 || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("%d countries, sorted %v; want at least 240, distinct and sorted", len(all), slices.IsSorted(all))
	}
	for _, code := range all {
		if p, ok := Country(code); !ok || !p.Valid() || len(code) != 2 {
			t.Errorf("Country(%q) = %v, %v, want a valid point", code, p, ok)
		}
	}
	for _, code := range []string{"", "us", "ZZ", "USA"} {
		if p, ok := Country(code); ok {
			t.Errorf("Country(%q) = %v, want false", code, p)
		}
	}
}

// A country is near its region unless a sign is wrong or coordinates are swapped.
func TestCountriesAreNearTheirRegions(t *testing.T) {
	t.Parallel()
	for code, name := range map[string]string{
		"ZA": "af-south-1", "JP": "ap-northeast-1", "IN": "ap-south-1", "SG": "ap-southeast-1", "AU": "ap-southeast-2",
		"ID": "ap-southeast-3", "NZ": "ap-southeast-6", "CA": "ca-central-1", "DE": "eu-central-1", "CH": "eu-central-2",
		"SE": "eu-north-1", "IT": "eu-south-1", "ES": "eu-south-2", "IE": "eu-west-1", "GB": "eu-west-2", "FR": "eu-west-3",
		"IL": "il-central-1", "AE": "me-central-1", "BH": "me-south-1", "MX": "mx-central-1", "BR": "sa-east-1", "US": "us-east-1",
	} {
		r, ok := Find("AWS", name)
		if !ok {
			t.Fatalf("unknown region %s", name)
		}
		p, ok := Country(code)
		if d := Distance(p, r.Point); !ok || d > 1700 {
			t.Errorf("%s is %.0f km from %s, want at most 1700", code, d, name)
		}
	}
}
