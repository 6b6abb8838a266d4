package capacity

import "slices"

// Regional is the price of the first tier in regions other than us-east-1, which is
// the region of the price list. Later tiers are assumed to be cheaper by the same
// ratio as in us-east-1.
type Regional struct {
	// Dollars is by region. A region without an entry is priced as us-east-1.
	Dollars map[string]float64 `json:"dollars"`
	// Seen is where and when the prices were read.
	Seen string `json:"seen"`
}

// baseRegion is the region of the price list.
const baseRegion = "us-east-1"

var (
	// Data between regions is charged by the region that sends it.
	// https://aws.amazon.com/about-aws/global-infrastructure/global-network/faqs/
	// Between us-east-1 and us-east-2 it costs half.
	regionalTransfer = &Regional{Seen: "github.com/skyplane-project/skyplane, skyplane/data/aws_transfer_costs.csv, collected from AWS's price list 2022", Dollars: map[string]float64{
		"us-east-2": 0.02, "us-west-1": 0.02, "us-west-2": 0.02, "ca-central-1": 0.02, "sa-east-1": 0.138,
		"eu-central-1": 0.02, "eu-north-1": 0.02, "eu-south-1": 0.02, "eu-west-1": 0.02, "eu-west-2": 0.02, "eu-west-3": 0.02,
		"af-south-1": 0.147, "me-south-1": 0.1105, "ap-east-1": 0.09, "ap-south-1": 0.086,
		"ap-northeast-1": 0.09, "ap-northeast-2": 0.08, "ap-northeast-3": 0.09,
		"ap-southeast-1": 0.09, "ap-southeast-2": 0.098, "ap-southeast-3": 0.10,
	}}
	regionalInternet = &Regional{Seen: regionalTransfer.Seen, Dollars: map[string]float64{
		"us-east-2": 0.09, "us-west-1": 0.09, "us-west-2": 0.09, "ca-central-1": 0.09, "sa-east-1": 0.15,
		"eu-central-1": 0.09, "eu-north-1": 0.09, "eu-south-1": 0.09, "eu-west-1": 0.09, "eu-west-2": 0.09, "eu-west-3": 0.09,
		"af-south-1": 0.154, "me-south-1": 0.117, "ap-east-1": 0.12, "ap-south-1": 0.1093,
		"ap-northeast-1": 0.114, "ap-northeast-2": 0.126, "ap-northeast-3": 0.114,
		"ap-southeast-1": 0.12, "ap-southeast-2": 0.114, "ap-southeast-3": 0.132,
	}}
	regionalStorage = &Regional{Seen: "AWS Price List API, quoted 2026-07", Dollars: map[string]float64{
		"us-east-2": 0.023, "us-west-1": 0.026, "us-west-2": 0.023, "ca-central-1": 0.025, "sa-east-1": 0.0405,
		"eu-central-1": 0.0245, "eu-north-1": 0.023, "eu-west-1": 0.023, "eu-west-2": 0.024, "eu-west-3": 0.024,
		"af-south-1": 0.0274, "me-south-1": 0.025, "ap-south-1": 0.025, "ap-northeast-1": 0.025, "ap-northeast-2": 0.025,
		"ap-southeast-1": 0.025, "ap-southeast-2": 0.025, "ap-southeast-3": 0.025,
	}}
	regionalWrites = &Regional{Seen: "AWS bulk price list, quoted 2026-05", Dollars: map[string]float64{
		"us-east-2": 0.005, "us-west-1": 0.0055, "us-west-2": 0.005, "ca-central-1": 0.0055, "ca-west-1": 0.0055,
		"mx-central-1": 0.00525, "sa-east-1": 0.007,
		"eu-central-1": 0.0054, "eu-central-2": 0.0054, "eu-north-1": 0.005, "eu-south-1": 0.0053, "eu-south-2": 0.0053,
		"eu-west-1": 0.005, "eu-west-2": 0.0053, "eu-west-3": 0.0053,
		"af-south-1": 0.006, "il-central-1": 0.0055, "me-central-1": 0.0055, "me-south-1": 0.0055,
		"ap-east-1": 0.005, "ap-east-2": 0.00423, "ap-south-1": 0.005, "ap-south-2": 0.005,
		"ap-northeast-1": 0.0047, "ap-northeast-2": 0.0045, "ap-northeast-3": 0.0047,
		"ap-southeast-1": 0.005, "ap-southeast-2": 0.0055, "ap-southeast-3": 0.005, "ap-southeast-4": 0.0055,
		"ap-southeast-5": 0.0045, "ap-southeast-6": 0.005775, "ap-southeast-7": 0.0045,
	}}
	regionalReads = &Regional{Seen: "quoted 2017; that of sa-east-1 AWS price list, quoted 2026-09", Dollars: map[string]float64{
		"us-west-1": 0.00044, "us-west-2": 0.0004, "eu-central-1": 0.00043, "eu-west-1": 0.0004, "sa-east-1": 0.00056,
		"ap-northeast-1": 0.00037, "ap-northeast-2": 0.00035, "ap-south-1": 0.0004, "ap-southeast-1": 0.0004, "ap-southeast-2": 0.00044,
	}}
)

// In returns the ratio of the price in a region to that in the list, and whether it
// is known; if it is not, it is 1.
func (p *Price) In(region string) (ratio float64, known bool) {
	if region == "" || region == baseRegion {
		return 1, true
	}
	if p.Regional == nil {
		return 1, false
	}
	dollars, known := p.Regional.Dollars[region]
	if !known {
		return 1, false
	}
	return dollars / p.Tiers[0].Dollars, true
}

// share is a region and its part of what a price is paid for. Parts have a sum of 1.
type share struct {
	region string
	part   float64
}

// mean returns the mean of the ratios of the regions' prices to the list.
func (p *Price) mean(shares []share) (ratio float64) {
	if len(shares) == 0 {
		return 1
	}
	for _, s := range shares {
		r, _ := p.In(s.region)
		ratio += s.part * r
	}
	return ratio
}

// equally returns equal shares of regions.
func equally(regions []string) (out []share) {
	for _, r := range regions {
		out = append(out, share{r, 1 / float64(len(regions))})
	}
	return out
}

// unpriced returns the regions whose price is not known, sorted.
func (p *Price) unpriced(regions []string) (out []string) {
	for _, r := range regions {
		if _, known := p.In(r); !known && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	slices.Sort(out)
	return out
}
