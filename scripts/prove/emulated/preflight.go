package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"

	"archeio/scripts/lab/pull"
)

// plainRegion has no namespaces of accounts, so that somebody else can have the
// name of a bucket. Nothing of the stage is there, and so nothing is prepared.
const plainRegion, somebodyElse = "me-central-1", "111111111111"

// preflight looks at the deployed stage, and at changes of it that could not be
// deployed. What the emulator cannot play, a region that is not enabled and an
// account that blocks public access, is in the tests of scripts/archeio/preflight.
func (c *checks) preflight(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.say("preflight, of the stage and of changes of it that cannot be deployed")
	challenge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://example.com/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer challenge.Close()
	silent := httptest.NewServer(nil)
	silent.Close()
	taken := "archeio-" + stageName + "-" + account + "-" + plainRegion
	err := c.build(ctx, "preflight")
	if err == nil {
		err = c.as(ctx, somebodyElse, plainRegion, "s3api", "create-bucket", "--bucket", taken, "--create-bucket-configuration", "LocationConstraint="+plainRegion)
	}
	if err != nil {
		c.check("preflight", err.Error())
		return
	}
	image := []string{"-image", pull.Repository + ":" + pull.Tag}
	c.refusal(ctx, "nothing is in the way of the stage that stands there", "it serves requests without a token", nil, image...)
	newMirror := func(s map[string]any) {
		s["mirrors"] = append(s["mirrors"].([]any), plainRegion)
	}
	upstream := func(url string) func(map[string]any) {
		return func(s map[string]any) { s["upstream"] = map[string]string{"endpoint": url} }
	}
	zone := func(id, name, domain string) func(map[string]any) {
		return func(s map[string]any) {
			s["hostedZone"], s["domain"] = map[string]string{"id": id, "name": name}, domain
		}
	}
	for _, r := range []struct {
		what, says string
		change     func(map[string]any)
		args       []string
	}{
		{"a region that is not bootstrapped", "the region is not CDK-bootstrapped; run make bootstrap", newMirror, nil},
		{"a bucket name that somebody else has", taken + ": the bucket is in another account or region", newMirror, nil},
		{"an upstream that challenges", "it requires a token for " + image[1], upstream(challenge.URL), image},
		{"an upstream that is down", "no response", upstream(silent.URL), nil},
		{"an image that the upstream lacks", "it returned 404 for none:v1", func(map[string]any) {}, []string{"-image", "none:v1"}},
		{"a zone that is not there", "could not find Z0000000000000000000", zone("Z0000000000000000000", zoneName, domain), nil},
		{"a zone that is another one", "but the stage has example.com", zone(c.settings.zone, "example.com", "registry.example.com"), nil},
		{"credentials of another account", "the stage is in " + somebodyElse, func(s map[string]any) { s["account"] = somebodyElse }, nil},
		{"more requests than the account's concurrency", "request an increase in Service Quotas", func(map[string]any) {}, []string{"-requests", "1000000"}},
	} {
		c.refusal(ctx, r.what, r.says, r.change, r.args...)
	}
}

// refusal runs preflight on the stage as change leaves it. Without a change
// nothing may stand in the way.
func (c *checks) refusal(ctx context.Context, what, says string, change func(map[string]any), args ...string) {
	what = "preflight: " + what
	var stages map[string]map[string]any
	if err := json.Unmarshal([]byte(c.settings.json()), &stages); err != nil {
		c.check(what, err.Error())
		return
	}
	if change != nil {
		change(stages[stageName])
	}
	text, err := json.Marshal(stages)
	if err == nil {
		err = c.writeStages(string(text))
	}
	if err != nil {
		c.check(what, err.Error())
		return
	}
	// S3 is asked under hosts of its buckets, which only the proxy finds.
	out, all, err := c.commandIn(ctx, c.root, append(c.environment(regions[0]), "HTTPS_PROXY=http://"+c.proxy),
		filepath.Join(c.dir, "preflight"), append([]string{"-stage", stageName, "-file", c.stagesFile()}, args...)...)
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code, err = exit.ExitCode(), nil
	}
	want := 0
	if change != nil {
		want = 1
	}
	ok := false
	for line := range strings.Lines(string(out)) {
		ok = ok || strings.Contains(line, says) && strings.Contains(line, "  FAIL  ") == (change != nil)
	}
	c.check(what, found(err, code == want && ok, fmt.Sprintf("exit code %d\n%s", code, all)))
}

// as calls AWS's command line as another account.
func (e *emulator) as(ctx context.Context, account, region string, args ...string) error {
	_, all, err := e.commandIn(ctx, e.root, append(e.environment(region), "AWS_ACCESS_KEY_ID="+account),
		filepath.Join(e.python, "aws"), args...)
	if err != nil {
		return fmt.Errorf("aws %s: %w: %s", strings.Join(args[:2], " "), err, end(all))
	}
	return nil
}
