package route

import (
	"testing"

	"archeio/lambda/oci"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// kindTests are requests for what mirrors do not hold, without and with a signature
// upstream.
var kindTests = []struct {
	name, path   string
	alone        string
	aloneReason  Reason
	signed       string
	signedReason Reason
}{
	{"tag", "/v2/pause/manifests/3.9", "upstream", Manifest, "upstream", Manifest},
	{"digest", "/v2/pause/manifests/" + sha256, "upstream", Manifest, "upstream signatures", Manifest},
	{"digest-sha512", "/v2/pause/manifests/" + sha512, "upstream", Manifest, "upstream signatures", Manifest},
	{"digest-other-algorithm", "/v2/pause/manifests/blake3:00", "upstream", Manifest, "upstream", Manifest},
	{"digest-md5", "/v2/pause/manifests/md5:abc", "upstream", Manifest, "upstream", Manifest},
	{"bare", "/v2/pause/manifests/sha256-" + hex64, "upstream", Manifest, "signatures", Signature},
	{"sig", "/v2/pause/manifests/sha256-" + hex64 + ".sig", "upstream", Manifest, "signatures", Signature},
	{"att", "/v2/pause/manifests/sha256-" + hex64 + ".att", "upstream", Manifest, "signatures", Signature},
	{"sbom", "/v2/pause/manifests/sha256-" + hex64 + ".sbom", "upstream", Manifest, "signatures", Signature},
	{"sha512-bare", "/v2/pause/manifests/sha512-" + hex64, "upstream", Manifest, "signatures", Signature},
	{"sha512-sig", "/v2/pause/manifests/sha512-" + hex64 + ".sig", "upstream", Manifest, "signatures", Signature},
	{"other-algorithm", "/v2/pause/manifests/sha384-" + hex64, "upstream", Manifest, "upstream", Manifest},
	{"other-ending", "/v2/pause/manifests/sha256-" + hex64 + ".txt", "upstream", Manifest, "upstream", Manifest},
	{"short", "/v2/pause/manifests/sha256-" + hex64[1:] + ".sig", "upstream", Manifest, "upstream", Manifest},
	{"tags", "/v2/pause/tags/list", "upstream", Tags, "upstream", Tags},
	{"referrers", "/v2/pause/referrers/" + sha256, "upstream", Referrers, "signatures", Referrers},
	{"ping", "/v2/", "", Ping, "", Ping},
	{"info", "/", "", Info, "", Info},
	{"privacy", "/privacy", "", Privacy, "", Privacy},
	{"where", "/where", "", Info, "", Info},
	{"hosts", "/hosts.json", "", Info, "", Info},
	{"catalog", "/v2/_catalog", "", Refused, "", Refused},
	{"unknown", "/v1/", "", Refused, "", Refused},
}

func TestKinds(t *testing.T) {
	t.Parallel()
	alone, signed := plan(t, both), plan(t, both+signatures)
	for _, tt := range kindTests {
		for _, variant := range []struct {
			name   string
			plan   *Planner
			want   string
			reason Reason
		}{
			{"alone", alone, tt.alone, tt.aloneReason},
			{"signed", signed, tt.signed, tt.signedReason},
		} {
			t.Run(tt.name+"/"+variant.name, func(t *testing.T) {
				// Only blobs depend on the client.
				for _, r := range []Request{aws("eu-west-1"), aws("eu-west-1", authorized), from(ranges.GCP, "europe-west9"), from("", "", loadBalancer, at(tokyo))} {
					r.Path, _ = oci.Parse(tt.path)
					d := variant.plan.Decide(&r)
					if got := spell(variant.plan, &d); got != variant.want || d.Reason != variant.reason {
						t.Errorf("%v: %q with reason %s, want %q with reason %s", r.Place, got, d.Reason, variant.want, variant.reason)
					}
				}
			})
		}
	}
}

// TestTotal decides every possible request, including those that no parser and no
// entry point produces, and checks what must hold for every decision.
func TestTotal(t *testing.T) {
	t.Parallel()
	var places []ranges.Place
	for _, cloud := range append(ranges.Clouds[:], "", "Mars") {
		for r := range regions.All(string(cloud)) {
			places = append(places, ranges.Place{Cloud: cloud, Region: r.Name})
		}
		for _, region := range []string{"", "GLOBAL", "global", "me-west-1", "eu-west-1\x00"} {
			places = append(places, ranges.Place{Cloud: cloud, Region: region})
		}
	}
	references := []string{"", ":", "latest", sha256, sha512, "sha256:", "blake3:00", "sha256-" + hex64 + ".sig", "\xff"}
	for _, env := range []string{"", mirrors, distribution, both, sameHost, mirrors + sameHost + rules, both + rules + signatures, signatures, mirrors + signatures + " AWS_REGION=us-west-2"} {
		p := plan(t, env)
		for _, place := range places {
			for _, reference := range references {
				for kind := range oci.Kinds + 2 {
					for flags := range 1 << 4 {
						r := Request{
							Path:           oci.Path{Kind: oci.Kind(kind), Reference: reference, Digest: flags&1 != 0},
							Place:          place,
							Positioned:     flags&2 != 0,
							Authorized:     flags&4 != 0,
							NoDistribution: flags&8 != 0,
						}
						if problem := wrong(p, &r); problem != "" {
							t.Fatalf("configuration%s: %+v: %s", env, r, problem)
						}
					}
				}
			}
		}
	}
}

// wrong returns what is wrong with the decision for r, or "".
func wrong(p *Planner, r *Request) string {
	d := p.Decide(r)
	list := d.Candidates()
	if d.Reason.String() == "" {
		return "no reason"
	}
	registry := r.Path.Kind >= oci.Blob && r.Path.Kind <= oci.Referrers
	if !registry {
		if len(list) != 0 {
			return "want no candidates, got " + spell(p, &d)
		}
		return ""
	}
	if len(list) == 0 {
		return "no candidates"
	}
	leads := d.Reason.Leads()
	if d.Reason == Referrers && p.config.SignatureUpstream != "" {
		leads = SignatureUpstream
	}
	if list[0].Target != leads {
		return "reason " + d.Reason.String() + " leads to " + leads.String() + ", got " + spell(p, &d)
	}
	if r.Path.Kind == oci.Blob && !d.Reason.ForBlob() {
		return "not a reason for a blob: " + d.Reason.String()
	}
	for i, c := range list {
		switch {
		case i > 0 && c.Target <= list[i-1].Target:
			return "out of order: " + spell(p, &d)
		case r.Path.Kind != oci.Blob && c.Target < Upstream:
			return "a mirror for content other than blobs"
		case c.Target == Regional && (c.Mirror < 0 || c.Mirror >= len(p.config.Mirrors)):
			return "mirror index out of range"
		case c.Target == Regional && r.Authorized:
			return "regional mirror for a client that sends Authorization"
		case c.Target == Default && p.config.DefaultMirror == "":
			return "default mirror is not configured"
		case c.Target == Default && p.config.DefaultMirror == "/" && r.NoDistribution:
			return "default mirror / on a host without a distribution"
		case c.Target == SignatureUpstream && p.config.SignatureUpstream == "":
			return "signature upstream is not configured"
		}
	}
	if last := list[len(list)-1].Target; last != Upstream && last != SignatureUpstream {
		return "last candidate is a mirror: " + spell(p, &d)
	}
	if list[0].Target == Regional {
		if next := p.Next(r, &d); next < -1 || next >= len(p.config.Mirrors) || next == list[0].Mirror {
			return "failover to an invalid mirror"
		}
	}
	return ""
}
