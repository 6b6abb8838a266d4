package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/index"
)

// defect is something that verify must find.
type defect struct {
	what string
	// rows are the checks that must fail, as "CHECK in WHERE"; the first one with details.
	rows    []string
	details string
	// breaks breaks the deployment and returns a function that restores it.
	breaks func(context.Context) (restore func() error, err error)
	// open is whether the deployment is broken already: the emulator needs it to be.
	open bool
}

// defects are the ten that no deployment may have without verify finding them. None of
// them hides another one: replication is stopped before the index is deleted, which would
// be replicated.
func (c *checks) defects() []defect {
	primary, replica, redirector := " in "+regions[0], " in "+regions[1], " in "+regions[0]
	policy := func(region, text string) func(context.Context) (func() error, error) {
		return func(ctx context.Context) (func() error, error) { return c.replacePolicy(ctx, region, text) }
	}
	public := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::%[1]s","arn:aws:s3:::%[1]s/*"]}]}`, bucketName(regions[0]))
	return []defect{
		{what: "a bucket without a policy", rows: []string{"public read" + replica, "blob index" + replica}, details: "HEAD returns 403", breaks: policy(regions[1], "")},
		{what: "a missing grant", rows: []string{"URL grants" + redirector}, details: "does not grant lambda:InvokeFunctionUrl", breaks: c.removeGrant},
		{what: "an alias that is not the newest version", rows: []string{"alias" + redirector}, details: "whose code or environment is not the newest", breaks: c.changeFunction},
		{what: "a replica that nothing is replicated to", rows: []string{"replication" + replica}, details: "did not arrive within 5s", breaks: c.stopReplication},
		{what: "a blob index that was deleted", rows: []string{"blob index" + primary}, details: "the blob index was deleted", breaks: c.deleteIndex},
		{what: "an environment that is not that of the stage", rows: []string{"environment" + redirector}, details: "INFO_URL is", breaks: c.changeStage},
		{what: "a function URL that anyone can call", rows: []string{urlCheck + redirector}, details: "responds to a direct call with status 200", open: true},
		{what: "a bucket that anyone can list", rows: []string{"listing" + primary}, details: "without credentials returns 200", breaks: policy(regions[0], public)},
		{what: "an upstream that fails", rows: []string{"upstream" + redirector}, details: "returns status 503", breaks: c.breakUpstream},
		{what: "a function with older code", rows: []string{"code" + redirector}, details: "the stack has the code " + oldHash[:12], breaks: c.ageCode},
	}
}

// changeStage changes the stage and not the deployment.
func (c *checks) changeStage(context.Context) (restore func() error, err error) {
	deployed := c.settings.infoURL
	c.settings.infoURL = "https://archeio.example/other"
	return func() error { c.settings.infoURL = deployed; return nil }, nil
}

// breakUpstream makes the registry respond with 503.
func (e *emulator) breakUpstream(context.Context) (restore func() error, err error) {
	e.upstreamFails.Store(true)
	return func() error { e.upstreamFails.Store(false); return nil }, nil
}

// oldHash is a hash that no code has.
var oldHash = strings.Repeat("0", 64)

// ageCode deploys the redirector stack with the hash of older code, as an older commit
// would.
func (c *checks) ageCode(ctx context.Context) (restore func() error, err error) {
	stack := c.stage.Stack("redirector", regions[0])
	newest := filepath.Join(c.assembly(), stack+".template.json")
	text, err := os.ReadFile(newest)
	if err != nil {
		return nil, err
	}
	outputs, err := c.outputs(ctx, stack, regions[0])
	if err != nil {
		return nil, err
	}
	older := filepath.Join(c.dir, "older.template.json")
	if err := os.WriteFile(older, []byte(strings.ReplaceAll(string(text), outputs[stage.CodeHash], oldHash)), 0o600); err != nil {
		return nil, err
	}
	update := func(file string) error {
		if err := c.aws(ctx, regions[0], nil, "cloudformation", "update-stack", "--stack-name", stack, "--template-body", "file://"+file,
			"--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "--tags", "Key="+stage.Tag+",Value="+stageName); err != nil {
			return err
		}
		return c.aws(ctx, regions[0], nil, "cloudformation", "wait", "stack-update-complete", "--stack-name", stack)
	}
	return func() error { return update(newest) }, update(older)
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

// deleteIndex puts a delete marker on the blob index of the primary.
func (c *checks) deleteIndex(ctx context.Context) (restore func() error, err error) {
	object := []string{"s3api", "delete-object", "--bucket", bucketName(regions[0]), "--key", config.BlobPrefix + index.Name}
	var marker struct{ VersionId string }
	err = c.aws(ctx, regions[0], &marker, object...)
	return func() error { return c.aws(ctx, regions[0], nil, append(object, "--version-id", marker.VersionId)...) }, err
}
