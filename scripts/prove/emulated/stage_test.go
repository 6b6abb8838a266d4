package main

import (
	"testing"

	"archeio/infra/stage"
)

// TestStages checks that what the changes deploy, one after another, are valid stages.
func TestStages(t *testing.T) {
	t.Parallel()
	s := newStage(&emulator{port: "1", upstream: "http://localhost:2"})
	s.zone = "Z0123456789ABCDEFGHIJ"
	for _, region := range regions {
		s.networks[region] = stage.Network{VPC: "vpc-01234567", Subnets: []string{"subnet-01234567", "subnet-89abcdef"}}
	}
	arns := func(regions ...string) map[string]string {
		all := map[string]string{}
		for _, region := range regions {
			all[region] = "arn:aws:acm:" + region + ":" + account + ":certificate/01234567-89ab-cdef-0123-456789abcdef"
		}
		return all
	}
	for _, tt := range []struct {
		name   string
		change func()
	}{
		{"created", func() {}},
		{"changed", func() {
			s.redirectors, s.aliases, s.certificates = regions, []string{zoneAlias, foreignAlias}, arns(regions...)
			s.mirrors, s.filling, s.buckets = append(regions[:2:2], newRegion), []string{newRegion}, map[string]string{newRegion: existingBucket}
		}},
		{"another-primary", func() {
			s.primary, s.redirectors, s.certificates, s.filling = regions[1], regions[:1], arns(regions[0]), nil
		}},
		{"alb", func() { s.front, s.protected = stage.ALB, false }},
		{"both-pending", func() { s.front, s.pending = stage.Both, true }},
		{"both", func() { s.pending = false }},
		{"cloudfront", func() { s.front = stage.CloudFront }},
		{"no-domain", func() { s.domain, s.zoned, s.aliases, s.certificates = "", false, nil, nil }},
		{"no-hosted-zone", func() { s.domain, s.certificates = foreignAlias, arns(stage.EdgeRegion) }},
	} {
		tt.change()
		if loaded, err := s.load(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if loaded.Home != regions[0] || loaded.Canary == nil {
			t.Errorf("%s: home %s, canary %v", tt.name, loaded.Home, loaded.Canary)
		}
	}
}
