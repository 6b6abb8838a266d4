package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// report is all that was measured.
type report struct {
	Rows []row `json:"rows"`
	// Start is what the function does before its first event.
	Start []step `json:"start,omitempty"`
}

// row compares two values. Ratio is ours to the other, so less is better.
type row struct {
	What    string  `json:"what"`
	Against string  `json:"against"`
	Unit    unit    `json:"unit"`
	Ours    float64 `json:"ours"`
	Other   float64 `json:"other"`
	// Ratio is the median of the rounds' ratios; 0 where the other is 0.
	Ratio    float64 `json:"ratio"`
	RatioMin float64 `json:"ratioMin"`
	RatioMax float64 `json:"ratioMax"`
	Rounds   int     `json:"rounds"`
	// Budget is for Ratio or for Ours; at most one is set.
	Budget budget `json:"budget,omitzero"`
	// Over tells that the budget is not kept.
	Over bool `json:"over"`
}

type budget struct {
	Ratio *float64 `json:"ratio,omitempty"`
	Ours  *float64 `json:"ours,omitempty"`
}

func ratioOf(v float64) budget { return budget{Ratio: &v} }
func atMost(v float64) budget  { return budget{Ours: &v} }

// unit is what a value counts.
type unit string

const (
	ns          unit = "ns"
	bytesOf     unit = "bytes"
	allocations unit = "allocations"
)

// step is something that happens between the fork and the first event.
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
	x.Over = b.Ratio != nil && x.Ratio > *b.Ratio || b.Ours != nil && x.Ours > *b.Ours
	r.Rows = append(r.Rows, x)
}

func (r *report) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Rows) > 0 {
		fmt.Fprintln(t, "WHAT\tOURS\tOTHER\t\tRATIO\tMIN–MAX\tBUDGET\t")
	}
	for _, x := range r.Rows {
		ratio, spread := "-", "-"
		if x.Ratio != 0 {
			ratio = number(x.Ratio)
		}
		if x.Rounds > 1 && x.Ratio != 0 {
			spread = number(x.RatioMin) + "–" + number(x.RatioMax)
		}
		limit, mark := "-", "-"
		switch {
		case x.Budget.Ratio != nil:
			limit, mark = fmt.Sprint(*x.Budget.Ratio), "ok"
		case x.Budget.Ours != nil:
			limit, mark = x.Unit.format(*x.Budget.Ours), "ok"
		}
		if x.Over {
			mark = "OVER"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.What, x.Unit.format(x.Ours), x.Unit.format(x.Other), x.Against, ratio, spread, limit, mark)
	}
	if len(r.Start) > 0 {
		fmt.Fprintln(t, "\nWHAT IS DONE AT START\tTIME\tBYTES\tALLOCATIONS")
	}
	for _, s := range r.Start {
		took := "-"
		if s.Time > 0 {
			took = ns.format(s.Time)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\n", s.What, took, s.Bytes, s.Allocations)
	}
	return t.Flush()
}

// number writes a ratio with as many digits as say something.
func number(v float64) string {
	if v < 0.1 {
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func (u unit) format(v float64) string {
	switch u {
	case ns:
		switch {
		case v < 1e3:
			return fmt.Sprintf("%.1f ns", v)
		case v < 1e5:
			return fmt.Sprintf("%.2f µs", v/1e3)
		}
		return fmt.Sprintf("%.2f ms", v/1e6)
	case bytesOf:
		if v < 1e6 {
			return fmt.Sprintf("%.0f kB", v/1e3)
		}
		return fmt.Sprintf("%.2f MB", v/1e6)
	}
	return fmt.Sprintf("%.0f", v)
}
