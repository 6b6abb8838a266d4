package compile

import (
	"fmt"
	"time"
)

// parseOracle reads public_ip_ranges.json. It has the addresses of virtual cloud
// networks and of Oracle's own services, by region and without IPv6. Its timestamp
// is in ISO 8601 without an offset; it is taken as UTC.
// https://docs.oracle.com/iaas/Content/General/Concepts/addressranges.htm
func parseOracle(d *Document, _ string, data []byte) error {
	var in struct {
		Updated string `json:"last_updated_timestamp"`
		Regions []struct {
			Region string `json:"region"`
			CIDRs  []struct {
				CIDR string `json:"cidr"`
			} `json:"cidrs"`
		} `json:"regions"`
	}
	if err := decode(data, &in); err != nil {
		return err
	}
	for _, r := range in.Regions {
		for _, c := range r.CIDRs {
			if err := d.add(c.CIDR, r.Region); err != nil {
				return err
			}
		}
	}
	if in.Updated != "" {
		date, err := time.Parse("2006-01-02T15:04:05", in.Updated)
		if err != nil {
			return fmt.Errorf("last_updated_timestamp %.64q: not a time in ISO 8601", in.Updated)
		}
		d.Date = date.Truncate(time.Second)
	}
	d.Version = in.Updated
	return nil
}
