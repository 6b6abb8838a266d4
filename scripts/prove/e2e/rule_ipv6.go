package main

import (
	"context"
	"fmt"
	"net/netip"

	"archeio/ranges"
	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/prove/cli"
)

func (t *ruleTest) ipv6Client(ctx context.Context) (string, error) {
	url := t.local.Distribution
	if t.at.kind == loadBalancer {
		url = t.local.ALB
	}
	client := map[string]string{entrypoint.ClientAddressHeader: ipv6Address(ranges.AWS, "eu-west-3").String()}
	a, err := t.getBlob(ctx, t.transport, url+t.path, client, "nearest-region")
	if err != nil {
		return "", err
	}
	return a.String(), nil
}

func (t *ruleTest) ipv6Connection(ctx context.Context) (string, error) {
	s, err := listenOn("[::1]:0", t.at.kind, nil, t.entryPointHandler(t.at.kind, t.local.API.Invoke, netip.Addr{}))
	if err != nil {
		return "", fmt.Errorf("%w: this machine has no IPv6 loopback: %v", cli.ErrSkipped, err)
	}
	defer s.close()
	a, err := t.getBlob(ctx, t.transport, s.url+t.path, nil, "default-mirror")
	if err != nil {
		return "", err
	}
	return a.String(), nil
}

// ipv6Address returns the first IPv6 address of a cloud's region in the range
// table, or the zero Addr.
func ipv6Address(cloud ranges.Cloud, region string) netip.Addr {
	for x := range ranges.All() {
		if x.First.Is6() && x.Place == (ranges.Place{Cloud: cloud, Region: region}) {
			return x.First.Next()
		}
	}
	return netip.Addr{}
}
