package verify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/lambda/config"
	"archeio/lambda/index"
	"archeio/ranges"
	"archeio/scripts/archeio/cli"
)

// all are the flags with which no check is skipped.
var all = []string{"-write", "-image", "app:v1", "-ip", "203.0.113.7"}

// table returns the rows of the printed table by check: the result and the details.
func table(t *testing.T, text string) (rows map[string][][2]string) {
	t.Helper()
	rows = map[string][][2]string{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	check, result, details := strings.Index(lines[0], "CHECK"), strings.Index(lines[0], "RESULT"), strings.Index(lines[0], "DETAILS")
	for _, line := range lines[1:] {
		name := strings.TrimSpace(line[check:result])
		rows[name] = append(rows[name], [2]string{strings.TrimSpace(line[result:details]), line[details:]})
	}
	return rows
}

// withResult returns the checks that have a result.
func withResult(rows map[string][][2]string, r cli.Result) (names []string) {
	for name, all := range rows {
		if slices.ContainsFunc(all, func(row [2]string) bool { return row[0] == string(r) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestRightDeployment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stageJSON)
	got := verify(t, t.Context(), w, stageJSON, all...)
	if got.code != cli.ExitDone || got.stderr != "" {
		t.Fatalf("exit code %d, stderr %q\n%s", got.code, got.stderr, got.stdout)
	}
	found := table(t, got.stdout)
	for _, r := range rows {
		if r.scope != relays && !slices.ContainsFunc(found[r.name], func(row [2]string) bool { return row[0] == string(cli.Pass) }) {
			t.Errorf("%s never passes: %q", r.name, found[r.name])
		}
	}
	if w.written != 2 || len(w.buckets[primary]) != 3 || len(w.buckets[replica]) != 3 || len(w.invalidated) != 2 {
		t.Errorf("%d blobs were written, 2 wanted; %d and %d objects are left in the mirrors, 3 wanted; invalidated %q", w.written, len(w.buckets[primary]), len(w.buckets[replica]), w.invalidated)
	}
}

// Without -write nothing is written.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stageJSON)
	got := verify(t, t.Context(), w, stageJSON)
	found := table(t, got.stdout)
	want := []string{"HTTP/3", "alarms", "failover", "load balancer path", "place", "relayed HEAD", "relayed manifest", "removal", "replication"}
	if skipped := withResult(found, cli.Skip); got.code != cli.ExitDone || w.written != 0 || !slices.Equal(skipped, want) {
		t.Errorf("exit code %d, %d blobs were written, skipped %q, want %q", got.code, w.written, skipped, want)
	}
}

// TestBrokenDeployments checks that each defect is found by its row, and that no other
// row fails.
func TestBrokenDeployments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		change  func(*world)
		failed  []string // sorted
		details string   // in a failed row
	}{
		// The ten that a deployment must not have without being noticed.
		{"policy-closed", func(w *world) { w.closed = replica }, []string{"blob index", "public read"}, "the blob index is in the bucket, but GET returns 403, want 206"},
		{"grant-missing", func(w *world) { w.signs, w.granted = false, urlActions[:1] },
			[]string{"IPv4", "IPv6", "URL grants", "absolute location", "cached redirect", "escaped path", "place", "pull", "signed origin", "uncached blob redirect"},
			"the alias does not grant lambda:InvokeFunction to cloudfront.amazonaws.com"},
		{"alias-stale", func(w *world) { w.live = "older" }, []string{"alias"}, "the alias live serves version 7, whose code or environment is not the newest"},
		{"index-missing", func(w *world) { delete(w.buckets[primary], index.Name) }, []string{"blob index"}, "there is no blob index"},
		{"index-deleted", func(w *world) { w.since, w.deleted = time.Now(), replica; delete(w.buckets[replica], index.Name) }, []string{"blob index"}, "the blob index was deleted"},
		{"replica-cut-off", func(w *world) { w.cutOff = replica }, []string{"replication"}, "2 of 2 probe blobs did not arrive within 50ms"},
		{"wrong-environment", func(w *world) { w.environments["MIRROR_REGIONS"] = primary }, []string{"environment"}, `MIRROR_REGIONS is "eu-central-1", want "eu-central-1,us-west-2"`},
		{"url-open", func(w *world) { w.urlAnswers = 200 }, []string{"direct call"}, "responds to a direct call with status 200, want 403"},
		{"listing-open", func(w *world) { w.listStatus = 200 }, []string{"listing", "missing blob"}, "without credentials returns 200, want 403"},
		{"bad-upstream", func(w *world) { w.upstreamStatus = 503 }, []string{"pull", "upstream"}, "https://upstream.example returns status 503 for /v2/images/app/manifests/v1, want 200"},
		{"code-old", func(w *world) { w.hash = "older" }, []string{"code"}, "the stack has the code older, this source builds hash-arm64"},

		{"grant-missing-elsewhere", func(w *world) { w.granted = nil }, []string{"URL grants"}, "does not grant lambda:InvokeFunctionUrl"},
		{"redirector-fails", func(w *world) { w.fails = true },
			[]string{"IPv4", "IPv6", "absolute location", "cached redirect", "escaped path", "load balancer path", "place", "pull", "signed origin", "uncached blob redirect"}, "status 502; the redirector fails or is not reachable"},
		{"environment-extra", func(w *world) { w.environments["DEBUG"] = "1" }, []string{"environment"}, "DEBUG is not in the stage"},
		{"writing-open", func(w *world) { w.putStatus = 412 }, []string{"writing"}, "PUT without credentials returns 412, want 403"},
		{"no-edge-function", func(w *world) { w.edgeFunction = false }, []string{"methods", "other spellings"}, "POST returns status 403, want 405 by the edge function"},
		{"plain-http", func(w *world) { w.plain = true }, []string{"plain HTTP"}, "want a redirect to HTTPS"},
		{"errors-cached", func(w *world) { w.cachesErrors = true }, []string{"edge missing blob"}, "the response was cached for 7 s"},
		{"no-viewer-host", func(w *world) { w.environments["DEFAULT_AWS_BASE_URL"], w.viewerHost = "/", false }, []string{"absolute location", "environment", "place"}, `Location "/containers/images/sha256:`},
		{"nothing-cached", func(w *world) { w.caches = false }, []string{"cached redirect", "edge blob"}, "five requests for one blob were not served from a cache"},
		{"redirects-cached", func(w *world) { w.cacheBlobs = true }, []string{"uncached blob redirect"}, "the redirect of a blob was served from a cache"},
		{"no-failover", func(w *world) { w.failsOver = false }, []string{"failover"}, "a blob that only the primary has returns status 403"},
		{"removal-denied", func(w *world) { w.stuck = true }, []string{"failover", "removal"}, "probe blobs were not removed: s3://archeio-test-123456789012-eu-central-1-an/containers/images/sha256:"},
		{"no-http2", func(w *world) { w.proto = []string{"http/1.1"} }, []string{"HTTP/2"}, "HTTP/1 was negotiated"},
		{"no-http3", func(w *world) { w.altSvc = "" }, []string{"HTTP/3"}, `Alt-Svc "", want h3`},
		{"tls-old", func(w *world) { w.minTLS = tls.VersionTLS10 }, []string{"TLS"}, "TLS 1.1 or older is accepted"},
		{"tls-1.3-only", func(w *world) { w.minTLS = tls.VersionTLS13 }, []string{"TLS"}, "TLS 1.2: "},
		{"certificate-expires", func(w *world) { w.expires = 24 * time.Hour }, []string{"certificate"}, "and has not been renewed"},
		{"no-record", func(w *world) { w.unresolved = domain }, []string{"records"}, "registry.example.com has no A record"},
		{"single-value-headers", func(w *world) { w.multi = false }, nil, ""},
		{"other-place", func(w *world) { w.client = "35.180.1.1" }, []string{"place"}, "203.0.113.7 is a client outside of all clouds, so the blob must be redirected for the reason default-mirror, but it is nearest-region to eu-central-1"},
		{"alarm", func(w *world) { w.states[0].state = "ALARM" }, []string{"alarms"}, "in ALARM: archeio-test-redirector-eu-central-1-RedirectorErrors"},
		{"alarm-silent", func(w *world) { w.states[0].notifies = false }, []string{"alarms"}, "notifications are disabled"},
		{"no-alarms", func(w *world) { w.states = nil }, []string{"alarms"}, "there are no alarms"},
		{"no-subscription", func(w *world) { w.confirmed = 0 }, []string{"alarm topic"}, "the topic has no subscription"},
		{"planner-fails", func(w *world) { w.errs = 30 }, []string{"planner"}, "all 30 runs of the planner"},
		{"planner-stopped", func(w *world) { w.runs = 0 }, []string{"planner"}, "the planner has not run for"},
		{"index-stale", func(w *world) { w.index(time.Now().Add(-300*time.Hour), primary, replica) }, []string{"blob index"}, "old, and is not used when it is older than"},
		{"ranges-corrupt", func(w *world) { w.buckets[primary][config.RangesName] = "x" }, []string{"IP ranges"}, "damaged range table"},
		{"ranges-future", func(w *world) {
			w.buckets[primary][config.RangesName] = string(ranges.Embedded().Issue(time.Now().Add(time.Hour)).Bytes())
		}, []string{"IP ranges"}, "ahead of the clock"},
		{"index-corrupt", func(w *world) { w.buckets[primary][index.Name] = strings.Repeat("x", 4096) }, []string{"blob index"}, "invalid blob index"},
		{"blob-corrupt", func(w *world) { w.buckets[primary][digestOf("a blob of an image")] = "changed" }, []string{"public read"}, "replace it with archeio mirror verify -replace"},
		{"price-class", func(w *world) { w.settings.priceClass = "PriceClass_100" }, []string{"distribution"}, `price class "PriceClass_100", want "PriceClass_all"`},
		{"no-alias", func(w *world) { w.settings.aliases = nil }, []string{"distribution"}, "does not have the name registry.example.com"},
		{"disabled", func(w *world) { w.settings.enabled = false }, []string{"distribution"}, "the distribution is disabled"},
		{"no-distribution", func(w *world) { w.settings = nil }, []string{"distribution"}, "there is no distribution d111111abcdef8.cloudfront.net"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, stageJSON)
			tt.change(w)
			got := verify(t, t.Context(), w, stageJSON, append(all, "-wait", "50ms")...)
			failed := withResult(table(t, got.stdout), cli.Fail)
			if !slices.Equal(failed, tt.failed) || !strings.Contains(got.stdout, tt.details) {
				t.Errorf("failed: %q, want %q, with %q in\n%s", failed, tt.failed, tt.details, got.stdout)
			}
			code := cli.ExitDone
			if len(tt.failed) > 0 {
				code = cli.ExitProblem
			}
			if got.code != code || (got.stderr == "") != (code == cli.ExitDone) {
				t.Errorf("exit code %d, want %d; stderr %q", got.code, code, got.stderr)
			}
		})
	}
}

// A fresh stage fails no check.
func TestFreshStage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stageJSON)
	w.since = time.Now()
	w.confirmed, w.waiting, w.runs, w.quota, w.shifting = 0, 1, 0, 10, true
	w.recorded = ""
	w.states[0].state = "INSUFFICIENT_DATA"
	w.settings.status = "InProgress"
	for region := range w.buckets {
		clear(w.buckets[region])
	}
	got := verify(t, t.Context(), w, stageJSON, "-ip", "203.0.113.7")
	want := []string{"IP ranges", "Lambda concurrency", "absolute location", "alarm topic", "alarms", "alias", "blob index", "distribution", "edge blob", "place", "planner", "public read", "pull"}
	if waiting := withResult(table(t, got.stdout), cli.Pending); got.code != cli.ExitDone || !slices.Equal(waiting, want) {
		t.Errorf("exit code %d, pending %q, want %q\n%s", got.code, waiting, want, got.stdout)
	}
}

// Probe blobs are removed if the program is interrupted while it waits for a replica.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, stuck := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		w := newWorld(t, stageJSON)
		w.cutOff, w.awaited, w.stuck = replica, cancel, stuck
		got := verify(t, ctx, w, stageJSON, "-write")
		if got.code != cli.ExitInterrupted || got.stdout != "" || w.written == 0 {
			t.Errorf("exit code %d, stdout %q, %d blobs were written", got.code, got.stdout, w.written)
		}
		if left := len(w.buckets[primary]) > 3; left != stuck || strings.Contains(got.stderr, "probe blobs were not removed: s3://") != stuck {
			t.Errorf("removing fails: %t, but blobs are left: %t; stderr %q", stuck, left, got.stderr)
		}
	}
}

func TestOtherStages(t *testing.T) {
	t.Parallel()
	replace := func(old, new string) string { return strings.Replace(stageJSON, old, new, 1) }
	for _, tt := range []struct {
		name, stage string
		change      func(*world)
		skipped     []string // some of them
		want        string
	}{
		{"cloudfront", replace(`"both"`, `"cloudfront"`), nil, []string{"load balancer path"}, "not a load balancer"},
		{"no-domain", replace(`"front": "both", "domain": "registry.example.com", "hostedZone": {"id": "Z0123456789ABCDEFGHIJ", "name": "example.com"},`, ""),
			func(w *world) { w.settings.aliases = nil }, []string{"load balancer path"}, "TLS 1.2 and 1.3 are accepted\n"},
		{"aliases", stageJSON + `, "aliases": ["images.example.com"]`, func(w *world) { w.settings.aliases = w.stage.Hosts() }, nil, "images.example.com                     TLS                     PASS"},
		{"other-server", stageJSON + `, "mirrorURLs": {"us-west-2": "https://blobs.example.com"}`, nil, []string{"missing blob"}, "the server in mirrorURLs returns 404"},
		{"alb", replace(`"both"`, `"alb"`), nil, []string{"signed origin", "failover", "distribution", "HTTP/3"}, "the stage has no distribution"},
		{"no-filler", stageJSON + `, "fill": false`, nil, []string{"blob index", "planner"}, "the stage does not fill its mirrors"},
		{"no-email", replace(`, "email": "operator@example.com"`, ""), nil, []string{"alarm topic"}, "the stage has no email"},
		{"one-mirror", replace(`"mirrors": ["eu-central-1", "us-west-2"]`, `"mirrors": ["eu-central-1"]`), nil, []string{"replication", "failover"}, "the stage has one mirror"},
		{"no-ipv6", stageJSON, func(w *world) { w.noIPv6 = true }, []string{"IPv6"}, "this machine has no route for IPv6"},
		{"filling", stageJSON + `, "filling": ["us-west-2"]`, func(w *world) { w.index(time.Now(), primary) }, []string{"failover"}, "does not cover this mirror, which is still being filled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.stage)
			if tt.change != nil {
				tt.change(w)
			}
			got := verify(t, t.Context(), w, tt.stage, all...)
			found := table(t, got.stdout)
			if got.code != cli.ExitDone || !strings.Contains(got.stdout, tt.want) {
				t.Errorf("exit code %d, want %q in\n%s", got.code, tt.want, got.stdout)
			}
			for _, name := range tt.skipped {
				if !slices.Contains(withResult(found, cli.Skip), name) {
					t.Errorf("%s is not skipped: %q", name, found[name])
				}
			}
		})
	}
}

// Without -image, the image of the canary is pulled.
func TestCanaryImage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, stage string
		change      func(*world)
		result      cli.Result
		want        string
	}{
		{"recorded", stageJSON, func(*world) {}, cli.Pass, "manifest from upstream.example, blob from registry.example.com (default-mirror), "},
		{"configured", stageJSON + `, "canary": {"image": "app:v1"}`, func(w *world) { w.recorded = "" }, cli.Pass, "manifest from upstream.example, blob from registry.example.com (default-mirror), "},
		{"deleted", stageJSON + `, "canary": {"image": "app:v2"}`, func(*world) {}, cli.Fail, "manifest v2: requesting https://upstream.example/v2/images/app/manifests/v2: status 404"},
		{"too-large", stageJSON + `, "canary": {"image": "app:large"}`, func(*world) {}, cli.Fail, "manifest " + digestOf(largeManifest) + ": its smallest blob has 600000 bytes, 524175 of 524288 are left: choose a smaller image, and set it as canary.image in the stage; until then each run of the canary fails"},
		{"denied", stageJSON, func(w *world) { w.stateErr = errors.New("access denied") }, cli.Fail, "could not check: reading the state canary.json: access denied"},
		{"no-canary", stageJSON + `, "canary": false`, func(*world) {}, cli.Skip, "the stage has no canary; pass -image to pull an image"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.stage)
			tt.change(w)
			got := table(t, verify(t, t.Context(), w, tt.stage).stdout)["pull"]
			if len(got) != len(w.stage.Hosts())+1+len(w.stage.Redirectors) || got[0][0] != string(tt.result) || !strings.HasPrefix(got[0][1], tt.want) {
				t.Errorf("%q, want %s %q", got, tt.result, tt.want)
			}
		})
	}
}

// The planner and the workers need executions in the filler's region only.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stageJSON+`, "fill": {"workers": 20}`)
	for _, tt := range []struct {
		region string
		quota  int
		want   outcome
	}{
		{primary, 10, pending("the account has 10 concurrent executions, which is enough for a trial only; request an increase in Service Quotas")},
		{primary, 21, fail("the account has 21 unreserved concurrent executions (22 needed); request an increase in Service Quotas, or lower fill.workers")},
		{primary, 22, pass("the account has 22 concurrent executions")},
		{replica, 21, pass("the account has 21 concurrent executions")},
	} {
		w.quota = tt.quota
		d := &deployment{stage: w.stage, cloud: w}
		if got := d.concurrency(t.Context(), tt.region); got != tt.want {
			t.Errorf("%s, %d executions: %v, want %v", tt.region, tt.quota, got, tt.want)
		}
	}
}

func TestSkip(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stageJSON)
	w.urlAnswers, w.listStatus = 200, 200
	got := verify(t, t.Context(), w, stageJSON, "-skip", "direct call,listing", "-skip", "missing blob")
	if got.code != cli.ExitDone || strings.Count(got.stdout, "skipped by -skip") != 6 {
		t.Errorf("exit code %d\n%s", got.code, got.stdout)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*world)
		want   string
	}{
		{"expired", func(w *world) { w.credentialsErr = errors.New("expired") }, "no valid AWS credentials: expired; log in"},
		{"other-account", func(w *world) { w.id = "210987654321" }, "the credentials are for account 210987654321, but the stage is in 123456789012"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, stageJSON)
			tt.change(w)
			got := verify(t, t.Context(), w, stageJSON)
			if got.code != cli.ExitProblem || !strings.Contains(got.stdout, tt.want) || strings.Count(got.stdout, "\n") != 2 {
				t.Errorf("exit code %d, want %q in\n%s", got.code, tt.want, got.stdout)
			}
		})
	}
}

func TestNotDeployed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stageJSON)
	w.outputs["CodeHash"], w.outputs["BalancerName"] = "", ""
	got := verify(t, t.Context(), w, stageJSON)
	if failed := withResult(table(t, got.stdout), cli.Fail); !slices.Equal(failed, []string{"code", "hosts"}) ||
		!strings.Contains(got.stdout, "stack archeio-test-redirector-us-west-2 in us-west-2 has no output BalancerName; run make deploy STAGE=test") {
		t.Errorf("failed %q\n%s", failed, got.stdout)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 403} {
		w := newWorld(t, stageJSON)
		w.urlAnswers = status
		got := verify(t, t.Context(), w, stageJSON, "-json")
		var parsed struct {
			Stage  string
			Passed bool
			Checks []cli.Check
		}
		if err := json.Unmarshal([]byte(got.stdout), &parsed); err != nil {
			t.Fatalf("%v in %s", err, got.stdout)
		}
		if parsed.Stage != "test" || parsed.Passed != (status == 403) || len(parsed.Checks) < len(rows) || parsed.Checks[0] != (cli.Check{Where: "account", Check: "hosts", Result: cli.Pass, Details: "every stack has its outputs"}) {
			t.Errorf("got %+v", parsed)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"wait", []string{"-write", "-wait", "0s"}, "-wait 0s: want a duration above 0 and at most 24h"},
		{"image", []string{"-image", "app"}, `-image "app": want NAME:TAG or NAME@DIGEST`},
		{"ip", []string{"-ip", "here"}, `-ip "here": invalid IP address`},
		{"skip", []string{"-skip", "direct cal"}, `-skip: unknown check "direct cal" (did you mean "direct call"?)`},
		{"connect", []string{"-connect", "a=b"}, "-connect a=b: want HOST=ADDR:PORT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := verify(t, t.Context(), newWorld(t, stageJSON), stageJSON, tt.args...)
			if got.code != cli.ExitUsage || !strings.Contains(got.stderr, tt.want) || got.stdout != "" {
				t.Errorf("exit code %d, stderr %q, want %q", got.code, got.stderr, tt.want)
			}
		})
	}
}

func TestPeriod(t *testing.T) {
	t.Parallel()
	for schedule, want := range map[string]time.Duration{
		"rate(1 hour)": time.Hour, "rate(30 minutes)": 30 * time.Minute, "rate(2 days)": 48 * time.Hour, "cron(0 12 * * ? *)": 31 * 24 * time.Hour,
	} {
		if got := period(schedule); got != want {
			t.Errorf("period(%q) = %s, want %s", schedule, got, want)
		}
	}
}

// TestDocumentation compares the table of the operations page with the checks.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../.github/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := documented(); !strings.Contains(string(text), want) {
		t.Errorf(".github/operations.md: missing the table\n%s", want)
	}
}

func documented() string {
	var b strings.Builder
	b.WriteString("| check | for | what it proves |\n|---|---|---|\n")
	for _, r := range rows {
		b.WriteString("| " + r.name + " | " + r.scope.name + " | " + r.proves + " |\n")
	}
	return b.String()
}
