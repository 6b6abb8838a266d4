package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"archeio/infra/stage"
	"archeio/lambda/oci"
	"archeio/scripts/archeio/cli"
)

func (d *deployment) directCall(ctx context.Context, region string) outcome {
	r, err := d.send(ctx, request{url: "https://" + d.functionHosts[region] + "/v2/"})
	switch {
	case err != nil:
		return noResponse(err)
	case r.status == http.StatusForbidden:
		return pass("the function URL refuses a direct call")
	}
	return fail("the function URL responds to a direct call with status %d, want 403: callers could forge the client's address; set its auth type to AWS_IAM, and remove other grants from the alias", r.status)
}

// The permissions that CloudFront needs.
var urlActions = []string{"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}

func (d *deployment) urlGrants(ctx context.Context, region string) outcome {
	f := d.functions[region]
	if f.name == "" {
		return skip("the function was not found")
	}
	text, err := d.cloud.policy(ctx, region, f)
	if err != nil {
		return unknown(err)
	}
	granted, err := grantsOf(text)
	if err != nil {
		return unknown(err)
	}
	for _, action := range urlActions {
		if !slices.Contains(granted, action) {
			return fail("the alias does not grant %s to cloudfront.amazonaws.com, so the distribution gets 403; run make deploy STAGE=%s", action, d.stage.Name)
		}
	}
	return pass("the alias grants both permissions to CloudFront")
}

// grantsOf returns the actions that a policy allows to CloudFront.
func grantsOf(policy string) (actions []string, err error) {
	if policy == "" {
		return nil, nil
	}
	var p struct {
		Statement []struct {
			Effect, Action string
			Principal      json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(policy), &p); err != nil {
		return nil, fmt.Errorf("parsing the policy of the function: %w", err)
	}
	for _, s := range p.Statement {
		if s.Effect == "Allow" && strings.Contains(string(s.Principal), `"cloudfront.amazonaws.com"`) {
			actions = append(actions, s.Action)
		}
	}
	return actions, nil
}

func (d *deployment) code(ctx context.Context, region string) outcome {
	want, err := d.hash()
	if err != nil {
		return skip("this program cannot build the redirector here: %s", cli.OneLine(err))
	}
	got, err := d.cloud.Output(ctx, region, d.stage.Stack("redirector", region), stage.CodeHash)
	switch {
	case err != nil:
		return unknown(err)
	case got != want:
		return fail("the stack has the code %.12s, this source builds %.12s; run make deploy STAGE=%s", orNone(got), want, d.stage.Name)
	}
	return pass("the stack has the code of this source, %.12s", want)
}

func (d *deployment) alias(ctx context.Context, region string) outcome {
	f := d.functions[region]
	if f.name == "" {
		return skip("the function was not found")
	}
	aliases, err := d.cloud.aliases(ctx, region, f.name)
	if err != nil {
		return unknown(err)
	}
	if aliases[0].shifting {
		return pending("a rollout is shifting traffic to another version")
	}
	live, err := d.cloud.function(ctx, region, f.name, f.alias)
	if err != nil {
		return unknown(err)
	}
	newest, err := d.cloud.function(ctx, region, f.name, "$LATEST")
	if err != nil {
		return unknown(err)
	}
	if live.codeSHA != newest.codeSHA || !maps.Equal(live.environment, newest.environment) {
		return fail("the alias %s serves version %s, whose code or environment is not the newest: a rollout was rolled back or stopped; check the deployments of %s in CodeDeploy, then run make deploy STAGE=%s",
			f.alias, live.version, d.stage.ReleaseName(), d.stage.Name)
	}
	return pass("the alias %s serves the newest code, version %s", f.alias, live.version)
}

// own are variables that the configuration does not have: newFunction of the CDK app
// sets them.
var own = []string{"GOMEMLIMIT"}

func (d *deployment) environment(ctx context.Context, region string) outcome {
	f := d.functions[region]
	if f.name == "" {
		return skip("the function was not found")
	}
	c, err := d.stage.Config(region)
	if err != nil {
		return unknown(err)
	}
	live, err := d.cloud.function(ctx, region, f.name, f.alias)
	if err != nil {
		return unknown(err)
	}
	want := c.Env()
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got := live.environment[name]; got != want[name] {
			wrong = append(wrong, fmt.Sprintf("%s is %q, want %q", name, got, want[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(live.environment)) {
		if _, ok := want[name]; !ok && !slices.Contains(own, name) {
			wrong = append(wrong, fmt.Sprintf("%s is not in the stage", name))
		}
	}
	if len(wrong) > 0 {
		return fail("%s; run make deploy STAGE=%s", strings.Join(wrong, "; "), d.stage.Name)
	}
	return pass("the environment is that of the stage")
}

// upstream requests the image, or the API version check, which some registries do not
// serve to anonymous clients.
func (d *deployment) upstream(ctx context.Context, region string) outcome {
	c, err := d.stage.Config(region)
	if err != nil {
		return unknown(err)
	}
	if c.Relays() {
		return skip("the stage relays from %s: see relayed manifest", c.Upstream)
	}
	path := "/v2/"
	if d.image.Name != "" {
		image := d.image.Name
		if c.Prefix != "" {
			image = c.Prefix + "/" + image
		}
		path += image + "/manifests/" + d.image.Reference
	}
	r, err := d.send(ctx, request{url: c.Upstream + path, header: map[string]string{"Accept": oci.ManifestTypes}})
	switch {
	case err != nil:
		return noResponse(err)
	case r.status == http.StatusOK:
		return pass("%s serves anonymous requests", c.Upstream)
	case d.image.Name == "" && r.status < 500:
		return skip("%s returns status %d for /v2/; pass -image to request an image", c.Upstream, r.status)
	}
	return fail("%s returns status %d for %s, want 200; check upstream in the stage", c.Upstream, r.status, path)
}

// newAccount is the quota of a new account.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const newAccount = 10

func (d *deployment) concurrency(ctx context.Context, region string) outcome {
	needed := d.stage.FillerConcurrency(region)
	if slices.Contains(d.stage.Redirectors, region) {
		needed++
	}
	n, err := d.cloud.concurrency(ctx, region)
	switch {
	case err != nil:
		return unknown(err)
	case n <= newAccount:
		return pending("the account has %d concurrent executions, which is enough for a trial only; request an increase in Service Quotas", n)
	case n < needed:
		return fail("the account has %d unreserved concurrent executions (%d needed); request an increase in Service Quotas, or lower fill.workers", n, needed)
	}
	return pass("the account has %d concurrent executions", n)
}
