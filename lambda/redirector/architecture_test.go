package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"archeio/lambda/build"
)

// module is the prefix of the import paths of this repository. The tables below
// have import paths without it.
const module = "archeio/"

// golist is a package as "go list -json" prints it.
type golist struct {
	ImportPath, Doc           string
	Imports                   []string
	TestImports, XTestImports []string
	Deps                      []string
}

// packages returns the packages of the repository by import path, without module.
var packages = sync.OnceValues(func() (map[string]golist, error) {
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "list", "-tags", "lambda.norpc", "-json=ImportPath,Doc,Imports,TestImports,XTestImports,Deps", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	all := map[string]golist{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p golist
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all[strings.TrimPrefix(p.ImportPath, module)] = p
	}
})

func repository(t *testing.T) map[string]golist {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// below reports whether a path is one of some folders, or in one. A folder that
// ends in "/" does not include itself.
func below(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
	})
}

// standard reports whether an import path is of the standard library.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && first+"/" != module
}

// layers have, for each package that a function is made of, what it imports
// besides the standard library, and why nothing else.
var layers = []struct {
	pkg    string
	may    []string
	reason string
}{
	{"ranges", nil, "the range table is data and knows nothing of requests"},
	{"ranges/regions", nil, "regions are data and know nothing of requests"},
	{"ranges/compile", []string{"ranges", "ranges/regions"}, "the table is compiled from the providers' documents alone"},

	{"lambda/oci", nil, "parsing a path is pure"},
	{"lambda/clientip", nil, "parsing an address is pure"},
	{"lambda/metrics", nil, "metrics are lines on standard output"},
	{"lambda/index", nil, "the index is a format of bytes"},
	{"lambda/spelling", nil, "suggestions depend on nothing but the names"},
	{"lambda/build", nil, "binaries are built by the go command"},
	{"lambda/bucket", nil, "a rate depends on nothing but the time"},
	{"lambda/field", nil, "parsing header fields is pure"},
	{"lambda/upstreams", nil, "known registries are data"},
	{"lambda/config", []string{"lambda/index", "lambda/oci", "lambda/spelling", "lambda/upstreams", "ranges", "ranges/regions"}, "a configuration is validated without I/O"},
	{"lambda/route", []string{"lambda/oci", "ranges", "ranges/regions", "lambda/config"}, "a decision is pure: whether a mirror has a blob is checked afterwards"},
	{"lambda/hosts", []string{"lambda/config"}, "the hosts follow from the configuration"},
	{"lambda/worldmap", []string{"lambda/route", "lambda/oci", "lambda/config", "ranges", "ranges/regions"}, "the map is drawn from decisions, without I/O"},
	{"lambda/refresher", []string{
		"lambda/config", "lambda/index", "lambda/metrics", "ranges", "ranges/compile",
		"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go",
	}, "tables are published from documents, and nothing of that is on the way of a request"},
	{"lambda/refresh", []string{
		"lambda/refresher", "lambda/config", "lambda/route", "ranges/compile",
		"github.com/aws/aws-lambda-go", "github.com/aws/aws-sdk-go-v2",
	}, "the main only builds the refresher"},
	{"lambda/download", nil, "what is downloaded is the caller's"},
	{"lambda/rangetable", []string{"lambda/download", "lambda/index", "ranges"}, "the table is replaced between two lookups, and nothing else of a request is known"},
	{"lambda/blobs", []string{"lambda/index", "lambda/config", "lambda/download"}, "a check is an HTTP request, and knows nothing of decisions"},
	{"lambda/page", []string{"lambda/config", "lambda/hosts", "lambda/upstreams", "lambda/worldmap", "ranges"}, "pages are rendered from the configuration, without I/O"},
	{"lambda/relay", []string{"lambda/blobs", "lambda/bucket", "lambda/config", "lambda/field", "lambda/oci", "lambda/upstreams"}, "an upstream is asked, and nothing of decisions or entry points is known"},
	{"lambda/redirect", []string{"lambda/relay", "lambda/oci", "lambda/page", "lambda/route", "lambda/blobs", "lambda/bucket", "lambda/config", "lambda/metrics", "ranges", "ranges/regions"}, "the handler does not know the entry points: gateway calls it"},
	{"lambda/gateway", []string{"lambda/redirect", "lambda/clientip", "ranges/regions", "github.com/go-json-experiment/json"}, "events are decoded and encoded, and nothing else"},
	{"lambda/redirector", []string{"lambda/gateway", "lambda/redirect", "lambda/relay", "lambda/blobs", "lambda/config", "lambda/metrics", "lambda/rangetable", "github.com/aws/aws-lambda-go"}, "the main only builds the handler"},

	{"lambda/pace", []string{"golang.org/x/time"}, "registries and buckets share it"},
	{"lambda/outage", nil, "registries and buckets share it"},
	{"lambda/registry", []string{
		"lambda/field", "lambda/oci", "lambda/outage", "lambda/pace", "lambda/upstreams",
		"github.com/google/go-containerregistry", "golang.org/x/time",
	}, "a source is read the same way whatever it is copied to"},
	{"lambda/copier", []string{
		"lambda/config", "lambda/index", "lambda/metrics", "lambda/oci", "lambda/outage", "lambda/pace", "lambda/registry",
		"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go", "golang.org/x/sync", "golang.org/x/time",
	}, "mirrors are filled from a registry, and nothing of that is on the way of a request"},
	{"lambda/mirror", []string{
		"lambda/copier", "lambda/registry", "lambda/config",
		"github.com/aws/aws-lambda-go", "github.com/aws/aws-sdk-go-v2",
	}, "the main only builds the planner and the worker"},
	{"lambda/testpull", nil, "a client knows the protocol, and nothing of the code that it tests"},
	{"lambda/testpull/image", []string{"lambda/testpull", "lambda/config", "github.com/aws/aws-sdk-go-v2"}, "an image is found, and pulled by others"},
	{"lambda/canary", []string{"lambda/testpull", "lambda/metrics", "github.com/aws/aws-lambda-go"}, "the canary is a client, and reads only which image to pull"},
	{"lambda/rollout/smoketest", []string{"lambda/config", "lambda/route", "lambda/testpull"}, "the smoke test must not trust the code that it tests"},
	{"lambda/rollout", []string{"lambda/rollout/smoketest", "lambda/config", "lambda/testpull", "github.com/aws/aws-lambda-go", "github.com/aws/aws-sdk-go-v2"}, "the main only runs the smoke test and reports to CodeDeploy"},
}

// TestLayers checks the imports of every package in lambda and ranges.
func TestLayers(t *testing.T) {
	t.Parallel()
	all := repository(t)
	listed := map[string]bool{}
	for _, l := range layers {
		listed[l.pkg] = true
		p, ok := all[l.pkg]
		if !ok {
			t.Errorf("there is no package %s: remove it from layers", l.pkg)
		}
		for _, path := range p.Imports {
			if short := strings.TrimPrefix(path, module); !standard(path) && !below(short, l.may...) {
				t.Errorf("%s imports %s: %s", l.pkg, short, l.reason)
			}
		}
		for _, allowed := range l.may {
			if !slices.ContainsFunc(p.Imports, func(path string) bool { return below(strings.TrimPrefix(path, module), allowed) }) {
				t.Errorf("%s does not import %s: remove it from layers", l.pkg, allowed)
			}
		}
	}
	for name := range all {
		if below(name, "lambda", "ranges") && !listed[name] && !strings.Contains(name, "/testdata/") {
			t.Errorf("package %s is not in layers: add what it may import, and why nothing else", name)
		}
	}
}

// bans are imports that are not allowed between folders, each with the exceptions
// and the reason. Tests are checked too if tests is true.
var bans = []struct {
	from, to, except []string
	tests            bool
	reason           string
}{
	{[]string{"lambda", "infra", "ranges"}, []string{"scripts"}, nil, false, "programs stand above the functions and the CDK app"},
	{[]string{"lambda", "infra", "ranges"}, []string{"scripts"}, []string{"scripts/lab"}, true, "tests may use the simulated AWS services, but no program"},
	{[]string{"lambda", "ranges"}, []string{"infra"}, nil, true, "a function does not know how it is deployed"},
	{[]string{"ranges"}, []string{"lambda"}, nil, true, "the table knows nothing of requests"},
	{[]string{"scripts/lab"}, []string{"scripts"}, []string{"scripts/lab"}, true, "libraries do not depend on programs"},
	{[]string{"scripts/lab"}, []string{"infra"}, nil, true, "the local system is configured like a function, not like a stage"},
	{[]string{"scripts/archeio"}, []string{"scripts/dev", "scripts/prove"}, nil, true, "operators do not get developers' programs"},
	{[]string{"scripts/dev"}, []string{"scripts/archeio", "scripts/prove"}, nil, true, "programs share libraries, not each other's code"},
	{[]string{"scripts/prove"}, []string{"scripts/archeio", "scripts/dev"}, []string{
		"scripts/archeio/capacity", // its model is compared with counted requests
		"scripts/archeio/mirror",   // its memory is measured, in a process of its own
		"scripts/archeio/cli",      // runs it
	}, true, "programs share libraries, not each other's code"},
	{[]string{"infra"}, []string{"lambda"}, []string{
		"lambda/config",   // writes the environment of the functions
		"lambda/metrics",  // names of metrics for alarms and the dashboard
		"lambda/build",    // builds the functions
		"lambda/spelling", // suggests the nearest stage key
		"lambda/route",    // values of the dimension Reason
		"lambda/oci",      // values of the dimension Kind
		"lambda/blobs",    // values of the dimensions Check and Index
		"lambda/relay",    // values of the dimensions Relay and Token
		"lambda/index",    // the object that the planner may write

		"lambda/rangetable", // values of the dimension Ranges
		"lambda/upstreams",  // values of upstream.access
		"lambda/redirect",   // the response of the CloudFront Function to other methods
	}, true, "the CDK app takes only names and the environment from the functions"},
}

// TestBans checks the imports between folders.
func TestBans(t *testing.T) {
	t.Parallel()
	all := repository(t)
	for _, b := range bans {
		used := map[string]bool{}
		for name, p := range all {
			if !below(name, b.from...) {
				continue
			}
			imports := p.Imports
			if b.tests {
				imports = slices.Concat(imports, p.TestImports, p.XTestImports)
			}
			for _, path := range imports {
				path, own := strings.CutPrefix(path, module)
				if !own || !below(path, b.to...) {
					continue
				}
				if i := slices.IndexFunc(b.except, func(e string) bool { return below(path, e) }); i >= 0 {
					used[b.except[i]] = true
				} else {
					t.Errorf("%s imports %s: %s", name, path, b.reason)
				}
			}
		}
		for _, e := range b.except {
			if !used[e] {
				t.Errorf("no package of %v imports %s: remove the exception from bans", b.from, e)
			}
		}
	}
}

// links are packages that a binary must not link, directly or indirectly.
var links = []struct{ binary, to, reason string }{
	{"lambda/redirector", "github.com/aws/aws-sdk-go-v2", "initializing the SDK takes longer than the rest of the start"},
	{"lambda/redirector", "github.com/aws/aws-cdk-go", "the CDK is for deployment"},
	{"lambda/redirector", "github.com/aws/jsii-runtime-go", "the CDK is for deployment"},
	{"lambda/redirector", "github.com/spf13/cobra", "a function has no command line"},
	{"lambda/redirector", "github.com/google/go-containerregistry", "the redirector is not a client of a registry"},
	{"lambda/redirector", "archeio/lambda/copier", "the redirector fills no mirror"},
	{"lambda/redirector", "html/template", "it adds 1.8 MB; package page escapes what it renders"},
	{"lambda/redirector", "regexp", "compiling expressions is work at start-up"},
	{"lambda/mirror", "github.com/spf13/cobra", "a function has no command line"},
	{"lambda/mirror", "github.com/aws/jsii-runtime-go", "the CDK is for deployment"},
	{"lambda/rollout", "github.com/spf13/cobra", "a function has no command line"},
	{"lambda/rollout", "github.com/aws/jsii-runtime-go", "the CDK is for deployment"},
	{"scripts/archeio", "github.com/aws/jsii-runtime-go", "the operator's program must run without Node.js"},
}

// TestLinks checks what the binaries link.
func TestLinks(t *testing.T) {
	t.Parallel()
	all := repository(t)
	for _, l := range links {
		p, ok := all[l.binary]
		if !ok {
			t.Errorf("there is no package %s: remove it from links", l.binary)
		}
		for _, dep := range p.Deps {
			if below(dep, l.to) {
				t.Errorf("%s links %s: %s", l.binary, dep, l.reason)
			}
		}
	}
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	for name, p := range repository(t) {
		if p.Doc == "" {
			t.Errorf("package %s has no doc comment", name)
		}
	}
}

const developmentPage = ".github/development.md"

// TestHouse compares the map of folders in the development page with the packages:
// every folder up to the second level is there, and nothing else.
func TestHouse(t *testing.T) {
	t.Parallel()
	page := documents(t)[developmentPage]
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	for name := range repository(t) {
		parts := strings.Split(name, "/")
		if folder := strings.Join(parts[:min(len(parts), 2)], "/"); !strings.Contains(page, folder) {
			t.Errorf("%s: the folder %s is missing", developmentPage, folder)
		}
	}
	for _, path := range regexp.MustCompile(`\b(lambda|ranges|infra|events|scripts)/[a-z0-9/_-]+`).FindAllString(page, -1) {
		if matches, err := filepath.Glob(filepath.Join(root, path) + "*"); err != nil || len(matches) == 0 {
			t.Errorf("%s: there is no %s", developmentPage, path)
		}
	}
}

func TestBinarySize(t *testing.T) {
	t.Parallel()
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > build.RedirectorBudget {
		t.Errorf("the binary has %d bytes, want at most %d", info.Size(), build.RedirectorBudget)
	}
}
