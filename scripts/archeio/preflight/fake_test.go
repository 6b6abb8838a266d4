package preflight

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archeio/infra/leftover"
	"archeio/infra/stage"
	"archeio/scripts/archeio/cli"
)

// fake is an AWS account as the checks see it.
type fake struct {
	id                  string
	err                 error // of account
	public, orgBlocks   bool
	orgErr              error
	hostedZone          zone
	servers             []string // of public DNS
	serversErr          error
	disabled            string // region
	version, concurrent int
	quotas              map[string]int
	edge                []string            // CloudFront functions
	existing            map[string]settings // by bucket
	buckets             map[string]leftover.Ownership
	stackOf, tag        map[string]string // by bucket
	status              map[string]string // by stack
	output              string
	outputs             map[string]string   // by stack and key, separated by a space
	stacks              map[string][]string // by region
	missing             map[string]int      // blobs by mirror
	networks            []subnet
	vpcCount            int
	qualifier           string                  // of the bootstrap stacks, empty for the default
	recordsOf           map[string][]string     // types by host
	aliasOf             map[string]string       // distributions by host
	canonical           map[string]string       // by host
	certificateOf       map[string]*certificate // by ARN
	domainKeys          string                  // in place of domain and hostedZone
	noEmail             bool
	context             string // of cdk.json, before the stages
	all                 int    // concurrent executions, 0 for 1000
	// domain is the transport for requests to the stage's own domain.
	domain roundTripper
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// responds returns a transport with one response.
func responds(header http.Header) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: header, Body: http.NoBody, Request: r}, nil
	}
}

// ready returns an account in which every check passes.
func ready() fake {
	return fake{
		id: "123456789012", version: 30, concurrent: 1000, servers: []string{"ns-1.awsdns.example."}, output: "hash-arm64",
		hostedZone: zone{name: "example.com.", servers: []string{"ns-1.awsdns.example", "ns-2.awsdns.example"}},
		quotas:     map[string]int{originsQuota: 25},
	}
}

// with returns a ready account with a change.
func with(change func(*fake)) fake {
	f := ready()
	change(&f)
	return f
}

func (f fake) account(context.Context) (string, error)           { return f.id, f.err }
func (f fake) publicAccessBlocked(context.Context) (bool, error) { return f.public, nil }
func (f fake) organizationBlocks(context.Context) (bool, error)  { return f.orgBlocks, f.orgErr }
func (f fake) zone(context.Context, string) (zone, error)        { return f.hostedZone, nil }
func (f fake) records(_ context.Context, _, host string) ([]string, error) {
	return f.recordsOf[host], nil
}
func (f fake) aliases(context.Context) (map[string]string, error) { return f.aliasOf, nil }
func (f fake) certificate(_ context.Context, _, arn string) (*certificate, error) {
	return f.certificateOf[arn], nil
}
func (f fake) quota(_ context.Context, _, _, name string) (int, bool, error) {
	n, ok := f.quotas[name]
	return n, ok, nil
}
func (f fake) functions(context.Context) ([]string, error) { return f.edge, nil }
func (f fake) enabled(_ context.Context, region string) (bool, error) {
	return region != f.disabled, nil
}
func (f fake) bootstrapped(_ context.Context, _, qualifier string) (int, error) {
	if qualifier != cmp.Or(f.qualifier, stage.DefaultQualifier) {
		return 0, nil
	}
	return f.version, nil
}
func (f fake) concurrency(context.Context, string) (all, unreserved int, err error) {
	return cmp.Or(f.all, 1000), f.concurrent, nil
}
func (f fake) Output(_ context.Context, region, stack, key string) (string, error) {
	if stack == "archeio-first-redirector-"+region && key == "CodeHash" {
		return f.output, nil
	}
	return f.outputs[stack+" "+key], nil
}
func (f fake) vpcs(context.Context, string) (int, error)                   { return f.vpcCount, nil }
func (f fake) subnets(context.Context, string, []string) ([]subnet, error) { return f.networks, nil }
func (f fake) Stacks(_ context.Context, region string) ([]string, error) {
	if region == "ap-east-2" {
		return nil, errors.New("the region is not enabled")
	}
	return f.stacks[region], nil
}
func (f fake) missingBlobs(_ context.Context, _, mirror string) (int, bool, error) {
	n, known := f.missing[mirror]
	return n, known, nil
}
func (f fake) settings(_ context.Context, _, bucket string) settings { return f.existing[bucket] }
func (f fake) StackStatus(_ context.Context, _, stack string) (string, error) {
	return f.status[stack], nil
}
func (f fake) StackResources(context.Context, string, string) ([]string, error) { return nil, nil }
func (f fake) StackOf(_ context.Context, _, _, bucket string) (string, error) {
	return f.stackOf[bucket], nil
}
func (f fake) StageTag(_ context.Context, _, bucket string) (string, error) {
	return f.tag[bucket], nil
}
func (f fake) Ownership(_ context.Context, _, name string) (leftover.Ownership, error) {
	return f.buckets[name], nil
}

// outcome is what a run of the command printed, and its exit code.
type outcome struct {
	code           int
	stdout, stderr string
}

func preflightOf(t *testing.T, f fake, status int, args ...string) outcome {
	t.Helper()
	return preflightWith(t, t.Context(), f, status, "", args...)
}

// preflightWith runs the command for a stage with more keys and an upstream that
// returns a status.
func preflightWith(t *testing.T, ctx context.Context, f fake, status int, keys string, args ...string) outcome {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("request to the upstream with an Authorization header")
		}
		if r.URL.Path != "/v2/" && r.URL.Path != "/v2/images/pause/manifests/3.9" {
			t.Errorf("request to the upstream for %s", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "cdk.json")
	const first = `{"account": "123456789012", "mirrors": ["eu-west-1"], "redirectors": ["eu-west-1"], "upstream": {"endpoint": "https://registry.example"}}`
	if err := os.WriteFile(file, []byte(`{"context": {`+f.context+`"stages": {"first": `+first+`, "elsewhere": `+strings.Replace(first, "123456789012", "210987654321", 1)+`, "test": {
		"account": "123456789012", "mirrors": ["eu-central-1", "us-west-2"], "redirectors": ["eu-central-1"],
		`+cmp.Or(f.domainKeys, `"domain": "registry.example.com", "hostedZone": {"id": "Z0123456789ABCDEFGHIJ", "name": "example.com"}`)+`,
		`+map[bool]string{false: `"email": "operators@example.com",`}[f.noEmail]+`
		"upstream": {"endpoint": "`+upstream.URL+`", "path": "images"}`+keys+`
	}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	code := cli.Run(ctx, command(external{
		connect: func(_ context.Context, profile string) (cloud, error) {
			f := f
			if profile != "" {
				f.id = profile
			}
			return f, nil
		},
		client: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "registry.example.com" {
				return f.domain(r)
			}
			return upstream.Client().Transport.RoundTrip(r)
		})},
		canonical: func(_ context.Context, host string) (string, error) {
			if to := f.canonical[host]; to != "" {
				return to, nil
			}
			return "", errors.New("no such host")
		},
		nameServers: func(context.Context, string) ([]string, error) { return f.servers, f.serversErr },
		codeHash:    func(_ context.Context, architecture string) (string, error) { return "hash-" + architecture, nil },
	}), append([]string{"-file", file, "-stage", "test"}, args...), strings.NewReader(""), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}
