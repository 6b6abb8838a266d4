package compile

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"archeio/ranges"
)

// Summary is what a table holds. It has the names of its JSON.
type Summary struct {
	// Date is [ranges.Table.Date].
	Date time.Time `json:"date,omitzero"`
	// Issued is [ranges.Table.Issued].
	Issued  time.Time      `json:"issued,omitzero"`
	Bytes   int            `json:"bytes"`
	Clouds  []CloudSummary `json:"clouds"`
	Regions []Region       `json:"regions"`
}

// CloudSummary is a cloud in a table.
type CloudSummary struct {
	Cloud ranges.Cloud `json:"cloud"`
	Coverage
	Regions int `json:"regions"`
}

// Region is a region in a table. Ranges counts runs of adjacent addresses, which
// may be fewer than the published prefixes; 0 if longer prefixes of other regions
// cover all of them.
type Region struct {
	Cloud  ranges.Cloud `json:"cloud"`
	Region string       `json:"region"`
	Ranges int          `json:"ranges"`
	Size
}

// Summarize returns what a table holds, ordered by cloud, then region.
func Summarize(t ranges.Table) Summary {
	s := Summary{Date: t.Date(), Issued: t.Issued(), Bytes: len(t.Bytes()), Clouds: []CloudSummary{}, Regions: []Region{}}
	at := map[ranges.Place]int{}
	regions := map[ranges.Cloud]int{}
	for _, p := range t.Places() {
		at[p] = len(s.Regions)
		regions[p.Cloud]++
		s.Regions = append(s.Regions, Region{Cloud: p.Cloud, Region: p.Region})
	}
	for x := range t.All() {
		r := &s.Regions[at[x.Place]]
		r.Ranges++
		r.add(x.First, x.Last)
	}
	covered := coverage(t)
	for _, cloud := range ranges.Clouds {
		if c, ok := covered[cloud]; ok {
			s.Clouds = append(s.Clouds, CloudSummary{cloud, c, regions[cloud]})
		}
	}
	return s
}

// Text returns the summary for a reader. Ages are relative to now.
func (s Summary) Text(now time.Time) string {
	var out strings.Builder
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLOUD\tDOCUMENT\tPUBLISHED (UTC)\tAGE\tREGIONS\tPREFIXES\tIPv4 ADDRESSES\tIPv6 /64s")
	for _, c := range s.Clouds {
		published, age := "unknown", "unknown"
		if !c.Date.IsZero() {
			published, age = c.Date.Format(time.DateTime), plural(int(now.Sub(c.Date)/(24*time.Hour)), "day", "days")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", c.Cloud, c.Version, published, age, c.Regions,
			count(float64(c.Prefixes)), count(c.IPv4), count(c.IPv6))
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "CLOUD\tREGION\tRANGES\tIPv4 ADDRESSES\tIPv6 /64s")
	for _, r := range s.Regions {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", r.Cloud, r.Region, r.Ranges, count(r.IPv4), count(r.IPv6))
	}
	t.Flush()
	if !s.Issued.IsZero() {
		fmt.Fprintf(&out, "\nissued %s UTC\n", s.Issued.Format(time.DateTime))
	}
	return out.String()
}
