package preflight

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"archeio/infra/leftover"
	"archeio/scripts/archeio/cli"
)

func TestReadyStage(t *testing.T) {
	t.Parallel()
	got := preflightOf(t, ready(), 200, "-image", "pause:3.9")
	if got.code != cli.ExitDone || strings.Contains(got.stdout, string(cli.Fail)) || strings.Contains(got.stdout, string(cli.Warn)) || got.stderr != "" {
		t.Errorf("exit code %d, stderr %q\n%s", got.code, got.stderr, got.stdout)
	}
	// us-east-1 is not in the stage, but CloudFront requires it.
	for _, want := range []string{"us-east-1 ", "eu-central-1 ", "us-west-2 ", "the account has 1000 unreserved concurrent executions (15 needed)", "-state-123456789012-eu-central-1-an is available",
		"the account allows public buckets", "no S3 policy of an organization", "public DNS uses the hosted zone for example.com", "no stack blocks",
		"the quota is 25 (3 needed)", "quota not listed; assuming the default of 100 (1 needed)"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	const mirror, mirrorStack = "archeio-test-123456789012-us-west-2-an", "archeio-test-mirror-us-west-2"
	own := map[string]leftover.Ownership{mirror: leftover.Own}
	image := []string{"-image", "pause:3.9"}
	for _, tt := range []struct {
		name    string
		account fake
		status  int // of the upstream
		args    []string
		result  cli.Result
		want    string
	}{
		{"login", with(func(f *fake) { f.err = errors.New("expired") }), 200, nil, cli.Fail, "no valid AWS credentials: expired; log in"},
		{"account", with(func(f *fake) { f.id = "210987654321" }), 200, nil, cli.Fail, "the credentials are for account 210987654321, but the stage is in 123456789012"},
		{"public", with(func(f *fake) { f.public = true }), 200, nil, cli.Fail, "turn off BlockPublicPolicy and RestrictPublicBuckets"},
		{"organization", with(func(f *fake) { f.orgBlocks = true }), 200, nil, cli.Fail, "exempt account 123456789012 from its S3 policy"},
		{"organization-denied", with(func(f *fake) { f.orgErr = errors.New("access denied") }), 200, nil, cli.Warn, "could not check whether the organization blocks public buckets: access denied; ask its administrators"},
		{"zone", with(func(f *fake) { f.hostedZone.name = "example.org." }), 200, nil, cli.Fail, "is the zone example.org., but the stage has example.com"},
		{"zone-private", with(func(f *fake) { f.hostedZone.private = true }), 200, nil, cli.Fail, "is a private zone, which cannot validate a certificate"},
		{"zone-not-delegated", with(func(f *fake) { f.servers = []string{"ns.registrar.example."} }), 200, nil, cli.Fail, "public DNS has the name servers ns.registrar.example. for example.com, but the hosted zone is on ns-1.awsdns.example, ns-2.awsdns.example"},
		{"zone-lookup-failed", with(func(f *fake) { f.serversErr = errors.New("no such host") }), 200, nil, cli.Warn, "could not look up the name servers of example.com: no such host"},
		{"region", with(func(f *fake) { f.disabled = "us-west-2" }), 200, nil, cli.Fail, "aws account enable-region --region-name us-west-2"},
		{"bootstrap", with(func(f *fake) { f.version = 0 }), 200, nil, cli.Fail, "the region is not CDK-bootstrapped with the qualifier hnb659fds; run make bootstrap STAGE=test"},
		{"bootstrap-qualifier", with(func(f *fake) { f.context = `"@aws-cdk/core:bootstrapQualifier": "own", ` }), 200, nil, cli.Fail, "the region is not CDK-bootstrapped with the qualifier own; run make bootstrap STAGE=test CDK_ARGS='--qualifier own --toolkit-stack-name CDKToolkit-own'"},
		{"bootstrap-qualifier-found", with(func(f *fake) { f.qualifier, f.context = "own", `"@aws-cdk/core:bootstrapQualifier": "own", ` }), 200, image, cli.Pass, "the CDK bootstrap stack has version 30"},
		{"concurrency-new-account", with(func(f *fake) { f.concurrent, f.all = 10, 10 }), 200, image, cli.Warn, "the account is new and has 10 concurrent executions (15 needed): enough for a trial; request an increase"},
		{"bootstrap-old", with(func(f *fake) { f.version = 5 }), 200, nil, cli.Fail, "has version 5, want at least 6; run make bootstrap STAGE=test"},
		{"concurrency", with(func(f *fake) { f.concurrent = 10 }), 200, nil, cli.Fail, "the account has 10 unreserved concurrent executions (15 needed); request an increase"},
		{"requests", ready(), 200, []string{"-requests", "20000"}, cli.Fail, "(2005 needed); request an increase"},
		{"bucket", with(func(f *fake) { f.buckets = map[string]leftover.Ownership{mirror: leftover.Foreign} }), 200, nil, cli.Fail, mirror + ": the bucket is in another account or region"},
		{"bucket-left", with(func(f *fake) { f.buckets, f.tag = own, map[string]string{mirror: "test"} }), 200, nil, cli.Fail, mirror + ": the bucket is left over from an earlier deployment, and its stack cannot create it again; run make adopt STAGE=test"},
		{"bucket-untagged", with(func(f *fake) { f.buckets = own }), 200, nil, cli.Fail, "belongs to no stack, and its tag archeio:stage is"},
		{"bucket-in-its-stack", with(func(f *fake) {
			f.buckets, f.stackOf, f.status = own, map[string]string{mirror: mirrorStack}, map[string]string{mirrorStack: "UPDATE_COMPLETE"}
		}), 200, image, cli.Pass, mirror + " exists in its stack"},
		{"bucket-in-another-stack", with(func(f *fake) { f.buckets, f.stackOf = own, map[string]string{mirror: "website"} }), 200, nil, cli.Fail, "belongs to the stack website"},
		{"stack-failed", with(func(f *fake) { f.status = map[string]string{mirrorStack: "ROLLBACK_COMPLETE"} }), 200, nil, cli.Fail, mirrorStack + ": the stack is in ROLLBACK_COMPLETE and has no resources left, except possibly its bucket; run make adopt"},
		{"stack-busy", with(func(f *fake) { f.status = map[string]string{mirrorStack: "UPDATE_IN_PROGRESS"} }), 200, nil, cli.Fail, "the stack is in UPDATE_IN_PROGRESS; wait for it"},
		{"edge-stack", with(func(f *fake) { f.status = map[string]string{"archeio-test-edge-us-east-1": "UPDATE_ROLLBACK_FAILED"} }), 200, nil, cli.Fail, "continue-update-rollback --region us-east-1"},
		{"origins", with(func(f *fake) { f.quotas[originsQuota] = 2 }), 200, nil, cli.Fail, "the quota is 2 (3 needed); request an increase of \"Origins per distribution\""},
		{"functions", with(func(f *fake) { f.quotas[functionsQuota], f.edge = 2, []string{"a", "b"} }), 200, nil, cli.Fail, "the quota is 2 (3 needed); request an increase of \"Functions per AWS account\""},
		// While its code changes, the stage has two.
		{"functions-with-own", with(func(f *fake) {
			f.quotas[functionsQuota], f.edge = 2, []string{"a", "archeio-test-viewer-request-0123456789ab"}
		}), 200, nil, cli.Fail, "the quota is 2 (3 needed)"},
		{"challenge", ready(), 401, image, cli.Fail, "it requires a token for pause:3.9"},
		{"image-missing", ready(), 404, image, cli.Fail, "it returned 404 for pause:3.9"},
		{"challenge-without-image", ready(), 401, nil, cli.Warn, "pass -image to test with an image"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := preflightOf(t, tt.account, tt.status, tt.args...)
			code, stderr := cli.ExitDone, ""
			if tt.result == cli.Fail {
				code, stderr = cli.ExitProblem, "checks failed; fix them before the deployment\n"
			}
			if got.code != code || !strings.HasSuffix(got.stderr, stderr) || (got.stderr == "") != (stderr == "") {
				t.Errorf("exit code %d, want %d; stderr %q\n%s", got.code, code, got.stderr, got.stdout)
			}
			if !slices.ContainsFunc(strings.Split(got.stdout, "\n"), func(line string) bool {
				return strings.Contains(line, "  "+string(tt.result)+"  ") && strings.Contains(line, tt.want)
			}) {
				t.Errorf("no line with %s and %q in\n%s", tt.result, tt.want, got.stdout)
			}
		})
	}
}

// With both entry points the domain must lead to the distribution before load balancers
// redirect blobs to it.
func TestDomain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		keys   string
		domain roundTripper
		want   string
		target string // what the domain led to before
	}{
		{"balancers-to-cloudfront", ``, nil, `FAIL    registry.example.com leads to load balancers, which would be deleted before it leads to the distribution; deploy with "front": "both" and "domainPending": true first`, "load balancers"},
		{"balancers-to-both", `, "front": "both"`, nil, `FAIL    registry.example.com leads to load balancers; load balancers would redirect blobs there; set "domainPending": true`, "load balancers"},
		{"balancers-to-both-pending", `, "front": "both", "domainPending": true`, nil, "", "load balancers"},
		{"distribution", `, "front": "both"`, responds(http.Header{"X-Amz-Cf-Id": {"x"}}), "PASS    registry.example.com leads to a distribution", "distribution"},
		{"load-balancer", `, "front": "both"`, responds(http.Header{}), `WARN    registry.example.com does not lead to a CloudFront distribution; load balancers would redirect blobs there; set "domainPending": true`, ""},
		{"no-record", `, "front": "both"`, func(*http.Request) (*http.Response, error) { return nil, errors.New("no such host") }, "WARN    registry.example.com is not reachable: ", ""},
		{"pending", `, "front": "both", "domainPending": true`, nil, "", ""},
		{"cloudfront", ``, nil, "", "distribution"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := ready()
			f.domain, f.outputs = tt.domain, map[string]string{"archeio-test-domain-us-east-1 DomainTarget": tt.target}
			got := preflightWith(t, t.Context(), f, 200, tt.keys)
			if tt.want == "" && strings.Contains(got.stdout, " domain ") || !strings.Contains(got.stdout, tt.want) {
				t.Errorf("want %q in\n%s", tt.want, got.stdout)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	type output struct {
		Stage  string
		Ready  bool
		Checks []struct{ Where, Check, Result, Details string }
	}
	for _, tt := range []struct {
		name    string
		account fake
		ready   bool
		code    int
	}{
		{"ready", ready(), true, cli.ExitDone},
		{"blocked", with(func(f *fake) { f.public = true }), false, cli.ExitProblem},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			run := preflightOf(t, tt.account, 200, "-json")
			var got output
			if err := json.Unmarshal([]byte(run.stdout), &got); err != nil {
				t.Fatalf("%v in %s", err, run.stdout)
			}
			if run.code != tt.code || got.Stage != "test" || got.Ready != tt.ready || len(got.Checks) < 10 {
				t.Errorf("exit code %d, got %+v", run.code, got)
			}
			for _, c := range got.Checks {
				if c.Where == "" || c.Check == "" || c.Result == "" || c.Details == "" {
					t.Errorf("check %+v has an empty member", c)
				}
			}
		})
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, keys string
		args       []string
		want       string
	}{
		{"stage", "", []string{"-stage", "none"}, `"none"`},
		{"requests-zero", "", []string{"-requests", "0"}, "-requests 0: want a number above 0"},
		{"requests-not-a-number", "", []string{"-requests", "NaN"}, "-requests NaN: want a number above 0"},
		{"image-without-tag", "", []string{"-image", "pause"}, `-image "pause": want NAME:TAG`},
		{"image-digest", "", []string{"-image", "pause@sha256:00"}, "want NAME:TAG"},
		{"release", `, "release": {}`, []string{"-release", "fast"}, `"fast"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := preflightWith(t, t.Context(), ready(), 200, tt.keys, tt.args...)
			if got.code != cli.ExitUsage || !strings.Contains(got.stderr, tt.want) || got.stdout != "" {
				t.Errorf("exit code %d, stdout %q, stderr %q, want %q", got.code, got.stdout, got.stderr, tt.want)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := preflightWith(t, ctx, ready(), 200, ""); got.code != cli.ExitInterrupted || got.stdout != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
	}
}

// The stage in release.after must run the code of this source.
func TestReleasedBefore(t *testing.T) {
	t.Parallel()
	older := with(func(f *fake) { f.output = "older" })
	for _, tt := range []struct {
		name, keys string
		account    fake
		args       []string
		code       int
		want       string // empty if it is not checked
	}{
		{"runs", `, "release": {"after": "first"}`, ready(), nil, cli.ExitDone, "the stage first runs this code in all its regions"},
		{"runs-another", `, "release": {"after": "first"}`, older, nil, cli.ExitProblem, "the stage first does not run this code in eu-west-1; run make deploy STAGE=first first"},
		{"runs-nothing", `, "release": {"after": "first"}`, with(func(f *fake) { f.output = "" }), nil, cli.ExitProblem, "the stage first does not run this code in eu-west-1"},
		{"release-none", `, "release": {"after": "first"}`, older, []string{"-release", "none"}, cli.ExitDone, ""},
		{"other-account", `, "release": {"after": "elsewhere"}`, ready(), nil, cli.ExitDone, "in account 210987654321, which these credentials cannot read; pass a profile for it with -after-profile"},
		{"other-account-profile", `, "release": {"after": "elsewhere"}`, ready(), []string{"-after-profile", "210987654321"}, cli.ExitProblem, "the stage elsewhere does not run this code in eu-west-1"},
		{"no-after", `, "release": {}`, older, nil, cli.ExitDone, ""},
		{"login", `, "release": {"after": "first"}`, with(func(f *fake) { f.err = errors.New("expired") }), nil, cli.ExitProblem, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := preflightWith(t, t.Context(), tt.account, 200, tt.keys, tt.args...)
			if got.code != tt.code {
				t.Errorf("exit code %d, want %d; stderr %q\n%s", got.code, tt.code, got.stderr, got.stdout)
			}
			if checked := strings.Contains(got.stdout, "\nrelease "); checked != (tt.want != "") || !strings.Contains(got.stdout, tt.want) {
				t.Errorf("no %q in\n%s", tt.want, got.stdout)
			}
		})
	}
}

// An upstream for signatures may not have the image, but must not require a token
// either.
func TestSignatureUpstream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		code   int
		want   string
	}{
		{"ok", 200, cli.ExitDone, "it serves requests without a token"},
		{"not-found", 404, cli.ExitDone, "it serves requests without a token"},
		{"challenge", 401, cli.ExitProblem, "it requires a token for pause:3.9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			signatures := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) }))
			defer signatures.Close()
			got := preflightWith(t, t.Context(), ready(), 200, `, "signatureUpstream": "`+signatures.URL+`"`, "-image", "pause:3.9")
			if got.code != tt.code || !strings.Contains(got.stdout, tt.want) || !strings.Contains(got.stdout, signatures.URL) {
				t.Errorf("exit code %d, want %d and %q in\n%s", got.code, tt.code, tt.want, got.stdout)
			}
		})
	}
}

func TestPolicyBlocks(t *testing.T) {
	t.Parallel()
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
		t.Error("no error for a policy that is not JSON")
	}
}
