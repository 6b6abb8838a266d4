package compile

import (
	"bytes"
	"errors"
	"fmt"

	"archeio/ranges"
)

// Provider is how a cloud publishes its IP ranges.
type Provider struct {
	Cloud ranges.Cloud
	// URL is the official address of the document, or of the page that links to
	// it.
	URL string
	// mark is a string that is in the documents of this cloud and of no other.
	mark string
	// find returns the address of the document from the page at URL. It is nil if
	// URL is the document itself.
	find  func(page []byte) (string, error)
	parse parser
}

// Providers has one row for each of ranges.Clouds, in the same order.
var Providers = [len(ranges.Clouds)]Provider{{
	Cloud: ranges.AWS,
	URL:   "https://ip-ranges.amazonaws.com/ip-ranges.json",
	mark:  `"ip_prefix"`,
	parse: parseAWS,
}, {
	Cloud: ranges.GCP,
	URL:   "https://www.gstatic.com/ipranges/cloud.json",
	mark:  `"ipv4Prefix"`,
	parse: parseGoogle,
}, {
	Cloud: ranges.Azure,
	URL:   "https://www.microsoft.com/en-us/download/details.aspx?id=56519",
	find:  azureDocument,
	mark:  `"AzureCloud.`,
	parse: parseAzure,
}, {
	Cloud: ranges.OCI,
	URL:   "https://docs.oracle.com/iaas/tools/public_ip_ranges.json",
	mark:  `"cidrs"`,
	parse: parseOracle,
}}

// Parse returns the document in data. The name is that of its file or its URL;
// for Azure it may hold the date. An entry that is invalid makes the whole
// document invalid, as does a missing date or version.
func (p Provider) Parse(name string, data []byte) (Document, error) {
	d := Document{Cloud: p.Cloud}
	if len(bytes.TrimSpace(data)) == 0 {
		return Document{}, errors.New("document is empty")
	}
	if len(data) > maxSize {
		return Document{}, tooLarge(maxSize)
	}
	if err := p.parse(&d, name, data); err != nil {
		return Document{}, fmt.Errorf("invalid document of %s IP ranges: %w", p.Cloud, err)
	}
	switch {
	case len(d.Prefixes) == 0:
		return Document{}, fmt.Errorf("invalid document of %s IP ranges: no prefixes", p.Cloud)
	case d.Version == "" || d.Date.IsZero() && p.Cloud != ranges.Azure:
		return Document{}, fmt.Errorf("invalid document of %s IP ranges: no date or version", p.Cloud)
	case !ranges.ValidVersion(d.Version):
		return Document{}, fmt.Errorf("invalid document of %s IP ranges: invalid version %.64q", p.Cloud, d.Version)
	case !d.Date.IsZero() && (d.Date.Year() < 2000 || d.Date.Year() > 9999):
		return Document{}, fmt.Errorf("invalid document of %s IP ranges: implausible date", p.Cloud)
	}
	return d, nil
}
