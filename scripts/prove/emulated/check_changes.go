package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"archeio/infra/stage"
	"archeio/lambda/config"
)

// existingBucket is a bucket of the account that becomes the mirror of newRegion.
const existingBucket = "example-images-" + account

// The host names that are added: one in the hosted zone, and one that is not.
const zoneAlias, foreignAlias = "images." + zoneName, "images.example.org"

// checkChanges changes the live stage by three deployments, while clients pull.
func (c *checks) checkChanges(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Note("not checked: the edge selects no origin here, so no request reaches the redirector of %s through it; load balancers of that region are not served; there are no budgets, which a changed email would replace", regions[1])
	c.check("an upstream that requires a token has the image", c.startTokenUpstream(ctx))
	c.changeWhilePulling(ctx, nil,
		change{"another upstream, which requires a token", set(func() {}), c.checkRelayed},
		change{"another infoURL", set(func() { c.settings.infoURL = "https://archeio.example/second" }), c.servesInfoURL},
		change{"another email", set(func() { c.settings.email = "second@" + zoneName }), c.mailsTo},
		change{"a host name with a record, and one with a certificate and no hosted zone", c.addAliases, c.servesAliases},
		change{"a redirector region is added", c.addRedirector, c.hasRedirector},
		change{"an existing bucket is adopted, and filled", c.adoptBucket, c.fillAdopted},
	)
	c.checkCanary(ctx)
	c.changeWhilePulling(ctx, nil,
		change{"another primary", c.changePrimary, c.hasPrimary},
		change{"a redirector region is removed, and destroyed", set(func() {
			c.settings.redirectors = regions[:1]
			delete(c.settings.certificates, regions[1])
		}), c.removeRedirector},
		change{"clients are redirected to the adopted bucket", set(func() { c.settings.filling = nil }), func(ctx context.Context) error {
			return c.redirectsTo(ctx, "mirror "+newRegion, "aws-region")
		}},
	)
	c.check("termination protection blocks the deletion of every stack", c.isProtected(ctx))
	// It is destroyed at the end, so it is no longer protected.
	c.changeWhilePulling(ctx, nil, change{"another front: alb", set(func() { c.settings.front, c.settings.protected = stage.ALB, false }), c.leadsToBalancers})
	c.check("the edge that is left over is destroyed", c.destroyLeftOver(ctx, stage.EdgeRegion, "edge"))
	c.checkFronts(ctx)
}

func (c *checks) servesInfoURL(ctx context.Context) error {
	status, header, err := c.get(ctx, "https://"+c.distribution+"/", nil)
	return cmp.Or(err, want(status == http.StatusFound && header.Get("Location") == c.settings.infoURL, "status %d with Location %q, want %q", status, header.Get("Location"), c.settings.infoURL))
}

// mailsTo returns an error unless the topics of all regions have the email, and no other.
func (c *checks) mailsTo(ctx context.Context) error {
	for _, region := range c.stage.Regions() {
		var output struct {
			Subscriptions []struct{ Protocol, Endpoint string }
		}
		if err := c.aws(ctx, region, &output, "sns", "list-subscriptions-by-topic", "--topic-arn", c.stage.AlarmTopicARN(region)); err != nil {
			return err
		}
		if s := output.Subscriptions; len(s) != 1 || s[0].Endpoint != c.settings.email {
			return fmt.Errorf("the topic in %s has the subscriptions %v, want %s only", region, s, c.settings.email)
		}
	}
	return nil
}

// addAliases adds two host names. The certificates are imported, as one of the names is
// not in the hosted zone.
func (c *checks) addAliases(ctx context.Context) error {
	c.settings.aliases, c.settings.certificates = []string{zoneAlias, foreignAlias}, map[string]string{}
	return c.importCertificates(ctx, regions...)
}

func (c *checks) importCertificates(ctx context.Context, regions ...string) error {
	for _, region := range regions {
		var imported struct{ CertificateArn string }
		if err := c.aws(ctx, region, &imported, "acm", "import-certificate", "--certificate", "fileb://"+c.certificateFile(), "--private-key", "fileb://"+c.keyFile()); err != nil {
			return err
		}
		c.settings.certificates[region] = imported.CertificateArn
	}
	return nil
}

func (c *checks) servesAliases(ctx context.Context) error {
	settings, err := c.distributionSettings(ctx)
	if err != nil {
		return err
	}
	for _, host := range []string{domain, zoneAlias, foreignAlias} {
		if !slices.Contains(settings.Aliases.Items, host) {
			return fmt.Errorf("the distribution has the names %q, want %s too", settings.Aliases.Items, host)
		}
	}
	if got := settings.ViewerCertificate.ACMCertificateArn; got != c.settings.certificates[stage.EdgeRegion] {
		return fmt.Errorf("the distribution has the certificate %s, want %s", got, c.settings.certificates[stage.EdgeRegion])
	}
	outputs, err := c.outputs(ctx, c.stage.Stack("edge", stage.EdgeRegion), stage.EdgeRegion)
	if err != nil {
		return err
	}
	if got, want := outputs["RecordsToCreate"], foreignAlias+". CNAME "+c.distribution+"."; got != want {
		return fmt.Errorf("the output RecordsToCreate is %q, want %q", got, want)
	}
	status, _, err := c.get(ctx, "https://"+zoneAlias+"/v2/", nil)
	return cmp.Or(err, want(status == http.StatusOK, "%s returns status %d, want 200", zoneAlias, status))
}

// distributionConfig is a part of the configuration of a distribution in AWS's API.
type distributionConfig struct {
	Aliases           struct{ Items []string }
	ViewerCertificate struct{ ACMCertificateArn string }
	Origins           struct {
		Items []struct{ ID, DomainName string }
	}
}

func (c *checks) distributionSettings(ctx context.Context) (*distributionConfig, error) {
	id, err := c.distributionID(ctx)
	if err != nil {
		return nil, err
	}
	var output struct{ DistributionConfig distributionConfig }
	return &output.DistributionConfig, c.aws(ctx, regions[0], &output, "cloudfront", "get-distribution-config", "--id", id)
}

// hasOrigin reports whether the distribution has an origin.
func (c *checks) hasOrigin(ctx context.Context, id string) (bool, error) {
	settings, err := c.distributionSettings(ctx)
	return err == nil && slices.ContainsFunc(settings.Origins.Items, func(o struct{ ID, DomainName string }) bool { return o.ID == id }), err
}

func (c *checks) addRedirector(ctx context.Context) (err error) {
	c.settings.redirectors = regions
	c.settings.networks[regions[1]], err = c.createNetwork(ctx, regions[1])
	return err
}

// hasRedirector returns an error unless the second redirector serves requests, and the
// distribution and the records lead to it.
func (c *checks) hasRedirector(ctx context.Context) error {
	function, host, err := c.functionURL(ctx, regions[1])
	if err != nil {
		return err
	}
	if err := c.openFunctionURL(ctx, regions[1], function); err != nil {
		return err
	}
	status, header, err := c.get(ctx, "https://"+host+"/v2/", nil)
	if err == nil && (status != http.StatusOK || header.Get("X-Redirect-Reason") != "ping") {
		err = fmt.Errorf("its function URL returns status %d", status)
	}
	if err != nil {
		return err
	}
	if has, err := c.hasOrigin(ctx, "redirector-"+regions[1]); err != nil || !has {
		return cmp.Or(err, fmt.Errorf("the distribution has no origin in %s", regions[1]))
	}
	records, err := c.records(ctx, c.stage.BalancerDomain())
	return cmp.Or(err, want(len(records) == 2, "%s leads to %d load balancers, want 2", c.stage.BalancerDomain(), len(records)))
}

// removeRedirector destroys the stacks of the second redirector, which nothing leads to
// any more.
func (c *checks) removeRedirector(ctx context.Context) error {
	if has, err := c.hasOrigin(ctx, "redirector-"+regions[1]); err != nil || has {
		return cmp.Or(err, fmt.Errorf("the distribution still has an origin in %s", regions[1]))
	}
	if err := c.destroyLeftOver(ctx, regions[1], "canary", "redirector"); err != nil {
		return err
	}
	records, err := c.records(ctx, c.stage.BalancerDomain())
	return cmp.Or(err, want(len(records) == 1, "%s leads to %d load balancers, want 1", c.stage.BalancerDomain(), len(records)))
}

// adoptBucket creates a bucket outside of the stage, with what the operations page requires
// of it, and makes it a mirror.
func (c *checks) adoptBucket(ctx context.Context) error {
	c.settings.mirrors, c.settings.filling = append(slices.Clone(regions), newRegion), []string{newRegion}
	c.settings.buckets = map[string]string{newRegion: existingBucket}
	s, err := c.settings.load()
	if err != nil {
		return err
	}
	policy := `{"Version":"2012-10-17","Statement":` + s.PublicStatements(newRegion) + `}`
	of := []string{"--bucket", existingBucket}
	for _, command := range [][]string{
		{"create-bucket", "--create-bucket-configuration", "LocationConstraint=" + newRegion},
		{"put-bucket-versioning", "--versioning-configuration", "Status=Enabled"},
		{"put-public-access-block", "--public-access-block-configuration", "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=false,RestrictPublicBuckets=false"},
		{"put-bucket-policy", "--policy", policy},
		{"put-bucket-tagging", "--tagging", "TagSet=[{Key=team,Value=images}]"},
	} {
		if err := c.aws(ctx, newRegion, nil, slices.Concat([]string{"s3api"}, command, of)...); err != nil {
			return err
		}
	}
	return c.aws(ctx, newRegion, nil, "s3api", "put-object", "--bucket", existingBucket, "--key", "before")
}

// fillAdopted fills the adopted bucket. Clients are not redirected to it, and what it had
// is as before.
func (c *checks) fillAdopted(ctx context.Context) error {
	if err := c.fillRegion(ctx); err != nil {
		return err
	}
	if err := c.redirectsTo(ctx, "mirror "+regions[1], "nearest-region"); err != nil {
		return err
	}
	if err := c.aws(ctx, newRegion, nil, "s3api", "head-object", "--bucket", existingBucket, "--key", "before"); err != nil {
		return err
	}
	if err := c.aws(ctx, newRegion, nil, "s3api", "head-object", "--bucket", existingBucket, "--key", config.BlobPrefix+c.image.Blobs[0].String()); err != nil {
		return err
	}
	var tags struct{ TagSet []struct{ Key string } }
	err := c.aws(ctx, newRegion, &tags, "s3api", "get-bucket-tagging", "--bucket", existingBucket)
	return cmp.Or(err, want(len(tags.TagSet) == 1 && tags.TagSet[0].Key == "team", "the bucket has the tags %v, want its own only", tags.TagSet))
}

// changePrimary makes the second mirror the primary, and destroys the filler of the first
// one before the deployment.
func (c *checks) changePrimary(ctx context.Context) error {
	c.settings.primary = regions[1]
	return c.destroyLeftOver(ctx, regions[0], "filler")
}

// hasPrimary returns an error unless the filler runs in the region of the new primary with
// the state of the old one: what was withdrawn does not return.
func (c *checks) hasPrimary(ctx context.Context) error {
	if err := c.allowBatches(ctx); err != nil {
		return err
	}
	if err := c.shortenRetries(ctx); err != nil {
		return err
	}
	var rules struct{ Rules []struct{ Name string } }
	if err := c.aws(ctx, regions[0], &rules, "events", "list-rules", "--name-prefix", c.stage.Stack("filler", regions[0])); err != nil {
		return err
	}
	if len(rules.Rules) > 0 {
		return fmt.Errorf("the old filler still has the schedule %v", rules.Rules)
	}
	home, err := c.stacks(ctx, regions[0])
	if err != nil {
		return err
	}
	if home[c.stage.Stack("home", regions[0])] == "" || c.stage.Home != regions[0] {
		return fmt.Errorf("the state and the dashboard are in %s, and the stacks of %s are %v", c.stage.Home, regions[0], home)
	}
	var boards struct {
		DashboardEntries []struct{ DashboardName string }
	}
	if err := c.aws(ctx, regions[0], &boards, "cloudwatch", "list-dashboards"); err != nil {
		return err
	}
	if b := boards.DashboardEntries; len(b) != 1 || b[0].DashboardName != c.stage.Dashboard() {
		return fmt.Errorf("the dashboards in %s are %v, want %s", regions[0], b, c.stage.Dashboard())
	}
	if _, err := c.runPlanner(ctx); err != nil {
		return err
	}
	if err := c.waitForWorkers(ctx); err != nil {
		return err
	}
	var plan struct{ Withdrawn int }
	if err := c.mirror(ctx, &plan, "plan"); err != nil {
		return err
	}
	if plan.Withdrawn != 1 {
		return fmt.Errorf("%d blobs are withdrawn, want 1", plan.Withdrawn)
	}
	for _, region := range c.settings.mirrors {
		url := c.settings.mirrorURL(region) + "/" + config.BlobPrefix + c.image.Missing.String()
		status, _, err := c.get(ctx, url, nil)
		if err := cmp.Or(err, want(status == http.StatusNotFound, "the withdrawn blob is in %s: status %d, want 404", region, status)); err != nil {
			return err
		}
	}
	return nil
}

// isProtected returns an error unless AWS refuses to delete each stack.
func (c *checks) isProtected(ctx context.Context) error {
	for _, st := range c.stage.Stacks() {
		err := c.aws(ctx, st.Region, nil, "cloudformation", "delete-stack", "--stack-name", st.Name)
		if err == nil || !strings.Contains(err.Error(), "TerminationProtection") {
			return fmt.Errorf("deleting %s returned the error %v, want one about TerminationProtection", st.Name, err)
		}
	}
	return nil
}

// leadsToBalancers returns an error unless the domain leads to the load balancers, and
// they do not redirect to the distribution.
func (c *checks) leadsToBalancers(ctx context.Context) error {
	records, err := c.records(ctx, domain)
	if err != nil {
		return err
	}
	for _, r := range records {
		if to := strings.TrimSuffix(*r.AliasTarget.DNSName, "."); to != c.stage.BalancerDomain() {
			return fmt.Errorf("the domain leads to %s, want %s", to, c.stage.BalancerDomain())
		}
	}
	p, err := c.client(domain, nil).Pull(ctx, c.image)
	if err != nil {
		return err
	}
	blob := c.image.Blobs[0].String()
	if from := c.serverName(p.Sources[blob]); !strings.HasPrefix(from, "mirror ") {
		return fmt.Errorf("a blob came from %s, want a mirror", from)
	}
	text, err := json.Marshal(p.Reasons[blob])
	c.progress.Note("a client of the domain got a blob from %s for the reason %s", c.serverName(p.Sources[blob]), text)
	return cmp.Or(err, want(len(records) == 1, "the domain has %d records, want 1", len(records)))
}
