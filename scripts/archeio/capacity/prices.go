package capacity

import "math"

// PricesDate is the month in which this table was compiled. Prices are list prices
// in US dollars, without taxes, discounts and commitments; those of regional
// services are for us-east-1, with those of other regions in Price.Regional.
const PricesDate = "2026-11"

// Providers bill a GB of 2^30 bytes, and a TB of 1,024 GB: the price list calls them
// GiB and TiB. Everywhere else a GB is 10^9 bytes, as in a stage and in the report.
const (
	gib = 1 << 30 // bytes
	tib = 1024    // GiB
	gb  = 1e9     // bytes
	mb  = 1e6     // bytes
)

// Tier is the price of the units up to a number of units. UpTo is 0 in the last
// tier.
type Tier struct {
	UpTo    float64 `json:"upTo,omitempty"`
	Dollars float64 `json:"dollars"`
}

// Price is the price of Per units in a month.
type Price struct {
	Service string  `json:"service"`
	Name    string  `json:"name"`
	Unit    string  `json:"unit"`
	Per     float64 `json:"per"`
	Tiers   []Tier  `json:"tiers"`
	// Free is how many units an account gets free each month, over all its use.
	Free float64 `json:"free,omitempty"`
	// Regional has the prices of other regions; nil if they are priced as us-east-1.
	Regional *Regional `json:"regional,omitempty"`
	Source   string    `json:"source"`
	// Seen is where the price was read: in a stored copy of the provider's page or
	// in a page that quotes it. Empty means from memory, so unconfirmed.
	Seen string `json:"seen"`
}

// as returns the same price for another kind of use.
func (p Price) as(name string) Price {
	p.Name = name
	return p
}

// Cost returns the dollars for units in one month, with the free units subtracted if
// free is true.
func (p *Price) Cost(units float64, free bool) float64 {
	dollars := p.list(units)
	if free {
		dollars -= p.list(min(units, p.Free))
	}
	return dollars
}

func (p *Price) list(units float64) float64 {
	dollars, from := 0.0, 0.0
	for _, t := range p.Tiers {
		end := t.UpTo
		if end == 0 {
			end = math.Inf(1)
		}
		if units <= from {
			break
		}
		dollars += (min(units, end) - from) * t.Dollars / p.Per
		from = end
	}
	return dollars
}
