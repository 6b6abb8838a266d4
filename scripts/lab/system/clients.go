package system

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"archeio/ranges"
	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/pull"
)

// Client is a simulated client and where its pulls must go.
type Client struct {
	Name string
	Addr netip.Addr
	Want pull.Want
}

// Address returns an address in a cloud's region, the second of its first range
// in the table, so that it stays right when the table is updated. It is the zero
// Addr if the table has no range of the region.
func Address(cloud ranges.Cloud, region string) netip.Addr {
	for x := range ranges.All() {
		if x.Place == (ranges.Place{Cloud: cloud, Region: region}) {
			return x.First.Next()
		}
	}
	return netip.Addr{}
}

// Clients returns a client for each kind of location, and where its pulls must go.
func (s *System) Clients() []Client {
	all := Clients()
	if s.Storage != "" {
		// The upstream's own redirect is passed on.
		for i := range all {
			for _, server := range []*string{&all[i].Want.Present, &all[i].Want.Missing} {
				*server = strings.Replace(*server, "upstream", "upstream storage", 1)
			}
		}
	}
	return all
}

// ManifestSource returns the name of the server that a manifest comes from which was
// requested from an entry point: the upstream, unless that requires a token.
func (s *System) ManifestSource(entryPoint string) string {
	if s.Storage != "" {
		return entryPoint
	}
	return "upstream"
}

// Clients returns a client for each kind of location, and where its pulls go from an
// upstream that requires no token.
func Clients() []Client {
	return []Client{
		{"AWS eu-west-3", Address(ranges.AWS, "eu-west-3"), pull.Want{Present: "mirror eu-central-1", PresentReason: "nearest-region", Missing: "upstream", MissingReason: "mirror-absent"}},
		{"AWS us-east-1", Address(ranges.AWS, "us-east-1"), pull.Want{Present: "mirror us-east-1", PresentReason: "aws-region", Missing: "upstream", MissingReason: "mirror-absent"}},
		{"Google europe-west9", Address(ranges.GCP, "europe-west9"), pull.Want{Present: "upstream", PresentReason: "upstream-cloud", Missing: "upstream", MissingReason: "upstream-cloud"}},
		{"Azure westeurope", Address(ranges.Azure, "westeurope"), pull.Want{Present: "distribution", PresentReason: "default-mirror", Missing: "upstream", MissingReason: "mirror-absent"}},
		{"home", netip.MustParseAddr("203.0.113.7"), pull.Want{Present: "distribution", PresentReason: "default-mirror", Missing: "upstream", MissingReason: "mirror-absent"}},
	}
}

// Publish pushes an image to the upstream, fills the mirrors from there, and
// pushes the image that is returned, which has one more blob. The report of the
// fill is written to out.
func (s *System) Publish(ctx context.Context, out io.Writer) (*pull.Image, error) {
	s.step("publishing an image")
	return pull.Publish(ctx, s.Publisher()+"/"+pull.Repository, func(ctx context.Context) error { return s.Fill(ctx, out, s.log) })
}

// Pull pulls the published image through the entry point at base, as a client
// with the given address.
func (s *System) Pull(ctx context.Context, base string, client netip.Addr, image *pull.Image) (*pull.Pull, error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	return pull.Client{
		Registry:   hostOf(base),
		Transport:  transport,
		SetAddress: func(r *http.Request) { r.Header.Set(entrypoint.ClientAddressHeader, client.String()) },
	}.Pull(ctx, image)
}
