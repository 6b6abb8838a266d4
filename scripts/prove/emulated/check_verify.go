package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"archeio/infra/stage"
)

// urlCheck is the check that a function URL refuses other callers than CloudFront.
const urlCheck = "direct call"

// verifyLimits are the checks of archeio verify that the emulator cannot make, each with
// the reason.
var verifyLimits = []struct{ check, reason string }{
	{"signed origin", "CloudFront does not sign requests to a function URL"},
	{urlCheck, "the function URL had to be opened, as CloudFront does not sign; it is made where that must be found"},
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

// failed returns the details of the checks that failed, by "CHECK in WHERE".
func (v *verified) failed() map[string]string {
	all := map[string]string{}
	for _, c := range v.Checks {
		if c.Result == "FAIL" {
			all[c.Check+" in "+c.Where] = c.Details
		}
	}
	return all
}

// checkVerify runs archeio verify on the deployed stage, and on the stage with the ten
// defects that it must find. The tests of scripts/archeio/verify have more of those.
func (c *checks) checkVerify(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Step("archeio verify, for the stage and with defects that it must find")
	for _, l := range verifyLimits {
		c.progress.Note("not verified here: %s: %s", l.check, l.reason)
	}
	c.check("verify passes for the deployed stage", c.verifyPasses(ctx))
	all := c.defects()
	if c.full {
		for _, x := range all {
			c.check("verify finds "+x.what+", alone", c.findsAlone(ctx, x))
		}
	} else {
		c.progress.Note("skipped here: each of the defects alone; make prove-all runs them")
	}
	c.findsTogether(ctx, all)
	c.check("verify passes again", c.verifyPasses(ctx))
}

func (c *checks) verifyPasses(ctx context.Context) error {
	v, err := c.verify(ctx, "", "-write")
	return cmp.Or(err, want(v.Passed, "not passed: %q", v.failed()))
}

// findsTogether breaks the deployment in all ways at the same time: verify must find each
// of them, in its place, and nothing else.
func (c *checks) findsTogether(ctx context.Context, all []defect) {
	failed, err := c.withDefects(ctx, all)
	for _, x := range all {
		c.check("verify finds "+x.what, cmp.Or(err, x.in(failed)))
		for _, row := range x.rows {
			delete(failed, row)
		}
	}
	c.check("verify finds nothing else", cmp.Or(err, want(len(failed) == 0, "%q", failed)))
}

// findsAlone breaks the deployment in one way: verify must find that and nothing else.
func (c *checks) findsAlone(ctx context.Context, x defect) error {
	failed, err := c.withDefects(ctx, []defect{x})
	if err == nil {
		err = x.in(failed)
	}
	return cmp.Or(err, want(len(failed) == len(x.rows), "found %q, want %q", failed, x.rows))
}

// in returns an error unless the checks of the defect have failed.
func (x *defect) in(failed map[string]string) error {
	for _, row := range x.rows {
		details, ok := failed[row]
		if !ok {
			return fmt.Errorf("%s has not failed: %q", row, failed)
		}
		if row == x.rows[0] && !strings.Contains(details, x.details) {
			return fmt.Errorf("%s has the details %q, want %q", row, details, x.details)
		}
	}
	return nil
}

// withDefects breaks the deployment, runs verify and restores the deployment. It returns
// the checks that failed.
func (c *checks) withDefects(ctx context.Context, all []defect) (failed map[string]string, err error) {
	except := ""
	var restores []func() error
	for _, x := range all {
		if x.open {
			except = urlCheck
			continue
		}
		restore, err1 := x.breaks(ctx)
		if restore != nil {
			restores = append(restores, restore)
		}
		if err1 != nil {
			err = errors.Join(err, fmt.Errorf("breaking the deployment: %s: %w", x.what, err1))
		}
	}
	var v *verified
	if err == nil {
		v, err = c.verify(ctx, except, "-write", "-wait", "5s")
		failed = v.failed()
	}
	for _, restore := range slices.Backward(restores) {
		err = errors.Join(err, restore())
	}
	return failed, err
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
