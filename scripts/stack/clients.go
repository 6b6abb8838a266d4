package stack

import (
	"net/netip"

	"archeio/ranges"
)

// Client is somebody who pulls, with the way that the pull must take.
type Client struct {
	Name string
	Addr netip.Addr
	// Present is who must serve the blobs that the mirrors hold, and why;
	// Missing the same for the one that they lack.
	Present, PresentWhy string
	Missing, MissingWhy string
}

// Clients are one in each kind of place. Their addresses are the first that
// the range table has there, so that they stay right when it is updated.
func Clients() []Client {
	at := func(cloud ranges.Cloud, region string) netip.Addr {
		for x := range ranges.All() {
			if x.Place == (ranges.Place{Cloud: cloud, Region: region}) {
				return x.First.Next()
			}
		}
		return netip.Addr{}
	}
	return []Client{
		{"AWS eu-west-3", at(ranges.AWS, "eu-west-3"), "mirror eu-central-1", "nearest-region", "upstream", "mirror-absent"},
		{"AWS us-east-1", at(ranges.AWS, "us-east-1"), "mirror us-east-1", "aws-region", "upstream", "mirror-absent"},
		{"Google europe-west9", at(ranges.GCP, "europe-west9"), "upstream", "upstream-cloud", "upstream", "upstream-cloud"},
		{"Azure westeurope", at(ranges.Azure, "westeurope"), "distribution", "default-mirror", "upstream", "mirror-absent"},
		{"home", netip.MustParseAddr("203.0.113.7"), "distribution", "default-mirror", "upstream", "mirror-absent"},
	}
}

// Wrong says what is wrong with the way that a pull took; empty if nothing is.
func (s *Stack) Wrong(c Client, p *Pull, image *Image) string {
	for _, blob := range image.Blobs {
		digest := blob.String()
		from, why := c.Present, c.PresentWhy
		if blob == image.Missing {
			from, why = c.Missing, c.MissingWhy
		}
		if got := s.Who(hostOf(p.From[digest])); got != from || p.Why[digest] != why {
			return "blob " + blob.Hex[:12] + " came from " + got + " (" + p.Why[digest] + "), it must come from " + from + " (" + why + ")"
		}
	}
	return ""
}
