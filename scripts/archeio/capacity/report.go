package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Result is all that is told of one registry.
type Result struct {
	Preset         string             `json:"preset"`
	Assumed        map[string]float64 `json:"assumed"` // by flag
	Quantities     Quantities         `json:"quantities"`
	Bill           []Line             `json:"bill"`
	Total          float64            `json:"total"`
	WithoutMirrors float64            `json:"withoutMirrors"`
	Saved          float64            `json:"saved"`
	Filling        float64            `json:"fillingOnce"`
	Quotas         []Quota            `json:"quotas"`
}

// Evaluate works a load out.
func Evaluate(preset string, l Load, free bool) Result {
	q := Model(l)
	r := Result{
		Preset: preset, Assumed: map[string]float64{}, Quantities: q, Bill: Bill(l, q, free),
		WithoutMirrors: WithoutMirrors(l, q), Filling: Filling(l), Quotas: Quotas(l, q),
	}
	for _, in := range l.inputs() {
		r.Assumed[in.name] = *in.value
	}
	r.Total = Total(r.Bill, "")
	r.Saved = r.WithoutMirrors - r.Total
	return r
}

func writeJSON(out io.Writer, results []Result) error {
	text, err := json.MarshalIndent(struct {
		PricesDate string   `json:"pricesDate"`
		Prices     []*Price `json:"prices"`
		Registries []Result `json:"registries"`
	}{PricesDate, Prices, results}, "", "  ")
	if err != nil {
		return err
	}
	_, err = out.Write(append(text, '\n'))
	return err
}

const notes = `Loads and hit rates are assumed, not measured. Left out: log storage, DNS,
alarms, the firewall, checks at an upstream for signatures, CloudFront's
flat-rate plans, discounts. Quotas are AWS's defaults; a new account may begin
with less of Lambda's. All blobs of a bucket are below one prefix: S3 splits it
by itself but takes its time, and answers 503 until then.
`

// writeText prints the registries side by side.
func writeText(out io.Writer, results []Result, free bool) error {
	t := table{results: results}
	count := func(label string, value func(Quantities) float64) {
		t.row(label, func(r Result) string { return si(value(r.Quantities), "") })
	}
	t.row("ASSUMED (see -h)", func(r Result) string { return r.Preset })
	for _, in := range new(Load).inputs() {
		t.row("  -"+in.name, func(r Result) string { return plain(r.Assumed[in.name]) })
	}
	t.section("A MONTH")
	count("  requests of the front", func(q Quantities) float64 { return q.Pings + q.Manifests + q.Blobs })
	count("  requests at the distribution", func(q Quantities) float64 { return q.Edge })
	count("  requests at load balancers", func(q Quantities) float64 { return q.Balancer })
	count("  invocations", func(q Quantities) float64 { return q.Invocations })
	count("  GB-seconds", func(q Quantities) float64 { return q.GBSeconds })
	count("  existence questions", func(q Quantities) float64 { return q.Questions })
	count("  checks", func(q Quantities) float64 { return q.Checks })
	count("  checks of a mirror's life, at most", func(q Quantities) float64 { return q.LifeChecks })
	t.section("BYTES BY PATH")
	for i, path := range results[0].Quantities.Paths {
		if t.some(func(r Result) float64 { return r.Quantities.Paths[i].Bytes }) {
			t.row("  "+path.Name, func(r Result) string { return si(r.Quantities.Paths[i].Bytes, "B") })
		}
	}
	unconfirmed := t.bill()
	t.section("QUOTAS AT THE PEAK")
	for i, quota := range results[0].Quotas {
		t.row(fmt.Sprintf("  %s: %s", quota.Name, plain(quota.Limit)), func(r Result) string { return r.Quotas[i].String() })
	}
	t.writeTo(out)
	fmt.Fprintf(out, "\nList prices of %s, see -prices; ", PricesDate)
	if free {
		fmt.Fprintln(out, "AWS's monthly free units are counted.")
	} else {
		fmt.Fprintln(out, "AWS's monthly free units are not counted, see -free-tier.")
	}
	if unconfirmed {
		fmt.Fprintln(out, "* unconfirmed: from memory of the price list, to be checked.")
	}
	_, err := fmt.Fprint(out, notes)
	return err
}

// bill adds the dollars by service, and tells whether a price is unconfirmed.
func (t *table) bill() (unconfirmed bool) {
	t.section("DOLLARS A MONTH")
	service := ""
	for i, line := range t.results[0].Bill {
		if line.Service != service {
			service = line.Service
			if t.some(func(r Result) float64 { return Total(r.Bill, service) }) {
				t.row("  "+service, func(r Result) string { return dollars(Total(r.Bill, service)) })
			}
		}
		if !t.some(func(r Result) float64 { return r.Bill[i].Dollars }) {
			continue
		}
		label := "    " + line.Price
		if line.Unconfirmed {
			label += " *"
			unconfirmed = true
		}
		t.row(label, func(r Result) string { return dollars(r.Bill[i].Dollars) })
	}
	t.row("  all of it", func(r Result) string { return dollars(r.Total) })
	t.row("  all from the upstream instead", func(r Result) string { return dollars(r.WithoutMirrors) })
	t.row("  saved", func(r Result) string { return dollars(r.Saved) })
	t.row("  once, to fill the mirrors", func(r Result) string { return dollars(r.Filling) })
	return unconfirmed
}

// String tells what is needed and where the limit is met.
func (q Quota) String() string {
	switch {
	case q.Need == 0:
		return "0"
	case q.Exceeded:
		return fmt.Sprintf("%s, EXCEEDED from %s pulls", si(q.Need, ""), si(q.Pulls, ""))
	}
	return fmt.Sprintf("%s, met at %s pulls", si(q.Need, ""), si(q.Pulls, ""))
}

func writePrices(out io.Writer) error {
	fmt.Fprintf(out, "List prices of %s in dollars\n", PricesDate)
	for _, p := range Prices {
		seen := p.Seen
		if seen == "" {
			seen = "UNCONFIRMED, from memory"
		}
		fmt.Fprintf(out, "\n%s: %s, per %s\n", p.Service, p.Name, strings.TrimPrefix(plain(p.Per)+" "+p.Unit, "1 "))
		for _, t := range p.Tiers {
			fmt.Fprint(out, "  ", strconv.FormatFloat(t.Dollars, 'f', -1, 64))
			if t.UpTo > 0 {
				fmt.Fprintf(out, " up to %s", plain(t.UpTo))
			}
			fmt.Fprintln(out)
		}
		if p.Free > 0 {
			fmt.Fprintf(out, "  %s free with -free-tier\n", plain(p.Free))
		}
		if _, err := fmt.Fprintf(out, "  %s: %s\n", p.Source, seen); err != nil {
			return err
		}
	}
	return nil
}
