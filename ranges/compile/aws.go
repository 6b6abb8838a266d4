package compile

import "time"

// parseAWS reads ip-ranges.json. Its syncToken is the time of publication in
// seconds since 1970,
// https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html
func parseAWS(d *Document, _ string, data []byte) error {
	var in struct {
		SyncToken  int64  `json:"syncToken,string"`
		CreateDate string `json:"createDate"`
		Prefixes   []struct {
			Prefix string `json:"ip_prefix"`
			Region string `json:"region"`
		} `json:"prefixes"`
		Prefixes6 []struct {
			Prefix string `json:"ipv6_prefix"`
			Region string `json:"region"`
		} `json:"ipv6_prefixes"`
	}
	if err := decode(data, &in); err != nil {
		return err
	}
	for _, p := range in.Prefixes {
		if err := d.add(p.Prefix, p.Region); err != nil {
			return err
		}
	}
	for _, p := range in.Prefixes6 {
		if err := d.add(p.Prefix, p.Region); err != nil {
			return err
		}
	}
	if in.SyncToken != 0 {
		d.Date = time.Unix(in.SyncToken, 0).UTC()
	}
	d.Version = in.CreateDate
	return nil
}
