package capacity

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"archeio/scripts/archeio/cli"
)

// Result is everything that is modelled for one load.
type Result struct {
	Preset  string             `json:"preset"`
	Assumed map[string]float64 `json:"assumed"` // inputs by flag
	// Places are the regions of the mirrors, if they are known.
	Places []string `json:"places,omitempty"`
	// Measured are the inputs that were taken from a report of a period.
	Measured     []string   `json:"measured,omitempty"`
	MeasuredFrom *time.Time `json:"measuredFrom,omitempty"`
	MeasuredTo   *time.Time `json:"measuredTo,omitempty"`
	Quantities   Quantities `json:"quantities"`
	Bill         []Line     `json:"bill"`
	Total        float64    `json:"total"`
	// TotalBase and ListingBase are Total and Listing with all regions priced as
	// us-east-1.
	TotalBase     float64 `json:"totalAtUsEast1"`
	Listing       float64 `json:"listing"` // of Total
	ListingBase   float64 `json:"listingAtUsEast1"`
	UpstreamAlone float64 `json:"upstreamAlone"`
	Saved         float64 `json:"saved"`
	Filling       float64 `json:"fillingOnce"`
	Quotas        []Quota `json:"quotas"`
}

// Evaluate returns the result for a load, with free units subtracted if free is true.
func Evaluate(preset string, l Load, free bool) Result {
	q := Model(l)
	r := Result{
		Preset: preset, Places: l.Places, Assumed: map[string]float64{}, Quantities: q, Bill: Bill(l, q, free, true),
		UpstreamAlone: UpstreamAlone(l, q), Filling: FillingOnce(l), Quotas: Quotas(l, q),
	}
	for _, in := range l.inputs() {
		r.Assumed[in.name] = *in.value
	}
	base := Bill(l, q, free, false)
	r.Total, r.TotalBase = Total(r.Bill, ""), Total(base, "")
	r.Listing, r.ListingBase = Listing(r.Bill), Listing(base)
	r.Saved = r.UpstreamAlone - r.Total
	return r
}

type priceList struct {
	PricesDate string   `json:"pricesDate"`
	Prices     []*Price `json:"prices"`
}

func writeJSON(out io.Writer, results []Result) error {
	return cli.JSON(out, struct {
		priceList
		Registries []Result `json:"registries"`
	}{priceList{PricesDate, Prices}, results})
}

const notes = `A GB is 10^9 bytes; prices are per GiB of 2^30 bytes. Loads and hit rates are
assumptions unless they are marked as measured. Not included: log storage, DNS,
checks at a signature upstream, CloudFront's flat-rate plans, discounts. Quotas are
AWS's defaults; a new account may have lower ones for Lambda. All blobs of a bucket
have one prefix: S3 partitions it automatically, but gradually, and returns 503
until then.
`

// writeText writes the results next to each other.
func writeText(out io.Writer, results []Result, free bool) error {
	t := table{results: results}
	count := func(label string, value func(Quantities) float64) {
		t.row(label, func(r Result) string { return si(value(r.Quantities), "") })
	}
	t.row("ASSUMPTIONS (see -h)", func(r Result) string { return r.Preset })
	for _, in := range new(Load).inputs() {
		t.row("  -"+in.name, func(r Result) string {
			if slices.Contains(r.Measured, in.name) {
				return "measured " + plain(r.Assumed[in.name])
			}
			return plain(r.Assumed[in.name])
		})
	}
	t.section("PER MONTH")
	count("  client requests", func(q Quantities) float64 { return q.Pings + q.Manifests + q.Blobs })
	count("  requests to CloudFront", func(q Quantities) float64 { return q.Edge })
	count("  requests to load balancers", func(q Quantities) float64 { return q.Balancer })
	count("  invocations", func(q Quantities) float64 { return q.Invocations })
	count("  GiB-seconds", func(q Quantities) float64 { return q.GBSeconds })
	count("  existence lookups", func(q Quantities) float64 { return q.Lookups })
	count("  existence checks by HEAD", func(q Quantities) float64 { return q.Checks })
	count("  mirror health checks, at most", func(q Quantities) float64 { return q.HealthChecks })
	if t.some(func(r Result) float64 { return r.Quantities.Relaying.Requests }) {
		t.section("AT THE UPSTREAM, PER MONTH")
		count("  relayed requests", func(q Quantities) float64 { return q.Relaying.Requests })
		count("  requests for tokens, at most", func(q Quantities) float64 { return q.Relaying.Tokens })
		count("  requests of clients without this stage", func(q Quantities) float64 { return q.Relaying.Direct })
	}
	t.section("TO FILL THE MIRRORS, PER MONTH")
	count("  pages listed, primary", func(q Quantities) float64 { return q.Filling.PrimaryPages })
	count("  pages listed, replicas", func(q Quantities) float64 { return q.Filling.ReplicaPages })
	count("  state requests", func(q Quantities) float64 {
		return q.Filling.PlannerReads + q.Filling.PlannerWrites + q.Filling.WorkerReads
	})
	count("  queue requests", func(q Quantities) float64 { return q.Filling.Queue })
	count("  invocations", func(q Quantities) float64 { return q.Filling.Invocations })
	count("  GiB-seconds", func(q Quantities) float64 { return q.Filling.GBSeconds })
	t.row("  bytes of listings between regions", func(r Result) string { return si(r.Quantities.Filling.PageBytes, "B") })
	t.row("  bytes of indexes between regions", func(r Result) string { return si(r.Quantities.Filling.IndexBytes, "B") })
	t.section("BYTES PER MONTH, BY PATH")
	for i, path := range results[0].Quantities.Paths {
		if t.some(func(r Result) float64 { return r.Quantities.Paths[i].Bytes }) {
			t.row("  "+path.Name, func(r Result) string { return si(r.Quantities.Paths[i].Bytes, "B") })
		}
	}
	unconfirmed := t.bill()
	t.section("QUOTAS AT PEAK")
	for i, quota := range results[0].Quotas {
		t.row(fmt.Sprintf("  %s (%s)", quota.Name, plain(quota.Limit)), func(r Result) string { return r.Quotas[i].String() })
	}
	t.writeTo(out)
	fmt.Fprintf(out, "\nList prices of %s (see -prices). ", PricesDate)
	if free {
		fmt.Fprintln(out, "AWS's monthly free units are subtracted.")
	} else {
		fmt.Fprintln(out, "AWS's monthly free units are not subtracted (see -free-tier).")
	}
	if unconfirmed {
		fmt.Fprintln(out, "* unconfirmed price, not read from a price list")
	}
	writeUnpriced(out, results)
	for _, r := range results[:1] {
		if r.MeasuredFrom != nil {
			fmt.Fprintf(out, "Measured from %s to %s, extrapolated to a month.\n", r.MeasuredFrom.UTC().Format(time.DateTime), r.MeasuredTo.UTC().Format(time.DateTime))
		}
	}
	_, err := fmt.Fprint(out, notes)
	return err
}

// writeUnpriced writes which regional prices are those of us-east-1 because no other is
// known.
func writeUnpriced(out io.Writer, results []Result) {
	var regions []string
	for _, r := range results {
		if r.Places == nil {
			fmt.Fprintf(out, "%s: all mirrors are priced as %s, because their regions are not known (see -stage).\n", r.Preset, baseRegion)
		}
		regions = append(regions, r.Places...)
	}
	if len(regions) == 0 {
		return
	}
	fmt.Fprintf(out, "Priced as %s: Lambda, SQS, CloudWatch, KMS, WAF and load balancers everywhere", baseRegion)
	seen := map[*Regional]bool{}
	for _, p := range Prices {
		if p.Regional == nil || seen[p.Regional] {
			continue
		}
		seen[p.Regional] = true
		if some := p.unpriced(regions); len(some) > 0 {
			fmt.Fprintf(out, ";\n  %s in %s", p.Name, strings.Join(some, ", "))
		}
	}
	fmt.Fprintln(out, ".")
}

// bill adds the rows of the bills, and reports whether a price is unconfirmed.
func (t *table) bill() (unconfirmed bool) {
	t.section("DOLLARS PER MONTH")
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
	t.row("  total", func(r Result) string { return dollars(r.Total) })
	t.row("  total, all regions priced as us-east-1", func(r Result) string { return dollars(r.TotalBase) })
	t.row("  of it, listings and indexes", func(r Result) string { return dollars(r.Listing) })
	t.row("  the same, all regions priced as us-east-1", func(r Result) string { return dollars(r.ListingBase) })
	t.row("  the same from the upstream alone", func(r Result) string { return dollars(r.UpstreamAlone) })
	t.row("  saving", func(r Result) string { return dollars(r.Saved) })
	t.row("  once, to fill the mirrors", func(r Result) string { return dollars(r.Filling) })
	return unconfirmed
}

// String returns what is needed and the load at which the quota is reached.
func (q Quota) String() string {
	switch {
	case q.Need == 0:
		return "0"
	case q.Exceeded:
		return fmt.Sprintf("%s, EXCEEDED above %s pulls", si(q.Need, ""), si(q.Pulls, ""))
	}
	return fmt.Sprintf("%s, reached at %s pulls", si(q.Need, ""), si(q.Pulls, ""))
}

func writePrices(out io.Writer) error {
	fmt.Fprintf(out, "List prices of %s in US dollars\n", PricesDate)
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
		if p.Regional != nil {
			fmt.Fprint(out, "  in other regions, first tier:")
			for _, region := range slices.Sorted(maps.Keys(p.Regional.Dollars)) {
				fmt.Fprintf(out, " %s %s", region, strconv.FormatFloat(p.Regional.Dollars[region], 'f', -1, 64))
			}
			fmt.Fprintf(out, "\n    %s; all others as %s\n", p.Regional.Seen, baseRegion)
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
