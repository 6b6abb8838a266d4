package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/index"
)

// urlCheck is the check that a function URL refuses other callers than CloudFront.
const urlCheck = "direct call"

// verifyLimits are the checks of archeio verify that the emulator cannot make, each with
// the reason.
var verifyLimits = []struct{ check, reason string }{
	{"signed origin", "CloudFront does not sign requests to a function URL"},
	{urlCheck, "the function URL had to be opened, as CloudFront does not sign"},
	{"plain HTTP", "the port accepts TLS only"},
	{"cached redirect", "CloudFront caches nothing"},
	{"edge blob", "CloudFront caches nothing"},
	{"edge missing blob", "a missing key is a 404"},
	{"missing blob", "a missing key is a 404"},
	{"IPv6", "the port is on 127.0.0.1"},
	{"HTTP/2", "the port accepts HTTP/1.1 only"},
	{"HTTP/3", "CloudFront sends no Alt-Svc"},
	{"certificate", "the certificate is made for one run, and expires"},
	{"records", "the hosted zone is not served by DNS"},
	{"pull", "the registry of this machine has no TLS; other checks pull"},
	{"planner", "Lambda has no metrics"},
	{"failover", "CloudFront has no origin groups"},
}

// verified is what archeio verify prints.
type verified struct {
	Passed bool
	Checks []struct{ Where, Check, Result, Details string }
}

// with returns the names of the checks with a result, sorted, each once.
func (v *verified) with(result string) (names []string) {
	for _, c := range v.Checks {
		if c.Result == result {
			names = append(names, c.Check)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// checkVerify runs archeio verify on the deployed stage, and on the stage with defects
// that it must find. The tests of scripts/archeio/verify have more of those.
func (c *checks) checkVerify(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Step("archeio verify, for the stage and with defects that it must find")
	for _, l := range verifyLimits {
		c.progress.Note("not verified here: %s: %s", l.check, l.reason)
	}
	v, err := c.verify(ctx, "", "-write")
	c.check("verify passes for the deployed stage", cmp.Or(err, want(v.Passed, "not passed: %q", v.with("FAIL"))))
	for _, x := range c.defects() {
		c.check("verify finds "+x.what, c.finds(ctx, x))
	}
}

// defect is something that verify must find, by one check.
type defect struct {
	what, check string
	result      string   // empty for FAIL
	args        []string // more of verify
	// breaks breaks the deployment and returns a function that restores it; it may be
	// nil.
	breaks func(context.Context) (restore func() error, err error)
}

func (c *checks) defects() []defect {
	policy := func(text string) func(context.Context) (func() error, error) {
		return func(ctx context.Context) (func() error, error) { return c.replacePolicy(ctx, regions[1], text) }
	}
	public := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::%[1]s","arn:aws:s3:::%[1]s/*"]}]}`, bucketName(regions[1]))
	return []defect{
		{what: "a bucket without a policy", check: "public read", breaks: policy("")},
		{what: "a bucket that anyone can list", check: "listing", breaks: policy(public)},
		{what: "an alias that is not the newest version", check: "alias", breaks: c.changeFunction},
		{what: "a missing grant", check: "URL grants", breaks: c.removeGrant},
		{what: "a replica that nothing is replicated to", check: "replication", args: []string{"-write", "-wait", "5s"}, breaks: c.stopReplication},
		{what: "an environment that is not that of the stage", check: "environment", breaks: func(context.Context) (func() error, error) {
			deployed := c.settings.infoURL
			c.settings.infoURL = "https://archeio.example/other"
			return func() error { c.settings.infoURL = deployed; return nil }, nil
		}},
		{what: "a blob index that is not there yet", check: "blob index", result: "PENDING", breaks: c.hideIndex},
		// The emulator needs it open.
		{what: "a function URL that anyone can call", check: urlCheck},
	}
}

// finds breaks the deployment, and checks that verify finds that by one check only.
func (c *checks) finds(ctx context.Context, x defect) (err error) {
	restore := func() error { return nil }
	if x.breaks != nil {
		if restore, err = x.breaks(ctx); err != nil {
			return err
		}
	}
	v, err := c.verify(ctx, x.check, x.args...)
	if err := cmp.Or(restore(), err); err != nil {
		return err
	}
	result := cmp.Or(x.result, "FAIL")
	found := slices.DeleteFunc(v.with(result), func(check string) bool { return result == "PENDING" && (check == "alarms" || check == "IP ranges") })
	return want(slices.Equal(found, []string{x.check}), "%s: %q, want %q", result, found, x.check)
}

// verify runs archeio verify, without what the emulator cannot do, except for one check.
func (c *checks) verify(ctx context.Context, except string, args ...string) (*verified, error) {
	v := &verified{}
	if err := c.writeStages(c.settings.json()); err != nil {
		return v, err
	}
	outputs, err := c.outputs(ctx, c.stage.Stack("redirector", regions[0]), regions[0])
	if err != nil {
		return v, err
	}
	hosts := []string{domain + "=" + c.domains, c.stage.BalancerDomain() + "=" + c.domains, outputs["BalancerName"] + "=" + c.domains}
	for _, host := range []string{c.distribution, outputs[stage.FunctionHost]} {
		hosts = append(hosts, host+"=127.0.0.1:"+c.port)
	}
	var skipped []string
	for _, l := range verifyLimits {
		if l.check != except {
			skipped = append(skipped, l.check)
		}
	}
	args = append([]string{"verify", "-stage", stageName, "-file", c.stagesFile(), "-json",
		"-skip", strings.Join(skipped, ","), "-connect", strings.Join(hosts, ",")}, args...)
	return v, c.archeioJSON(ctx, v, args...)
}

// replacePolicy replaces the policy of a mirror, or deletes it. The function restores it.
func (d *deployed) replacePolicy(ctx context.Context, region, policy string) (restore func() error, err error) {
	bucket := bucketName(region)
	var before struct{ Policy string }
	if err := d.aws(ctx, region, &before, "s3api", "get-bucket-policy", "--bucket", bucket); err != nil {
		return nil, err
	}
	put := func(text string) error {
		return d.aws(ctx, region, nil, "s3api", "put-bucket-policy", "--bucket", bucket, "--policy", text)
	}
	if policy == "" {
		err = d.aws(ctx, region, nil, "s3api", "delete-bucket-policy", "--bucket", bucket)
	} else {
		err = put(policy)
	}
	return func() error { return put(before.Policy) }, err
}

// changeFunction changes the environment of the redirector after its newest version.
func (c *checks) changeFunction(ctx context.Context) (restore func() error, err error) {
	var before struct{ Environment json.RawMessage }
	if err := c.aws(ctx, regions[0], &before, "lambda", "get-function-configuration", "--function-name", c.function); err != nil {
		return nil, err
	}
	update := func(environment string) error {
		return c.aws(ctx, regions[0], nil, "lambda", "update-function-configuration", "--function-name", c.function, "--environment", environment)
	}
	return func() error { return update(string(before.Environment)) }, update(`{"Variables": {"LOG_LEVEL": "debug"}}`)
}

// removeGrant removes one of the two grants of the alias to CloudFront.
func (c *checks) removeGrant(ctx context.Context) (restore func() error, err error) {
	of := []string{"--function-name", c.function, "--qualifier", "live"}
	var policy struct{ Policy string }
	if err := c.aws(ctx, regions[0], &policy, append([]string{"lambda", "get-policy"}, of...)...); err != nil {
		return nil, err
	}
	var p struct {
		Statement []struct {
			Sid, Action string
			Principal   json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(policy.Policy), &p); err != nil {
		return nil, err
	}
	for _, s := range p.Statement {
		if s.Action != "lambda:InvokeFunctionUrl" || !strings.Contains(string(s.Principal), "cloudfront.amazonaws.com") {
			continue
		}
		id := append(of, "--statement-id", s.Sid)
		return func() error {
			return c.aws(ctx, regions[0], nil, append([]string{"lambda", "add-permission", "--action", s.Action, "--principal", "cloudfront.amazonaws.com",
				"--source-arn", "arn:aws:cloudfront::" + account + ":distribution/*", "--function-url-auth-type", "AWS_IAM"}, id...)...)
		}, c.aws(ctx, regions[0], nil, append([]string{"lambda", "remove-permission"}, id...)...)
	}
	return nil, fmt.Errorf("the policy of the alias has no such grant: %s", policy.Policy)
}

// stopReplication deletes the replication rules of the primary.
func (c *checks) stopReplication(ctx context.Context) (restore func() error, err error) {
	bucket := []string{"--bucket", bucketName(regions[0])}
	var before struct{ ReplicationConfiguration json.RawMessage }
	if err := c.aws(ctx, regions[0], &before, append([]string{"s3api", "get-bucket-replication"}, bucket...)...); err != nil {
		return nil, err
	}
	return func() error {
		return c.aws(ctx, regions[0], nil, append([]string{"s3api", "put-bucket-replication", "--replication-configuration", string(before.ReplicationConfiguration)}, bucket...)...)
	}, c.aws(ctx, regions[0], nil, append([]string{"s3api", "delete-bucket-replication"}, bucket...)...)
}

// hideIndex puts a delete marker on the blob index of a replica.
func (c *checks) hideIndex(ctx context.Context) (restore func() error, err error) {
	object := []string{"s3api", "delete-object", "--bucket", bucketName(regions[1]), "--key", config.BlobPrefix + index.Name}
	var marker struct{ VersionId string }
	err = c.aws(ctx, regions[1], &marker, object...)
	return func() error { return c.aws(ctx, regions[1], nil, append(object, "--version-id", marker.VersionId)...) }, err
}
