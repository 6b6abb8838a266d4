package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"archeio/scripts/lab/pull"
)

// checkRunbooks runs the commands of each runbook in a copy of the repository with the
// stage in its cdk.json, and checks that its alarms are deployed.
func (c *checks) checkRunbooks(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.progress.Step("the commands of %s", runbooksFile)
	names, all, err := readRunbooks(filepath.Join(c.root, runbooksFile))
	if err == nil {
		err = c.copyRepository()
	}
	var output struct{ MetricAlarms []struct{ AlarmName string } }
	if err == nil {
		err = c.aws(ctx, regions[0], &output, "cloudwatch", "describe-alarms")
	}
	if err != nil {
		c.check("the runbooks can be run", err)
		return
	}
	// These are not in the emulated stage: metric math, a release, an upstream with tokens.
	deployed := []string{"-MirrorsUnavailable", "-MirrorsIncomplete", "-IndexUnusable", "-EdgeForbidden", "-NewVersion", "-UpstreamLimited", "-RelayFailed"}
	for _, a := range output.MetricAlarms {
		deployed = append(deployed, a.AlarmName)
	}
	for _, r := range all {
		if ctx.Err() != nil {
			return
		}
		c.check("runbook: "+r.title+": its alarms are deployed", r.hasAlarms(deployed))
		c.progress.Step("runbook: %s", r.title)
		c.check("runbook: "+r.title, c.follow(ctx, names, r))
	}
}

func (r runbook) hasAlarms(deployed []string) error {
	for _, name := range r.alarms {
		if !slices.ContainsFunc(deployed, func(a string) bool { return strings.Contains(a, "-"+name) }) {
			return fmt.Errorf("there is no alarm %s", name)
		}
	}
	return nil
}

// follow runs the commands of a runbook.
func (c *checks) follow(ctx context.Context, names string, r runbook) error {
	if r.title == retirement {
		c.settings.retiring = []string{regions[1]}
	}
	if err := c.copyStages(); err != nil {
		return err
	}
	// Only the proxy resolves the hosts of S3 and CloudFront.
	_, all, err := c.commandIn(ctx, c.repositoryCopy(), append(c.environment(regions[0]),
		"PATH="+c.python+":"+os.Getenv("PATH"), "HTTPS_PROXY=http://"+c.proxy,
		// Not those of the make that runs this program.
		"MAKEFLAGS=", "MAKEOVERRIDES=", "ARGS=", "YES=1",
		"CURL_CA_BUNDLE="+c.certificateFile(), "npm_config_prefer_offline=true",
		"CDK="+c.cdkCommand+" -a "+c.app()+" -o "+filepath.Join(c.dir, "cdk.runbooks")+" --ci --no-color --yes",
		"STAGE="+stageName, "PRIMARY="+regions[0], "REDIRECTOR="+regions[0], "REGION="+regions[1],
		"IMAGE="+pull.Repository+":"+pull.Tag, "DIGEST="+c.image.Blobs[0].String(),
	), "bash", "-euxc", names+r.commands)
	return outputError(err, all)
}

func (e *emulator) repositoryCopy() string { return filepath.Join(e.dir, "repository") }

// copyRepository copies the repository without what was built.
func (e *emulator) copyRepository() error {
	entries, err := os.ReadDir(e.root)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if slices.Contains([]string{".git", ".build", "cdk.out", "node_modules"}, entry.Name()) {
			continue
		}
		if err := copyEntry(e.repositoryCopy(), e.root, entry); err != nil {
			return fmt.Errorf("copying the repository: %w", err)
		}
	}
	return nil
}

// copyEntry copies a directory or a regular file.
func copyEntry(to, from string, entry os.DirEntry) error {
	to, from = filepath.Join(to, entry.Name()), filepath.Join(from, entry.Name())
	switch {
	case entry.IsDir():
		return os.CopyFS(to, os.DirFS(from))
	case !entry.Type().IsRegular():
		return nil
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// copyStages writes the stage as it is now into the cdk.json of the copy.
func (c *checks) copyStages() error {
	text, err := os.ReadFile(filepath.Join(c.root, "cdk.json"))
	if err != nil {
		return err
	}
	var file, context map[string]json.RawMessage
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	if err := json.Unmarshal(file["context"], &context); err != nil {
		return err
	}
	context["stages"] = json.RawMessage(c.settings.json())
	if file["context"], err = json.Marshal(context); err != nil {
		return err
	}
	if text, err = json.Marshal(file); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.repositoryCopy(), "cdk.json"), text, 0o600)
}
