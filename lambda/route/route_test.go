package route

import (
	"strings"
	"testing"

	"archeio/lambda/config"
	"archeio/lambda/oci"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// Parts of configurations, for plan.
const (
	mirrors      = " MIRROR_REGIONS=us-east-1,eu-west-1,ap-east-1 MIRROR_URL_TEMPLATE=https://mirror-{region}.example"
	distribution = " DEFAULT_AWS_BASE_URL=https://d.example"
	sameHost     = " DEFAULT_AWS_BASE_URL=/ DEFAULT_MIRROR_CHECK_URL=https://bucket.example"
	rules        = " MIRROR_FOR=cn-north-1:ap-east-1,us-east-1:eu-west-1,eu-west-3:us-east-1,me-west-1:eu-west-1"
	signatures   = " SIGNATURE_UPSTREAM_ENDPOINT=https://signatures.example"
	both         = mirrors + distribution
)

const (
	hex64  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	sha256 = "sha256:" + hex64
	sha512 = "sha512:" + hex64 + hex64
)

var (
	tokyo   = regions.Point{Latitude: 35.7, Longitude: 139.7}
	nowhere = regions.Point{Latitude: 91}
)

// plan returns a Planner for variables NAME=value, separated by spaces.
func plan(t testing.TB, env string) *Planner {
	t.Helper()
	all := map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example"}
	for item := range strings.FieldsSeq(env) {
		name, value, _ := strings.Cut(item, "=")
		all[name] = value
	}
	c, err := config.Load(func(name string) string { return all[name] })
	if err != nil {
		t.Fatal(err)
	}
	return New(c)
}

// spell returns the candidates as text: mirrors by region, others by name.
func spell(p *Planner, d *Decision) string {
	var words []string
	for _, c := range d.Candidates() {
		switch c.Target {
		case Regional:
			words = append(words, p.config.Mirrors[c.Mirror].Region)
		case Default:
			words = append(words, "default")
		case Upstream:
			words = append(words, "upstream")
		case SignatureUpstream:
			words = append(words, "signatures")
		default:
			words = append(words, "nowhere")
		}
	}
	return strings.Join(words, " ")
}

func from(cloud ranges.Cloud, region string, options ...func(*Request)) Request {
	r := Request{
		Path:  oci.Path{Kind: oci.Blob, Name: "pause", Reference: sha256, Digest: true},
		Place: ranges.Place{Cloud: cloud, Region: region},
	}
	for _, option := range options {
		option(&r)
	}
	return r
}

func aws(region string, options ...func(*Request)) Request {
	return from(ranges.AWS, region, options...)
}

func authorized(r *Request)   { r.Authorized = true }
func loadBalancer(r *Request) { r.NoDistribution = true }

func at(p regions.Point) func(*Request) {
	return func(r *Request) { r.Viewer, r.Positioned = p, true }
}

func digest(s string) func(*Request) {
	return func(r *Request) { r.Path.Reference = s }
}

var blobTests = []struct {
	name, env string
	request   Request
	want      string
	reason    Reason
}{
	{"cloud", both, from(ranges.GCP, "europe-west9"), "upstream", UpstreamCloud},
	{"cloud-global", both, from(ranges.GCP, "global"), "upstream", UpstreamCloud},
	{"cloud-authorized", both, from(ranges.GCP, "europe-west9", authorized), "upstream", UpstreamCloud},
	{"cloud-signatures", both + signatures, from(ranges.GCP, "europe-west9"), "upstream signatures", UpstreamCloud},
	{"cloud-no-mirror", "", from(ranges.GCP, "europe-west9"), "upstream", UpstreamCloud},
	{"clouds-none", both + " UPSTREAM_CLOUDS=none", from(ranges.GCP, "europe-west9"), "default upstream", DefaultMirror},
	{"clouds-none-unknown", both + " UPSTREAM_CLOUDS=none", from("", ""), "default upstream", DefaultMirror},
	{"clouds-oci", both + " UPSTREAM_CLOUDS=OCI", from(ranges.OCI, "us-ashburn-1"), "upstream", UpstreamCloud},
	{"clouds-azure", both + " UPSTREAM_CLOUDS=Azure", from(ranges.Azure, "westeurope"), "upstream", UpstreamCloud},
	{"clouds-azure-others", both + " UPSTREAM_CLOUDS=Azure", from(ranges.GCP, "europe-west9"), "default upstream", DefaultMirror},
	{"clouds-aws", both + " UPSTREAM_CLOUDS=GCP,AWS", aws("eu-west-1"), "upstream", UpstreamCloud},
	{"clouds-before-rule", both + rules + " UPSTREAM_CLOUDS=AWS", aws("cn-north-1"), "upstream", UpstreamCloud},

	{"rule-other-partition", both + rules, aws("cn-north-1"), "ap-east-1 default upstream", MirrorRule},
	{"rule-before-own-mirror", both + rules, aws("us-east-1"), "eu-west-1 default upstream", MirrorRule},
	{"rule-before-nearest", both + rules, aws("eu-west-3"), "us-east-1 default upstream", MirrorRule},
	{"rule-no-coordinates", both + rules, aws("me-west-1"), "eu-west-1 default upstream", MirrorRule},
	{"rule-no-default", mirrors + rules, aws("cn-north-1"), "ap-east-1 upstream", MirrorRule},
	{"rule-before-viewer", mirrors + rules, aws("us-east-1", at(tokyo)), "eu-west-1 upstream", MirrorRule},
	{"rule-other-region", both + rules, aws("cn-northwest-1"), "default upstream", DefaultMirror},
	{"rule-other-cloud", both + rules, from(ranges.Azure, "cn-north-1"), "default upstream", DefaultMirror},
	{"rule-signatures", both + rules + signatures, aws("cn-north-1"), "ap-east-1 default upstream signatures", MirrorRule},

	{"own", both, aws("eu-west-1"), "eu-west-1 default upstream", AWSRegion},
	{"own-first", both, aws("us-east-1"), "us-east-1 default upstream", AWSRegion},
	{"own-no-default", mirrors, aws("ap-east-1"), "ap-east-1 upstream", AWSRegion},
	{"own-signatures", both + signatures, aws("eu-west-1"), "eu-west-1 default upstream signatures", AWSRegion},
	{"own-function-elsewhere", mirrors + " AWS_REGION=ap-east-1", aws("eu-west-1", at(tokyo)), "eu-west-1 upstream", AWSRegion},
	{"nearest", both, aws("eu-west-3"), "eu-west-1 default upstream", NearestRegion},
	{"nearest-no-default", mirrors, aws("ap-northeast-1"), "ap-east-1 upstream", NearestRegion},
	{"nearest-function-elsewhere", mirrors + " AWS_REGION=ap-east-1", aws("us-west-2", at(tokyo)), "us-east-1 upstream", NearestRegion},
	{"no-regional-mirror", distribution, aws("eu-west-1"), "default upstream", DefaultMirror},
	{"no-mirror", "", aws("eu-west-1"), "upstream", NoMirror},
	{"no-mirror-signatures", signatures, aws("eu-west-1"), "upstream signatures", NoMirror},

	{"global", both, aws("GLOBAL"), "default upstream", DefaultMirror},
	{"china", both, aws("cn-north-1"), "default upstream", DefaultMirror},
	{"government", both, aws("us-gov-west-1"), "default upstream", DefaultMirror},
	{"sovereign", both, aws("eusc-de-east-1"), "default upstream", DefaultMirror},
	{"no-coordinates", both, aws("me-west-1"), "default upstream", DefaultMirror},
	{"oci", both, from(ranges.OCI, "us-ashburn-1"), "default upstream", DefaultMirror},
	{"azure", both, from(ranges.Azure, "westeurope"), "default upstream", DefaultMirror},
	{"azure-region-like-aws", both, from(ranges.Azure, "eu-west-1"), "default upstream", DefaultMirror},
	{"unknown", both, from("", ""), "default upstream", DefaultMirror},
	{"unknown-signatures", both + signatures, from("", ""), "default upstream signatures", DefaultMirror},
	{"unknown-positioned", both + " AWS_REGION=eu-west-1", from("", "", at(tokyo)), "default upstream", DefaultMirror},

	{"viewer", mirrors, from("", "", at(tokyo)), "ap-east-1 upstream", ViewerPosition},
	{"viewer-global", mirrors, aws("GLOBAL", at(tokyo)), "ap-east-1 upstream", ViewerPosition},
	{"viewer-china", mirrors, aws("cn-north-1", at(tokyo)), "ap-east-1 upstream", ViewerPosition},
	{"viewer-azure", mirrors, from(ranges.Azure, "westeurope", at(tokyo)), "ap-east-1 upstream", ViewerPosition},
	{"viewer-before-function", mirrors + " AWS_REGION=eu-west-1", from("", "", at(tokyo)), "ap-east-1 upstream", ViewerPosition},
	{"viewer-at-zero", mirrors + " AWS_REGION=us-east-1", from("", "", at(regions.Point{})), "eu-west-1 upstream", ViewerPosition},
	{"viewer-not-positioned", mirrors + " AWS_REGION=us-east-1", from("", "", func(r *Request) { r.Viewer = tokyo }), "us-east-1 upstream", FunctionRegion},
	{"viewer-position-invalid", mirrors + " AWS_REGION=us-east-1", from("", "", at(nowhere)), "us-east-1 upstream", FunctionRegion},
	{"viewer-no-mirror", "", from("", "", at(tokyo)), "upstream", NoMirror},
	{"function", mirrors + " AWS_REGION=eu-west-1", from("", ""), "eu-west-1 upstream", FunctionRegion},
	// Both are at the same point; the other one is first in the list.
	{"function-own-at-same-point", " AWS_REGION=us-east-2 MIRROR_REGIONS=us-gov-east-1,us-east-2 MIRROR_URL_TEMPLATE=https://{region}.example", from("", ""), "us-east-2 upstream", FunctionRegion},
	{"function-nearest", mirrors + " AWS_REGION=eu-west-3", from("", ""), "eu-west-1 upstream", FunctionRegion},
	{"function-no-coordinates-client", mirrors + " AWS_REGION=ap-east-1", aws("me-west-1"), "ap-east-1 upstream", FunctionRegion},
	{"function-signatures", mirrors + signatures + " AWS_REGION=eu-west-3", from("", ""), "eu-west-1 upstream signatures", FunctionRegion},
	{"function-unknown", mirrors + " AWS_REGION=me-west-1", from("", ""), "upstream", NoMirror},
	{"function-region-unset", mirrors, from("", ""), "upstream", NoMirror},
	{"function-no-mirror", " AWS_REGION=eu-west-1", from("", ""), "upstream", NoMirror},

	{"host-distribution", mirrors + sameHost, from("", ""), "default upstream", DefaultMirror},
	{"host-distribution-own", mirrors + sameHost, aws("eu-west-1"), "eu-west-1 default upstream", AWSRegion},
	{"host-balancer-own", mirrors + sameHost, aws("eu-west-1", loadBalancer), "eu-west-1 upstream", AWSRegion},
	{"host-balancer-function", mirrors + sameHost + " AWS_REGION=eu-west-3", from("", "", loadBalancer), "eu-west-1 upstream", FunctionRegion},
	{"host-balancer-viewer", mirrors + sameHost, from("", "", loadBalancer, at(tokyo)), "ap-east-1 upstream", ViewerPosition},
	{"host-balancer-no-mirror", sameHost, from("", "", loadBalancer), "upstream", NoMirror},
	{"absolute-balancer", both, from("", "", loadBalancer), "default upstream", DefaultMirror},
	{"absolute-balancer-own", both, aws("eu-west-1", loadBalancer), "eu-west-1 default upstream", AWSRegion},

	{"authorized-own", both, aws("eu-west-1", authorized), "default upstream", Authorization},
	{"authorized-nearest", both, aws("eu-west-3", authorized), "default upstream", Authorization},
	{"authorized-rule", both + rules, aws("cn-north-1", authorized), "default upstream", Authorization},
	{"authorized-signatures", both + signatures, aws("eu-west-1", authorized), "default upstream signatures", Authorization},
	// Without Authorization these go to the default mirror too.
	{"authorized-unknown", both, from("", "", authorized), "default upstream", DefaultMirror},
	{"authorized-no-default", mirrors, aws("eu-west-1", authorized), "upstream", NoMirror},
	{"authorized-no-default-signatures", mirrors + signatures, aws("eu-west-1", authorized), "upstream signatures", NoMirror},
	{"authorized-function", mirrors + " AWS_REGION=eu-west-1", from("", "", authorized), "upstream", NoMirror},
	{"authorized-viewer", mirrors, from("", "", authorized, at(tokyo)), "upstream", NoMirror},
	{"authorized-host", mirrors + sameHost, aws("eu-west-1", authorized), "default upstream", Authorization},
	{"authorized-host-balancer", mirrors + sameHost, aws("eu-west-1", authorized, loadBalancer), "upstream", NoMirror},

	{"sha512", both, aws("eu-west-1", digest(sha512)), "upstream", UpstreamDigest},
	{"sha512-signatures", both + signatures, aws("eu-west-1", digest(sha512)), "upstream signatures", UpstreamDigest},
	{"sha512-cloud-signatures", both + signatures, from(ranges.GCP, "europe-west9", digest(sha512)), "upstream signatures", UpstreamCloud},
	{"algorithm", both, aws("eu-west-1", digest("blake3:"+hex64)), "upstream", UpstreamDigest},
	{"algorithm-rule", both + rules, aws("cn-north-1", digest("blake3:"+hex64)), "upstream", UpstreamDigest},
	{"algorithm-unknown", both, from("", "", digest("sha384:"+hex64)), "upstream", UpstreamDigest},
	{"algorithm-longer-name", both, aws("eu-west-1", digest("sha256+x:"+hex64)), "upstream", UpstreamDigest},
	{"algorithm-authorized", both, aws("eu-west-1", authorized, digest("blake3:"+hex64)), "upstream", UpstreamDigest},
	{"algorithm-signatures", both + signatures, aws("eu-west-1", digest("blake3:"+hex64)), "upstream", UpstreamDigest},
	{"algorithm-cloud-signatures", both + signatures, from(ranges.GCP, "europe-west9", digest("md5:abc")), "upstream", UpstreamCloud},
	{"algorithm-no-mirror-signatures", signatures, aws("eu-west-1", digest("md5:abc")), "upstream", UpstreamDigest},
}

func TestBlob(t *testing.T) {
	t.Parallel()
	for _, tt := range blobTests {
		t.Run(tt.name, func(t *testing.T) {
			p := plan(t, tt.env)
			d := p.Decide(&tt.request)
			if got := spell(p, &d); got != tt.want || d.Reason != tt.reason {
				t.Errorf("%q with reason %s, want %q with reason %s", got, d.Reason, tt.want, tt.reason)
			}
		})
	}
}
