package clouds

import (
	"slices"
	"testing"

	"archeio/ranges"
	"archeio/ranges/compile"
)

// The documents of the embedded table give the same ranges again.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	var documents []compile.Document
	for _, p := range compile.Providers {
		kept, ok := compile.Keep(ranges.Embedded(), p.Cloud)
		if !ok {
			t.Fatalf("no document of %s", p.Cloud)
		}
		d, err := p.Parse("document.json", JSON(kept))
		if err != nil {
			t.Fatal(err)
		}
		if p.Cloud != ranges.Azure && !d.Date.Equal(kept.Date) {
			t.Errorf("%s: date %v, want %v", p.Cloud, d.Date, kept.Date)
		}
		documents = append(documents, d)
	}
	table, _, err := compile.Compile(documents)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(slices.Collect(table.All()), slices.Collect(ranges.All())) {
		t.Error("other ranges than those of the embedded table")
	}
}
