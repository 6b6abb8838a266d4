package main

import "slices"

// report is what -json prints.
type report struct {
	Rows []row `json:"rows"`
	// Start is what the function does before its first event.
	Start []step `json:"start,omitempty"`
}

// row compares two values. Less is better, except for bytes a second.
type row struct {
	What    string  `json:"what"`
	Against string  `json:"against"`
	Unit    unit    `json:"unit"`
	Ours    float64 `json:"ours"`
	Other   float64 `json:"other"`
	// Ratio is the median of the rounds' ratios of ours to the other; 0 if the
	// other is 0.
	Ratio    float64 `json:"ratio"`
	RatioMin float64 `json:"ratioMin"`
	RatioMax float64 `json:"ratioMax"`
	Rounds   int     `json:"rounds"`
	// Budget is for Ratio or for Ours; at most one is set.
	Budget budget `json:"budget,omitzero"`
	// Over is set if the value is over its budget.
	Over bool `json:"over"`
}

type budget struct {
	Ratio *float64 `json:"ratio,omitempty"`
	Ours  *float64 `json:"ours,omitempty"`
}

func ratioOf(v float64) budget { return budget{Ratio: &v} }
func atMost(v float64) budget  { return budget{Ours: &v} }

// unit is the unit of a value.
type unit string

const (
	ns          unit = "ns"
	bytesOf     unit = "bytes"
	allocations unit = "allocations"
	countOf     unit = "count"
	// bytesPerSecond is the unit of which more is better.
	bytesPerSecond unit = "bytes/s"
)

// step is work between the start of the process and the first event.
type step struct {
	What        string  `json:"what"`
	Time        float64 `json:"ns"`
	Bytes       int     `json:"bytes"`
	Allocations int     `json:"allocations"`
}

// compare adds a row for two sides that took turns.
func (r *report) compare(what, against string, u unit, ours, other []float64, b budget) {
	x := row{What: what, Against: against, Unit: u, Ours: median(ours), Other: median(other), Rounds: len(ours), Budget: b}
	var ratios []float64
	for i := range ours {
		if other[i] != 0 {
			ratios = append(ratios, ours[i]/other[i])
		}
	}
	if len(ratios) > 0 {
		x.Ratio, x.RatioMin, x.RatioMax = median(ratios), slices.Min(ratios), slices.Max(ratios)
	}
	if u == bytesPerSecond {
		x.Over = b.Ratio != nil && x.Ratio < *b.Ratio
	} else {
		x.Over = b.Ratio != nil && x.Ratio > *b.Ratio || b.Ours != nil && x.Ours > *b.Ours
	}
	r.Rows = append(r.Rows, x)
}
