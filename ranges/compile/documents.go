package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"archeio/ranges"
)

// document is what one provider has published, in the order of its text.
type document struct {
	cloud     ranges.Cloud
	published string
	date      time.Time
	prefixes  []ranges.Prefix
}

// provider says where a cloud's document is and how it is read.
type provider struct {
	cloud ranges.Cloud
	flag  string
	// official is the provider's published address of the document.
	official string
	// link finds the document's address where official is only a page that
	// leads to it.
	link  *regexp.Regexp
	parse func([]byte) (document, error)
}

var providers = []provider{
	{
		cloud:    ranges.AWS,
		flag:     "aws",
		official: "https://ip-ranges.amazonaws.com/ip-ranges.json",
		parse:    parseAWS,
	}, {
		cloud:    ranges.GCP,
		flag:     "gcp",
		official: "https://www.gstatic.com/ipranges/cloud.json",
		parse:    parseGoogle,
	}, {
		cloud:    ranges.Azure,
		flag:     "azure",
		official: "https://www.microsoft.com/en-us/download/details.aspx?id=56519",
		link:     regexp.MustCompile(`https://download\.microsoft\.com/download/[0-9A-Za-z/-]+/ServiceTags_Public_[0-9]+\.json`),
		parse:    parseAzure,
	},
}

// regionName is what the three providers' names have in common. It keeps
// anything surprising out of reports, logs and metrics.
var regionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)

// add checks one entry and takes it over.
func (d *document) add(prefix, region string) error {
	p, err := netip.ParsePrefix(prefix)
	switch {
	case err != nil:
		return fmt.Errorf("entry %d: %q is not a prefix", len(d.prefixes)+1, prefix)
	case p != p.Masked():
		return fmt.Errorf("entry %d: prefix %q has bits set behind its length", len(d.prefixes)+1, prefix)
	case p.Addr().Is4In6():
		return fmt.Errorf("entry %d: prefix %q is IPv4 written as IPv6", len(d.prefixes)+1, prefix)
	case !regionName.MatchString(region):
		return fmt.Errorf("entry %d: prefix %q has the region %q, which is no name", len(d.prefixes)+1, prefix, region)
	}
	d.prefixes = append(d.prefixes, ranges.Prefix{
		Prefix: p,
		Place:  ranges.Place{Cloud: d.cloud, Region: region},
	})
	return nil
}

func (d *document) finish(published string) (document, error) {
	if len(d.prefixes) == 0 {
		return document{}, errors.New("it holds no prefixes")
	}
	if published == "" {
		return document{}, errors.New("it has no date")
	}
	d.published = published
	return *d, nil
}

// parseAWS reads ip-ranges.json,
// https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html
func parseAWS(data []byte) (document, error) {
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
	if err := json.Unmarshal(data, &in); err != nil {
		return document{}, err
	}
	d := document{cloud: ranges.AWS, date: time.Unix(in.SyncToken, 0).UTC()}
	for _, p := range in.Prefixes {
		if err := d.add(p.Prefix, p.Region); err != nil {
			return document{}, err
		}
	}
	for _, p := range in.Prefixes6 {
		if err := d.add(p.Prefix, p.Region); err != nil {
			return document{}, err
		}
	}
	return d.finish(in.CreateDate)
}

// parseGoogle reads cloud.json,
// https://cloud.google.com/compute/docs/faq#find_ip_range
func parseGoogle(data []byte) (document, error) {
	var in struct {
		SyncToken    int64  `json:"syncToken,string"`
		CreationTime string `json:"creationTime"`
		Prefixes     []struct {
			Prefix4 string `json:"ipv4Prefix"`
			Prefix6 string `json:"ipv6Prefix"`
			Scope   string `json:"scope"`
		} `json:"prefixes"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return document{}, err
	}
	d := document{cloud: ranges.GCP, date: time.UnixMilli(in.SyncToken).UTC()}
	for _, p := range in.Prefixes {
		if err := d.add(p.Prefix4+p.Prefix6, p.Scope); err != nil {
			return document{}, err
		}
	}
	return d.finish(in.CreationTime)
}

// parseAzure reads the service tags file. Of its tags those of a whole region
// count, AzureCloud.REGION; the others are parts of them, by service.
// https://learn.microsoft.com/azure/virtual-network/service-tags-overview
func parseAzure(data []byte) (document, error) {
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
	if err := json.Unmarshal(data, &in); err != nil {
		return document{}, err
	}
	d := document{cloud: ranges.Azure}
	for _, tag := range in.Values {
		if !strings.HasPrefix(tag.Name, "AzureCloud.") {
			continue
		}
		for _, p := range tag.Properties.AddressPrefixes {
			if err := d.add(p, tag.Properties.Region); err != nil {
				return document{}, fmt.Errorf("tag %q: %w", tag.Name, err)
			}
		}
	}
	if in.ChangeNumber == 0 {
		return d.finish("")
	}
	return d.finish(fmt.Sprintf("change %d", in.ChangeNumber))
}
