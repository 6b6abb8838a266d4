//go:build !race

package stacks

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

// more are stages with what no stage of cdk.json has. The first has load balancers
// without a distribution, one of them in an existing VPC, its primary in an existing
// bucket, an alias, and a canary with an image of its own; one has a domain without a
// hosted zone and relays through both entry points; another has no functions
// that fill its mirrors, and an upstream that requires a token; the third has a filling and
// a retiring mirror, a mirror in an existing bucket, and a load
// balancer in an existing VPC with IPv6; the fourth has its primary in a region without account namespaces, access logs and a firewall that
// blocks.
const more = `{"balanced": {
	"account": "111122223333",
	"mirrors": ["eu-west-1", "us-west-2", "me-south-1"],
	"primary": "us-west-2",
	"redirectors": ["eu-west-1", "us-west-2"],
	"front": "alb",
	"domain": "example.net",
	"aliases": ["images.example.net"],
	"hostedZone": {"id": "Z0000000000000000000", "name": "example.net"},
	"upstream": {"endpoint": "https://us-docker.pkg.dev", "path": "example-project/images"},
	"networks": {"eu-west-1": {"vpc": "vpc-0123456789abcdef0", "subnets": ["subnet-0123abcd", "subnet-4567cdef"]}},
	"buckets": {"us-west-2": "example-images-primary"},
	"architecture": "x86_64",
	"canary": {"image": "pause:3.9"},
	"firewall": {"limit": 5000, "countOnly": false},
	"release": {"shift": "AllAtOnce"}
}, "certified": {
	"account": "111122223333",
	"mirrors": ["eu-west-1"],
	"redirectors": ["eu-west-1"],
	"front": "both",
	"domain": "registry.example.org",
	"aliases": ["images.example.com"],
	"certificate": {
		"us-east-1": "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef",
		"eu-west-1": "arn:aws:acm:eu-west-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef"
	},
	"priceClass": "100",
	"upstream": {"endpoint": "https://us-docker.pkg.dev", "path": "example-project/images", "access": "token"}
}, "by-hand": {
	"account": "111122223333",
	"mirrors": ["eu-west-1", "us-west-2"],
	"redirectors": ["eu-west-1"],
	"upstream": {"endpoint": "https://ghcr.io", "path": "example", "access": "token", "tagMaxAge": "2m"},
	"singleHost": true,
	"fill": false,
	"rangesRefresh": "none",
	"release": {"shift": "Linear10PercentEvery1Minute"}
}, "moving": {
	"account": "111122223333",
	"mirrors": ["eu-west-1", "us-west-2", "ap-south-1", "me-central-1"],
	"redirectors": ["ap-south-1"],
	"upstream": {"endpoint": "https://111122223333.dkr.ecr.eu-west-1.amazonaws.com", "path": "example-project/images"},
	"publishes": true,
	"filling": ["ap-south-1"],
	"home": "us-west-2",
	"retiring": ["me-central-1"],
	"buckets": {"us-west-2": "example-images-oregon"},
	"front": "both",
	"domain": "example.net",
	"hostedZone": {"id": "Z0000000000000000000", "name": "example.net"},
	"networks": {"ap-south-1": {"vpc": "vpc-0123456789abcdef0", "subnets": ["subnet-0123abcd", "subnet-4567cdef"], "ipv6": true}}
}, "secret": {
	"account": "111122223333",
	"mirrors": ["eu-west-1", "me-south-1"],
	"primary": "me-south-1",
	"redirectors": ["eu-west-1"],
	"upstream": {"endpoint": "https://registry.example:8443", "path": "images"},
	"accessLogs": true,
	"firewall": {"countOnly": false},
	"publishes": true,
	"fill": {
		"schedule": "cron(0/30 * * * ? *)", "rate": 7, "workers": 3, "referrers": false,
		"repositories": ["pause", "team/**"], "tags": ["v*"], "excludeTags": ["*-rc*"], "platforms": ["linux/*"], "allowEmpty": true,
		"secret": "arn:aws:secretsmanager:me-south-1:111122223333:secret:registry/upstream-AbCdEf"
	}
}}`

func TestMain(m *testing.M) {
	// The CDK's own validation takes longer than all tests. make synth runs it for
	// the stages of cdk.json, and CI here for all stages. Importing the CDK has
	// copied the environment for Node.js already, so it takes another start.
	if _, set := os.LookupEnv("CDK_VALIDATION"); !set && os.Getenv("CI") == "" {
		if path, err := os.Executable(); err == nil {
			jsii.Close()
			err = syscall.Exec(path, os.Args, append(os.Environ(), "CDK_VALIDATION=false"))
			fmt.Fprintln(os.Stderr, "starting the tests without validation:", err)
			os.Exit(1)
		}
	}
	work, err := os.MkdirTemp("", "stacks")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	workDir = work
	code := m.Run()
	jsii.Close() // not earlier: the next call would start another process
	os.RemoveAll(work)
	os.Exit(code)
}

// workDir is removed after the tests.
var workDir string

// cloud is a synthesized app.
type cloud struct {
	dir    string
	stages []*stage.Stage
	stacks []*synthStack
}

// synthStack is one synthesized stack.
type synthStack struct {
	stage        *stage.Stage
	name         string
	what, region string
	template     map[string]any
	protected    bool
	dependencies []string
}

// file is cdk.json: the context that the CLI passes to the app, and the stages.
type file struct {
	context map[string]any
	stages  []*stage.Stage
}

func readFile() (*file, error) {
	text, err := os.ReadFile("../../cdk.json")
	if err != nil {
		return nil, err
	}
	var raw struct{ Context map[string]json.RawMessage }
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	f := &file{context: map[string]any{
		// The CLI sets it, for SAM.
		"aws:cdk:enable-asset-metadata": true,
	}}
	for key, value := range raw.Context {
		if key == "stages" {
			continue
		}
		var v any
		if err := json.Unmarshal(value, &v); err != nil {
			return nil, err
		}
		f.context[key] = v
	}
	f.stages, err = stage.Load(raw.Context["stages"])
	return f, err
}

// newApp creates an app that is synthesized into a folder of workDir, and folders with
// assets in place of the functions.
func newApp(f *file, name string) (app awscdk.App, dir string, code Code, err error) {
	dir = filepath.Join(workDir, name)
	code = Code{Redirector: filepath.Join(workDir, "redirector"), Mirror: filepath.Join(workDir, "mirror"), Refresh: filepath.Join(workDir, "refresh"), Rollout: filepath.Join(workDir, "rollout"), Canary: filepath.Join(workDir, "canary")}
	for _, folder := range []string{code.Redirector, code.Mirror, code.Refresh, code.Rollout, code.Canary} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, "", code, err
		}
		if err := os.WriteFile(filepath.Join(folder, "bootstrap"), []byte("not the function "+filepath.Base(folder)), 0o755); err != nil {
			return nil, "", code, err
		}
	}
	return awscdk.NewApp(&awscdk.AppProps{
		Outdir:             jsii.String(dir),
		Context:            &f.context,
		AnalyticsReporting: jsii.Bool(false),
	}), dir, code, nil
}

// synthesize synthesizes stages and reads the result.
func synthesize(f *file, name string, stages []*stage.Stage) (*cloud, error) {
	app, dir, code, err := newApp(f, name)
	if err != nil {
		return nil, err
	}
	for _, s := range stages {
		if err := Add(app, s, code); err != nil {
			return nil, err
		}
	}
	app.Synth(nil)

	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return nil, err
	}
	var manifest struct {
		Artifacts map[string]struct {
			Type         string
			Dependencies []string
			Environment  string
			Properties   struct {
				TemplateFile          string
				TerminationProtection bool
			}
		}
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, err
	}
	c := &cloud{dir: dir, stages: stages}
	for name, artifact := range manifest.Artifacts {
		if artifact.Type != "aws:cloudformation:stack" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, artifact.Properties.TemplateFile))
		if err != nil {
			return nil, err
		}
		st := &synthStack{name: name, protected: artifact.Properties.TerminationProtection, dependencies: artifact.Dependencies}
		if err := json.Unmarshal(text, &st.template); err != nil {
			return nil, err
		}
		for _, s := range stages {
			st.region = artifact.Environment[strings.LastIndex(artifact.Environment, "/")+1:]
			for _, what := range stage.Kinds {
				if s.Stack(what, st.region) == name && artifact.Environment == "aws://"+s.Account+"/"+st.region {
					st.stage, st.what = s, what
				}
			}
			if st.stage != nil {
				break
			}
		}
		if st.stage == nil {
			return nil, fmt.Errorf("stack %s in %s is not that of a stage", name, artifact.Environment)
		}
		c.stacks = append(c.stacks, st)
	}
	slices.SortFunc(c.stacks, func(a, b *synthStack) int { return strings.Compare(a.name, b.name) })
	return c, nil
}

// everything is one app with all stages, for all tests.
var everything = sync.OnceValues(func() (*cloud, error) {
	f, err := readFile()
	if err != nil {
		return nil, err
	}
	others, err := stage.Load([]byte(more))
	if err != nil {
		return nil, err
	}
	others[slices.IndexFunc(others, func(s *stage.Stage) bool { return s.Name == "by-hand" })].PlainAlarms = true
	return synthesize(f, "all", append(f.stages, others...))
})

// needNode skips a test, or fails it in CI, if there is no Node.js, which the CDK needs.
func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err == nil {
		return
	}
	const missing = "the templates are not tested: the CDK needs Node.js: there is no node in PATH"
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

func synthesized(t *testing.T) *cloud {
	t.Helper()
	needNode(t)
	c, err := everything()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// each runs a test for every stack of a kind, for all stacks if what is empty.
func each(t *testing.T, what string, test func(*testing.T, *synthStack)) {
	t.Helper()
	n := 0
	for _, st := range synthesized(t).stacks {
		if what == "" || st.what == what {
			n++
			t.Run(st.name, func(t *testing.T) { test(t, st) })
		}
	}
	if n == 0 {
		t.Errorf("no stack of the kind %q", what)
	}
}
