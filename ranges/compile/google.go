package compile

import "time"

// parseGoogle reads cloud.json. Its syncToken is the time of publication in
// milliseconds since 1970; its creationTime is the same in Pacific Time, without
// an offset. https://cloud.google.com/compute/docs/faq#find_ip_range
func parseGoogle(d *Document, _ string, data []byte) error {
	var in struct {
		SyncToken    int64  `json:"syncToken,string"`
		CreationTime string `json:"creationTime"`
		Prefixes     []struct {
			Prefix4 string `json:"ipv4Prefix"`
			Prefix6 string `json:"ipv6Prefix"`
			Scope   string `json:"scope"`
		} `json:"prefixes"`
	}
	if err := decode(data, &in); err != nil {
		return err
	}
	for _, p := range in.Prefixes {
		if err := d.add(p.Prefix4+p.Prefix6, p.Scope); err != nil {
			return err
		}
	}
	if in.SyncToken != 0 {
		d.Date = time.UnixMilli(in.SyncToken).UTC().Truncate(time.Second)
	}
	d.Version = in.CreationTime
	return nil
}
