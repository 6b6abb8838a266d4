package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
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

	// The emulator takes any pair for the account's own user.
	accessKey, secretKey = "archeio", "for-this-machine-only"
)

// regions have a mirror each. The first is the primary, and has the redirector.
var regions = []string{"us-east-1", "eu-central-1"}

// newRegion comes and goes in the operations.
const newRegion = "eu-west-3"

// emulatedStage is the stage that is deployed, as a stage of cdk.json.
type emulatedStage struct {
	*emulator
	zone    string
	network stage.Network
	// mirrors are regions; filling and retiring are those of them that come
	// and go.
	mirrors, filling, retiring []string
	infoURL                    string
	protected                  bool
}

func newStage(e *emulator) *emulatedStage {
	return &emulatedStage{emulator: e, mirrors: regions, infoURL: "https://archeio.example/first", protected: true}
}

// filled are the mirrors that blobs are written to.
func (s *emulatedStage) filled() []string {
	return slices.DeleteFunc(slices.Clone(s.mirrors), func(region string) bool { return slices.Contains(s.retiring, region) })
}

// mirrorURL is where the emulator serves a mirror. Unlike a bucket's own host,
// this one is found without a name server.
func (e *emulator) mirrorURL(region string) string {
	return "https://localhost:" + e.port + "/" + bucketName(region)
}

func (s *emulatedStage) json() string {
	architecture := build.Architecture(runtime.GOARCH)
	urls := map[string]string{}
	for _, region := range s.mirrors {
		urls[region] = s.mirrorURL(region)
	}
	text, err := json.Marshal(map[string]any{stageName: map[string]any{
		"account":               account,
		"mirrors":               s.mirrors,
		"filling":               append([]string{}, s.filling...),
		"retiring":              append([]string{}, s.retiring...),
		"redirectors":           regions[:1],
		"front":                 "both",
		"domain":                domain,
		"hostedZone":            map[string]string{"id": s.zone, "name": zoneName},
		"architecture":          architecture,
		"upstream":              map[string]string{"endpoint": s.upstream, "path": system.Prefix},
		"mirrorURLs":            urls,
		"networks":              map[string]stage.Network{regions[0]: s.network},
		"infoURL":               s.infoURL,
		"terminationProtection": s.protected,
	}})
	if err != nil {
		panic(err) // strings and booleans always marshal
	}
	return string(text)
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

// cdkLine is the CDK's command line as a user would write it, in the repository
// with its own cdk.json, but for the stage and for what synthesizes it.
func (e *emulator) cdkLine(s *emulatedStage, args ...string) []string {
	return append(append(strings.Fields(e.cdkCommand), args...),
		"-c", "stage="+stageName, "-c", "stages="+s.json(), "-a", e.app(), "-o", filepath.Join(e.dir, "cdk.out"), "--ci", "--no-color")
}

// synthesize is the app of cdk.json. The emulator's CloudFront Functions have no
// modules, so the import is taken out of what it has synthesized.
const synthesize = `#!/bin/sh
set -e
go run ./infra
sed -i 's/"import cf from .cloudfront.;\\n/"/' "$CDK_OUTDIR"/*-edge-*.template.json
`

func (e *emulator) app() string { return filepath.Join(e.dir, "synthesize") }

func (e *emulator) cdk(ctx context.Context, s *emulatedStage, args ...string) (string, error) {
	line := e.cdkLine(s, args...)
	_, all, err := e.command(ctx, regions[0], line[0], line[1:]...)
	if ctx.Err() != nil {
		return all, context.Cause(ctx)
	}
	if err != nil {
		return all, fmt.Errorf("cdk %s: %w; the end of what it wrote:\n%s", args[0], err, end(all))
	}
	return all, nil
}

// deploy is what make deploy does, but for preflight.
func (e *emulator) deploy(ctx context.Context, s *emulatedStage) (string, error) {
	return e.cdk(ctx, s, deployAll...)
}

var deployAll = []string{"deploy", "--all", "--require-approval", "never"}

// end is the last lines of a text.
func end(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

func (e *emulator) createZone(ctx context.Context) (string, error) {
	var zone struct{ HostedZone struct{ Id string } }
	err := e.aws(ctx, regions[0], &zone, "route53", "create-hosted-zone", "--name", zoneName, "--caller-reference", "archeio")
	return strings.TrimPrefix(zone.HostedZone.Id, "/hostedzone/"), err
}

// createNetwork makes the network that the load balancer is put into.
func (e *emulator) createNetwork(ctx context.Context) (n stage.Network, err error) {
	var vpc struct{ Vpc struct{ VpcId string } }
	if err := e.aws(ctx, regions[0], &vpc, "ec2", "create-vpc", "--cidr-block", "10.0.0.0/24"); err != nil {
		return n, err
	}
	n.VPC = vpc.Vpc.VpcId
	for i, block := range []string{"10.0.0.0/25", "10.0.0.128/25"} {
		var subnet struct{ Subnet struct{ SubnetId string } }
		if err := e.aws(ctx, regions[0], &subnet, "ec2", "create-subnet", "--vpc-id", n.VPC, "--cidr-block", block,
			"--availability-zone", regions[0]+[]string{"a", "b"}[i]); err != nil {
			return n, err
		}
		n.Subnets = append(n.Subnets, subnet.Subnet.SubnetId)
	}
	return n, nil
}
