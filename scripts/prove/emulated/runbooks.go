package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/system"
)

// runbook is a chapter of the file: the alarms that lead there, and its commands.
type runbook struct {
	title    string
	alarms   []string
	commands string
}

const (
	runbooksFile = ".github/runbooks.md"
	runFence     = "```sh emulated"
	namesFence   = runFence + " names"
)

// alarmName is one in the text, or the beginning of several.
var alarmName = regexp.MustCompile("`([A-Z][a-z][A-Za-z]+)…?`")

// readRunbooks reads the file, and what goes before the commands of each.
func readRunbooks(path string) (names string, all []runbook, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	fence := ""
	for line := range strings.Lines(string(text)) {
		trimmed := strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```") && fence == "":
			fence = trimmed
		case strings.HasPrefix(line, "```"):
			fence = ""
		case strings.HasPrefix(line, "## ") && fence == "":
			all = append(all, runbook{title: trimmed[3:]})
		case fence == namesFence:
			names += line
		case len(all) == 0:
		case fence == runFence:
			all[len(all)-1].commands += line
		case fence == "" && all[len(all)-1].commands == "":
			for _, m := range alarmName.FindAllStringSubmatch(line, -1) {
				all[len(all)-1].alarms = append(all[len(all)-1].alarms, m[1])
			}
		}
	}
	if names == "" || len(all) == 0 {
		return "", nil, fmt.Errorf("reading %s: there is nothing to run in it", path)
	}
	return names, all, nil
}

// runbooks runs the commands of each runbook, in a copy of the repository whose
// cdk.json has the stage.
func (c *checks) runbooks(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.say("the commands of %s", runbooksFile)
	names, all, err := readRunbooks(filepath.Join(c.root, runbooksFile))
	if err == nil {
		err = c.copyRepository()
	}
	var alarms struct{ MetricAlarms []struct{ AlarmName string } }
	if err == nil {
		err = c.aws(ctx, regions[0], &alarms, "cloudwatch", "describe-alarms")
	}
	if err != nil {
		c.check("runbooks", err.Error())
		return
	}
	for _, r := range all {
		if ctx.Err() != nil {
			return
		}
		for _, name := range r.alarms {
			// This one is left out of the deployment here.
			known := name == "MirrorsUnavailable" || slices.ContainsFunc(alarms.MetricAlarms, func(a struct{ AlarmName string }) bool {
				return strings.Contains(a.AlarmName, "-"+name)
			})
			if !known {
				c.check("runbook: "+r.title+": its alarms are deployed", "there is no alarm "+name)
			}
		}
		c.say("runbook: %s", r.title)
		c.check("runbook: "+r.title, found(c.follow(ctx, names, r), true, ""))
	}
}

// follow does what a runbook says: its commands, and what it wants changed in
// the stage before them.
func (c *checks) follow(ctx context.Context, names string, r runbook) error {
	if r.title == "A region closes" {
		c.settings.retiring = []string{regions[1]}
	}
	if err := c.copyStages(); err != nil {
		return err
	}
	// Hosts of S3 and CloudFront are found through the proxy only.
	_, all, err := c.commandIn(ctx, c.repository(), append(c.environment(regions[0]),
		"PATH="+c.python+":"+os.Getenv("PATH"), "HTTPS_PROXY=http://"+c.proxy,
		// What another make has handed on is not for these.
		"MAKEFLAGS=", "MAKEOVERRIDES=", "ARGS=",
		"CURL_CA_BUNDLE="+filepath.Join(c.dir, "certificate.pem"), "npm_config_prefer_offline=true",
		"CDK="+c.cdkCommand+" -a "+c.app()+" -o "+filepath.Join(c.dir, "cdk.runbooks")+" --ci --no-color --yes",
		"STAGE="+stageName, "REGION="+regions[1], "PRIMARY="+regions[0],
		"SOURCE="+strings.TrimPrefix(c.upstream, "http://")+"/"+system.Prefix,
		"IMAGE="+pull.Repository+":"+pull.Tag, "DIGEST="+c.image.Missing.String(),
	), "bash", "-euxc", names+r.commands)
	if err != nil {
		return fmt.Errorf("%w; the end of what it wrote:\n%s", err, end(all))
	}
	return nil
}

func (e *emulator) repository() string { return filepath.Join(e.dir, "repository") }

// copyRepository copies all but what was built.
func (e *emulator) copyRepository() error {
	entries, err := os.ReadDir(e.root)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		from, to := filepath.Join(e.root, entry.Name()), filepath.Join(e.repository(), entry.Name())
		switch {
		case slices.Contains([]string{".git", ".build", "cdk.out", "node_modules"}, entry.Name()):
		case entry.IsDir():
			err = os.CopyFS(to, os.DirFS(from))
		case entry.Type().IsRegular():
			var text []byte
			if text, err = os.ReadFile(from); err == nil {
				err = os.MkdirAll(e.repository(), 0o700)
			}
			if err == nil {
				err = os.WriteFile(to, text, 0o600)
			}
		}
		if err != nil {
			return fmt.Errorf("copying the repository: %w", err)
		}
	}
	return nil
}

// copyStages puts the stage as it is now into the copy's cdk.json.
func (c *checks) copyStages() error {
	text, err := os.ReadFile(filepath.Join(c.root, "cdk.json"))
	if err != nil {
		return err
	}
	var file map[string]json.RawMessage
	var inside map[string]json.RawMessage
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	if err := json.Unmarshal(file["context"], &inside); err != nil {
		return err
	}
	inside["stages"] = json.RawMessage(c.settings.json())
	if file["context"], err = json.Marshal(inside); err != nil {
		return err
	}
	if text, err = json.Marshal(file); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.repository(), "cdk.json"), text, 0o600)
}
