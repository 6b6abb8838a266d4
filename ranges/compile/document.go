package compile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"

	"archeio/ranges"
)

// Document is what a provider has published.
type Document struct {
	Cloud ranges.Cloud
	// Version is what the document calls its version or date, as it is written
	// there.
	Version string
	// Date is when it was published, in UTC. It is zero if neither the document nor
	// its file name has a date.
	Date time.Time
	// Prefixes are in the order of the document. One may occur more than once.
	Prefixes []ranges.Prefix
}

// parser fills a document from JSON. The name is that of the file or the URL.
type parser func(d *Document, name string, data []byte) error

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

// parseAzure reads the service tags. Only the tags of whole regions are used,
// AzureCloud.REGION; the others are parts of them, by service. The document has
// no date, but Microsoft puts one into its file name.
// https://learn.microsoft.com/azure/virtual-network/service-tags-overview
func parseAzure(d *Document, name string, data []byte) error {
	var in struct {
		ChangeNumber int `json:"changeNumber"`
		Values       []struct {
			Name       string `json:"name"`
			Properties struct {
				Region          string   `json:"region"`
				AddressPrefixes []string `json:"addressPrefixes"`
			} `json:"properties"`
		} `json:"values"`
	}
	if err := decode(data, &in); err != nil {
		return err
	}
	for _, tag := range in.Values {
		if !strings.HasPrefix(tag.Name, "AzureCloud.") {
			continue
		}
		for _, p := range tag.Properties.AddressPrefixes {
			if err := d.add(p, tag.Properties.Region); err != nil {
				return fmt.Errorf("tag %.64q: %w", tag.Name, err)
			}
		}
	}
	if date, err := time.Parse("ServiceTags_Public_20060102.json", path.Base(name)); err == nil {
		d.Date = date
	}
	if in.ChangeNumber != 0 {
		d.Version = fmt.Sprintf("change %d", in.ChangeNumber)
	}
	return nil
}

// add validates one entry and appends it.
func (d *Document) add(prefix, region string) error {
	p, err := netip.ParsePrefix(prefix)
	place := ranges.Place{Cloud: d.Cloud, Region: region}
	problem := ""
	switch {
	case err != nil:
		problem = "invalid prefix"
	case p != p.Masked():
		problem = "host bits are set"
	case p.Addr().Is4In6():
		problem = "IPv4 written as IPv6"
	case !place.Valid():
		problem = fmt.Sprintf("invalid region %.64q", region)
	default:
		d.Prefixes = append(d.Prefixes, ranges.Prefix{Prefix: p, Place: place})
		return nil
	}
	return fmt.Errorf("entry %d, prefix %.64q: %s", len(d.Prefixes)+1, prefix, problem)
}

// decode is json.Unmarshal with line and column in its errors.
func decode(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON: %s: %w", position(data, syntax.Offset), err)
	case errors.As(err, &wrongType):
		return fmt.Errorf("%s: %q is %.64s, want %s", position(data, wrongType.Offset), wrongType.Field, wrongType.Value, wrongType.Type)
	}
	return err
}

// position returns line and column of the byte before offset.
func position(data []byte, offset int64) string {
	before := data[:max(0, min(offset, int64(len(data)))-1)]
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n'))
}
