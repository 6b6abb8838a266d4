package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archeio/infra/leftover"
)

// fake is an account in which all is well, but for what a test changes.
type fake struct {
	id                  string
	err                 error
	public, orgBlocks   bool
	orgErr              error
	theZone             zone
	servers             []string
	serversErr          error
	disabled            string
	version, concurrent int
	quotas              map[string]int
	edge                []string // functions there
	buckets             map[string]leftover.Whose
	owner, tag, status  map[string]string
	output              string
}

func well() fake {
	return fake{
		id: "123456789012", version: 30, concurrent: 1000, servers: []string{"ns-1.awsdns.example."}, output: "hash-arm64",
		theZone: zone{name: "example.com.", servers: []string{"ns-1.awsdns.example", "ns-2.awsdns.example"}},
		quotas:  map[string]int{originsQuota: 25},
	}
}

func (f fake) account(context.Context) (string, error)           { return f.id, f.err }
func (f fake) publicAccessBlocked(context.Context) (bool, error) { return f.public, nil }
func (f fake) organizationBlocks(context.Context) (bool, error)  { return f.orgBlocks, f.orgErr }
func (f fake) zone(context.Context, string) (zone, error)        { return f.theZone, nil }
func (f fake) quota(_ context.Context, _, name string) (int, bool, error) {
	n, ok := f.quotas[name]
	return n, ok, nil
}
func (f fake) functions(context.Context) ([]string, error) { return f.edge, nil }
func (f fake) enabled(_ context.Context, region string) (bool, error) {
	return region != f.disabled, nil
}
func (f fake) bootstrapped(context.Context, string) (int, error) { return f.version, nil }
func (f fake) concurrency(context.Context, string) (int, error)  { return f.concurrent, nil }
func (f fake) Output(_ context.Context, region, stack, key string) (string, error) {
	if stack == "archeio-first-redirector-"+region && key == "CodeHash" {
		return f.output, nil
	}
	return "", nil
}
func (f fake) Status(_ context.Context, _, stack string) (string, error)   { return f.status[stack], nil }
func (f fake) Resources(context.Context, string, string) ([]string, error) { return nil, nil }
func (f fake) Owner(_ context.Context, _, _, bucket string) (string, error) {
	return f.owner[bucket], nil
}
func (f fake) Stage(_ context.Context, _, bucket string) (string, error) { return f.tag[bucket], nil }
func (f fake) Bucket(_ context.Context, _, name string) (leftover.Whose, error) {
	return f.buckets[name], nil
}

func preflightOf(t *testing.T, f fake, status int, args ...string) (string, error) {
	t.Helper()
	return preflightWith(t, f, status, "", args...)
}

// preflightWith runs preflight for a stage with more keys.
func preflightWith(t *testing.T, f fake, status int, more string, args ...string) (string, error) {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the upstream is asked with a login")
		}
		if r.URL.Path != "/v2/" && r.URL.Path != "/v2/images/pause/manifests/3.9" {
			t.Errorf("the upstream is asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "cdk.json")
	const first = `{"account": "123456789012", "mirrors": ["eu-west-1"], "redirectors": ["eu-west-1"], "upstream": {"endpoint": "https://registry.example"}}`
	if err := os.WriteFile(file, []byte(`{"context": {"stages": {"first": `+first+`, "elsewhere": `+strings.Replace(first, "123456789012", "210987654321", 1)+`, "test": {
		"account": "123456789012", "mirrors": ["eu-central-1", "us-west-2"], "redirectors": ["eu-central-1"],
		"domain": "registry.example.com", "hostedZone": {"id": "Z0123456789ABCDEFGHIJ", "name": "example.com"},
		"upstream": {"endpoint": "`+upstream.URL+`", "path": "images"}`+more+`
	}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err := run(t.Context(), append([]string{"-file", file, "-stage", "test"}, args...), &out, world{
		connect: func(_ context.Context, profile string) (cloud, error) {
			f := f
			if profile != "" {
				f.id = profile
			}
			return f, nil
		},
		client:  upstream.Client(),
		servers: func(context.Context, string) ([]string, error) { return f.servers, f.serversErr },
		hash:    func(_ context.Context, architecture string) (string, error) { return "hash-" + architecture, nil },
	})
	return out.String(), err
}

func TestAllIsWell(t *testing.T) {
	got, err := preflightOf(t, well(), 200, "-image", "pause:3.9")
	if err != nil || strings.Contains(got, string(blocked)) || strings.Contains(got, string(unsure)) {
		t.Errorf("%v\n%s", err, got)
	}
	// The edge's region is one of the stage's too.
	for _, want := range []string{"us-east-1 ", "eu-central-1 ", "us-west-2 ", "the account has 1000, the stage needs 15 at once", "-state-123456789012-eu-central-1-an is free",
		"the account lets mirrors be public", "no S3 policy of an organization", "asked of the zone's own name servers", "none is in the way",
		"the account has 25, and 3 are needed", "Service Quotas does not name it, usual are 100, and 1 are needed"} {
		if !strings.Contains(got, want) {
			t.Errorf("the table does not say %q:\n%s", want, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	change := func(f func(*fake)) fake { out := well(); f(&out); return out }
	const mirror, mirrorStack = "archeio-test-123456789012-us-west-2-an", "archeio-test-mirror-us-west-2"
	mine := map[string]leftover.Whose{mirror: leftover.Ours}
	for _, tt := range []struct {
		name   string
		cloud  fake
		status int
		args   []string
		stops  bool
		want   string
	}{
		{"login", change(func(f *fake) { f.err = errors.New("expired") }), 200, nil, true, "AWS does not take the credentials: expired; log in"},
		{"account", change(func(f *fake) { f.id = "210987654321" }), 200, nil, true, "they are of the account 210987654321, the stage is in 123456789012"},
		{"public", change(func(f *fake) { f.public = true }), 200, nil, true, "switch BlockPublicPolicy and RestrictPublicBuckets off"},
		{"organization", change(func(f *fake) { f.orgBlocks = true }), 200, nil, true, "exempt the account 123456789012 from its S3 policy"},
		{"organization-unseen", change(func(f *fake) { f.orgErr = errors.New("access denied") }), 200, nil, false, "cannot be seen from here: access denied; ask those who run it"},
		{"zone", change(func(f *fake) { f.theZone.name = "example.org." }), 200, nil, true, "is the zone example.org., the stage says example.com"},
		{"region", change(func(f *fake) { f.disabled = "us-west-2" }), 200, nil, true, "aws account enable-region --region-name us-west-2"},
		{"bootstrap", change(func(f *fake) { f.version = 0 }), 200, nil, true, "run make bootstrap STAGE=test"},
		{"concurrency", change(func(f *fake) { f.concurrent = 10 }), 200, nil, true, "the account has 10 of the 15"},
		{"requests", well(), 200, []string{"-requests", "20000"}, true, "the account has 1000 of the 2005"},
		{"bucket", change(func(f *fake) { f.buckets = map[string]leftover.Whose{mirror: leftover.Others} }), 200, nil, true, mirror + ": the bucket belongs to another account"},
		{"bucket-left", change(func(f *fake) { f.buckets, f.tag = mine, map[string]string{mirror: "test"} }), 200, nil, true, mirror + ": an earlier deployment has left the bucket behind, and its stack cannot make it again; run make adopt STAGE=test"},
		{"bucket-unknown", change(func(f *fake) { f.buckets = mine }), 200, nil, true, "belongs to no stack, and its tag archeio:stage is"},
		{"bucket-in-its-stack", change(func(f *fake) {
			f.buckets, f.owner, f.status = mine, map[string]string{mirror: mirrorStack}, map[string]string{mirrorStack: "UPDATE_COMPLETE"}
		}), 200, nil, false, mirror + " is there, in its stack"},
		{"bucket-in-another", change(func(f *fake) { f.buckets, f.owner = mine, map[string]string{mirror: "website"} }), 200, nil, true, "belongs to the stack website"},
		{"stack-failed", change(func(f *fake) { f.status = map[string]string{mirrorStack: "ROLLBACK_COMPLETE"} }), 200, nil, true, mirrorStack + ": it is in ROLLBACK_COMPLETE, and nothing is left of it but perhaps its bucket; run make adopt"},
		{"stack-busy", change(func(f *fake) { f.status = map[string]string{mirrorStack: "UPDATE_IN_PROGRESS"} }), 200, nil, true, "it is in UPDATE_IN_PROGRESS; wait for it"},
		{"edge-stack", change(func(f *fake) { f.status = map[string]string{"archeio-test-edge-us-east-1": "UPDATE_ROLLBACK_FAILED"} }), 200, nil, true, "continue-update-rollback --region us-east-1"},
		{"zone-private", change(func(f *fake) { f.theZone.private = true }), 200, nil, true, "is a private zone, in which no certificate can be validated"},
		{"zone-elsewhere", change(func(f *fake) { f.servers = []string{"ns.registrar.example."} }), 200, nil, true, "the world asks ns.registrar.example. for example.com, the zone is on ns-1.awsdns.example, ns-2.awsdns.example"},
		{"zone-unseen", change(func(f *fake) { f.serversErr = errors.New("no such host") }), 200, nil, false, "the name servers of example.com are not found from here: no such host"},
		{"origins", change(func(f *fake) { f.quotas[originsQuota] = 2 }), 200, nil, true, "the account has 2, and 3 are needed; ask for more of \"Origins per distribution\""},
		{"functions", change(func(f *fake) { f.quotas[functionsQuota], f.edge = 2, []string{"a", "b"} }), 200, nil, true, "the account has 2, and 3 are needed; ask for more of \"Functions per AWS account\""},
		{"functions-with-ours", change(func(f *fake) { f.quotas[functionsQuota], f.edge = 2, []string{"a", "archeio-test-viewer-request"} }), 200, nil, false, "the account has 2, and 2 are needed"},
		{"challenge", well(), 401, []string{"-image", "pause:3.9"}, true, "it wants a token for pause:3.9"},
		{"no-image", well(), 404, []string{"-image", "pause:3.9"}, true, "it answers 404 for pause:3.9"},
		{"ping", well(), 401, nil, false, "name an image by -image to know"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := preflightOf(t, tt.cloud, tt.status, tt.args...)
			if errors.Is(err, errInTheWay) != tt.stops || err != nil && !tt.stops {
				t.Errorf("error %v, want one: %v\n%s", err, tt.stops, got)
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("the table does not say %q:\n%s", tt.want, got)
			}
		})
	}
}

func TestUnknownStage(t *testing.T) {
	if _, err := preflightOf(t, well(), 200, "-stage", "none"); err == nil || !strings.Contains(err.Error(), `there is no stage "none"`) {
		t.Errorf("error %v", err)
	}
}

// The stage that comes first must run the code of this source.
func TestAfter(t *testing.T) {
	change := func(f func(*fake)) fake { out := well(); f(&out); return out }
	for _, tt := range []struct {
		name, keys string
		cloud      fake
		args       []string
		stops      bool
		want       string // empty where it is not looked at
	}{
		{"runs", `, "release": {"after": "first"}`, well(), nil, false, "the stage first runs this code in all of its regions"},
		{"runs-another", `, "release": {"after": "first"}`, change(func(f *fake) { f.output = "older" }), nil, true, "the stage first does not run this code in eu-west-1; run make deploy STAGE=first first"},
		{"runs-nothing", `, "release": {"after": "first"}`, change(func(f *fake) { f.output = "" }), nil, true, "the stage first does not run this code in eu-west-1"},
		{"no-time", `, "release": {"after": "first"}`, change(func(f *fake) { f.output = "older" }), []string{"-release", "none"}, false, ""},
		{"other-account", `, "release": {"after": "elsewhere"}`, well(), nil, false, "in the account 210987654321, which these credentials do not see; name a profile of it by -after-profile"},
		{"other-account-profile", `, "release": {"after": "elsewhere"}`, well(), []string{"-after-profile", "210987654321"}, true, "the stage elsewhere does not run this code in eu-west-1"},
		{"nothing-first", `, "release": {}`, change(func(f *fake) { f.output = "older" }), nil, false, ""},
		{"no-login", `, "release": {"after": "first"}`, change(func(f *fake) { f.err = errors.New("expired") }), nil, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := preflightWith(t, tt.cloud, 200, tt.keys, tt.args...)
			if errors.Is(err, errInTheWay) != tt.stops || err != nil && !tt.stops {
				t.Errorf("error %v, want one: %v\n%s", err, tt.stops, got)
			}
			if looked := strings.Contains(got, "release  "); looked != (tt.want != "") || !strings.Contains(got, tt.want) {
				t.Errorf("the table does not say %q:\n%s", tt.want, got)
			}
		})
	}
	if _, err := preflightOf(t, well(), 200, "-release", "fast"); err == nil || !strings.Contains(err.Error(), `release="fast": takes none`) {
		t.Errorf("error %v", err)
	}
}

// One that has signatures lacks the images, and must not want a token either.
func TestSignatureUpstream(t *testing.T) {
	for status, want := range map[int]string{200: "it answers without a token", 404: "it answers without a token", 401: "it wants a token for pause:3.9"} {
		signatures := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		got, err := preflightWith(t, well(), 200, `, "signatureUpstream": "`+signatures.URL+`"`, "-image", "pause:3.9")
		signatures.Close()
		if (err != nil) != (status == 401) || !strings.Contains(got, want) || !strings.Contains(got, signatures.URL) {
			t.Errorf("%d: %v, want %q:\n%s", status, err, want, got)
		}
	}
}

func TestPolicyBlocks(t *testing.T) {
	for text, want := range map[string]bool{
		`{"s3_attributes":{"public_access_block_configuration":"all"}}`:  true,
		`{"s3_attributes":{"public_access_block_configuration":"none"}}`: false,
		`{}`: false,
	} {
		if got, err := policyBlocks(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if _, err := policyBlocks("all"); err == nil {
		t.Error("what is no JSON is understood")
	}
}
