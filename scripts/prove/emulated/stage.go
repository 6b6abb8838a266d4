package main

import (
	"context"
	"encoding/json"
	"runtime"
	"slices"
	"strings"

	"archeio/infra/stage"
	"archeio/lambda/build"
	"archeio/scripts/lab/system"
)

const (
	stageName = "emulated"
	account   = "000000000000"
	zoneName  = "example.test"
	domain    = "registry." + zoneName

	// The emulator accepts any credentials for the account's own user.
	accessKey, secretKey = "archeio", "for-this-machine-only"
)

// regions have a mirror each. The first is the primary, and has the redirector.
var regions = []string{"us-east-1", "eu-central-1"}

// newRegion is added and removed by the operations, and has the existing bucket.
const newRegion = "eu-west-3"

// emulatedStage is the stage that is deployed.
type emulatedStage struct {
	*emulator
	zone     string // ID of the hosted zone
	networks map[string]stage.Network
	// mirrors are the regions with a mirror; filling and retiring are some of
	// them.
	mirrors, filling, retiring []string
	primary                    string
	redirectors                []string
	buckets                    map[string]string // existing ones, by region
	front                      stage.Front
	pending                    bool   // whether the domain does not lead to the distribution yet
	domain                     string // empty for none
	zoned                      bool   // whether the stage creates records
	aliases                    []string
	certificates               map[string]string // existing ones, by region
	email                      string
	infoURL                    string
	protected                  bool
}

func newStage(e *emulator) *emulatedStage {
	return &emulatedStage{
		emulator: e, mirrors: regions, primary: regions[0], redirectors: regions[:1], front: stage.Both, domain: domain, zoned: true,
		networks: map[string]stage.Network{}, email: "first@" + zoneName, infoURL: "https://archeio.example/first", protected: true,
	}
}

// bucket returns the name of the mirror in a region.
func (s *emulatedStage) bucket(region string) string {
	if name := s.buckets[region]; name != "" {
		return name
	}
	return bucketName(region)
}

// mirrorURL returns where the emulator serves a mirror. Unlike the bucket's own host,
// it resolves without a name server.
func (s *emulatedStage) mirrorURL(region string) string {
	return "https://localhost:" + s.port + "/" + s.bucket(region)
}

// filled returns the mirrors that blobs are written to.
func (s *emulatedStage) filled() []string {
	return slices.DeleteFunc(slices.Clone(s.mirrors), func(region string) bool { return slices.Contains(s.retiring, region) })
}

// json returns the stages of a cdk.json with this stage only.
func (s *emulatedStage) json() string {
	urls := map[string]string{}
	for _, region := range s.mirrors {
		urls[region] = s.mirrorURL(region)
	}
	keys := map[string]any{
		"account":               account,
		"mirrors":               s.mirrors,
		"filling":               append([]string{}, s.filling...),
		"retiring":              append([]string{}, s.retiring...),
		"primary":               s.primary,
		"redirectors":           s.redirectors,
		"front":                 s.front,
		"architecture":          build.Architecture(runtime.GOARCH),
		"upstream":              s.upstreamJSON(),
		"mirrorURLs":            urls,
		"infoURL":               s.infoURL,
		"rangesRefresh":         "1s",
		"email":                 s.email,
		"terminationProtection": s.protected,
	}
	networks := map[string]any{}
	for _, region := range s.redirectors {
		n := s.networks[region]
		networks[region] = map[string]any{"vpc": n.VPC, "subnets": n.Subnets}
	}
	for key, x := range map[string]struct {
		set   bool
		value any
	}{
		"networks":      {s.front != stage.CloudFront, networks},
		"domain":        {s.domain != "", s.domain},
		"hostedZone":    {s.zoned, map[string]string{"id": s.zone, "name": zoneName}},
		"domainPending": {s.pending, true},
		"aliases":       {len(s.aliases) > 0, s.aliases},
		"certificate":   {len(s.certificates) > 0, s.certificates},
		"buckets":       {len(s.buckets) > 0, s.buckets},
	} {
		if x.set {
			keys[key] = x.value
		}
	}
	text, err := json.Marshal(map[string]any{stageName: keys})
	if err != nil {
		panic(err) // strings and booleans always marshal
	}
	return string(text)
}

func (s *emulatedStage) upstreamJSON() map[string]any {
	if s.token == nil {
		return map[string]any{"endpoint": s.upstream, "path": system.Prefix}
	}
	host := func(url string) []string { return []string{strings.TrimPrefix(url, "http://")} }
	return map[string]any{
		"endpoint": s.token.Registry, "path": system.Prefix,
		"access": "token", "tokenHosts": host(s.token.Tokens), "blobHosts": host(s.token.Storage),
	}
}

func (s *emulatedStage) load() (*stage.Stage, error) {
	all, err := stage.Load([]byte(s.json()))
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func bucketName(region string) string {
	return "archeio-" + stageName + "-" + account + "-" + region + "-an"
}

// createZone creates the hosted zone and returns its ID.
func (e *emulator) createZone(ctx context.Context) (string, error) {
	var zone struct{ HostedZone struct{ Id string } }
	err := e.aws(ctx, regions[0], &zone, "route53", "create-hosted-zone", "--name", zoneName, "--caller-reference", "archeio")
	return strings.TrimPrefix(zone.HostedZone.Id, "/hostedzone/"), err
}

// createNetwork creates the VPC of the load balancer in a region.
func (e *emulator) createNetwork(ctx context.Context, region string) (n stage.Network, err error) {
	var vpc struct{ Vpc struct{ VpcId string } }
	if err := e.aws(ctx, region, &vpc, "ec2", "create-vpc", "--cidr-block", "10.0.0.0/24"); err != nil {
		return n, err
	}
	n.VPC = vpc.Vpc.VpcId
	for i, block := range []string{"10.0.0.0/25", "10.0.0.128/25"} {
		var subnet struct{ Subnet struct{ SubnetId string } }
		if err := e.aws(ctx, region, &subnet, "ec2", "create-subnet", "--vpc-id", n.VPC, "--cidr-block", block,
			"--availability-zone", region+[]string{"a", "b"}[i]); err != nil {
			return n, err
		}
		n.Subnets = append(n.Subnets, subnet.Subnet.SubnetId)
	}
	return n, nil
}
