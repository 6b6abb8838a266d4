package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"archeio/scripts/lab/pull"
)

// plainRegion has no account-level namespace for bucket names, so another account can
// own one. Nothing of the stage is deployed there, and it is not bootstrapped.
const plainRegion, otherAccount = "me-central-1", "111111111111"

// preflightResult is what archeio preflight prints.
type preflightResult struct {
	Ready  bool
	Checks []struct{ Where, Check, Result, Details string }
}

// checkPreflight runs archeio preflight on the deployed stage and on changes of it
// that cannot be deployed. The tests of scripts/archeio/preflight have what the
// emulator cannot simulate: a region that is not enabled, and an account that blocks
// public access.
func (c *checks) checkPreflight(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Step("archeio preflight, for the stage and for changes of it that cannot be deployed")
	challenge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://example.com/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer challenge.Close()
	down := httptest.NewServer(nil)
	down.Close()
	taken := "archeio-" + stageName + "-" + account + "-" + plainRegion
	if err := c.awsAs(ctx, otherAccount, plainRegion, "s3api", "create-bucket", "--bucket", taken, "--create-bucket-configuration", "LocationConstraint="+plainRegion); err != nil {
		c.check("preflight: another account can create a bucket", err)
		return
	}
	image := []string{"-image", pull.Repository + ":" + pull.Tag}
	c.check("preflight: nothing blocks the deployed stage", c.preflightPasses(ctx, image...))
	same := func(map[string]any) {}
	addMirror := func(s map[string]any) { s["mirrors"] = append(s["mirrors"].([]any), plainRegion) }
	upstream := func(url string) func(map[string]any) {
		return func(s map[string]any) { s["upstream"] = map[string]string{"endpoint": url} }
	}
	zone := func(id, name, domain string) func(map[string]any) {
		return func(s map[string]any) {
			s["hostedZone"], s["domain"] = map[string]string{"id": id, "name": name}, domain
		}
	}
	for _, x := range []struct {
		what   string
		change func(map[string]any)
		args   []string
		// The check that must fail, and what its details must contain.
		where, check, details string
	}{
		{"a region that is not bootstrapped", addMirror, nil, plainRegion, "bootstrap", ""},
		{"a bucket name that another account owns", addMirror, nil, plainRegion, "bucket", taken},
		{"an upstream that requires a token", upstream(challenge.URL), image, "upstream", challenge.URL, image[1]},
		{"an upstream that is down", upstream(down.URL), nil, "upstream", down.URL, ""},
		{"an image that the upstream does not have", same, []string{"-image", "none:v1"}, "upstream", c.upstream, "none:v1"},
		{"a hosted zone that does not exist", zone("Z0000000000000000000", zoneName, domain), nil, "account", "hosted zone", "Z0000000000000000000"},
		{"a hosted zone with another name", zone(c.settings.zone, "example.com", "registry.example.com"), nil, "account", "hosted zone", "example.com"},
		{"credentials of another account", func(s map[string]any) { s["account"] = otherAccount }, nil, "account", "credentials", otherAccount},
		{"more requests than the account's concurrency", same, []string{"-requests", "1000000"}, regions[0], "Lambda concurrency", ""},
	} {
		result, err := c.preflight(ctx, x.change, x.args...)
		c.check("preflight: "+x.what, cmp.Or(err, result.fails(x.where, x.check, x.details)))
	}
}

// preflight runs archeio preflight for a changed stage.
func (c *checks) preflight(ctx context.Context, change func(map[string]any), args ...string) (result preflightResult, err error) {
	var stages map[string]map[string]any
	if err := json.Unmarshal([]byte(c.settings.json()), &stages); err != nil {
		return result, err
	}
	change(stages[stageName])
	text, err := json.Marshal(stages)
	if err != nil {
		return result, err
	}
	if err := c.writeStages(string(text)); err != nil {
		return result, err
	}
	stdout, all, code, err := c.archeio(ctx, append([]string{"preflight", "-stage", stageName, "-file", c.stagesFile(), "-json"}, args...)...)
	if err == nil {
		err = json.Unmarshal(stdout, &result)
	}
	if err == nil && (code != 0) == result.Ready {
		err = fmt.Errorf("exit code %d, but ready is %v", code, result.Ready)
	}
	return result, outputError(err, all)
}

func (c *checks) preflightPasses(ctx context.Context, args ...string) error {
	result, err := c.preflight(ctx, func(map[string]any) {}, args...)
	if err != nil {
		return err
	}
	for _, x := range result.Checks {
		if x.Where == "upstream" && x.Check == c.upstream && x.Result == "PASS" && result.Ready {
			return nil
		}
	}
	return fmt.Errorf("ready is %v, and the checks are\n%s", result.Ready, result)
}

// fails returns an error unless a check failed, with a text in its details.
func (r preflightResult) fails(where, check, details string) error {
	for _, x := range r.Checks {
		if x.Where == where && x.Check == check && x.Result == "FAIL" && strings.Contains(x.Details, details) {
			return nil
		}
	}
	return fmt.Errorf("no check %q of %q failed with %q in its details, and the checks are\n%s", check, where, details, r)
}

func (r preflightResult) String() string {
	var b strings.Builder
	for _, x := range r.Checks {
		fmt.Fprintf(&b, "%s: %s: %s: %s\n", x.Where, x.Check, x.Result, x.Details)
	}
	return b.String()
}
