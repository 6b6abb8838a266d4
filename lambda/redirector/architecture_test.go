package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"archeio/lambda/build"
)

type pkg struct {
	ImportPath string
	Standard   bool
	Doc        string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T, args ...string) map[string]pkg {
	t.Helper()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", append([]string{"list", "-tags", build.Tags, "-json=ImportPath,Standard,Doc,Imports,Deps"}, args...)...)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]pkg{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

// The ways that imports must not go, each with its reason.
var banned = []struct {
	from, to, reason string
}{
	{"archeio/lambda/redirector", "github.com/aws/aws-sdk-go-v2/", "the function starts in milliseconds because it carries no SDK"},
	{"archeio/lambda/redirector", "github.com/aws/aws-cdk-go/", "the CDK is for deployment only"},
	{"archeio/lambda/redirector", "github.com/aws/jsii-runtime-go", "the CDK is for deployment only"},
	{"archeio/lambda/redirector", "github.com/google/go-containerregistry", "the redirector never talks to a registry as a client"},
	{"archeio/lambda/redirector", "archeio/lambda/copier", "the redirector reads no registry and writes no bucket"},
	{"archeio/lambda/copier", "archeio/scripts/", "what people run by hand is no part of the functions"},
	{"archeio/lambda/redirector", "archeio/scripts/", "what people run by hand is no part of the function"},
	{"archeio/lambda/redirector", "regexp", "compiling expressions is work at start-up"},
	{"archeio/lambda/redirect", "archeio/lambda/gateway", "data flows from the gateway to the handler, not back"},
	{"archeio/lambda/redirect", "github.com/aws/aws-lambda-go", "the handler does not know what front asks"},
	{"archeio/lambda/route", "net/http", "a decision asks nobody"},
	{"archeio/lambda/route", "archeio/lambda/blobs", "a decision asks nobody"},
	{"archeio/lambda/oci", "net/http", "classifying a path asks nobody"},
	{"archeio/ranges", "archeio/lambda/", "the table knows nothing of requests"},
}

// standardOnly may import nothing but the standard library: they are what
// others would want to reuse.
var standardOnly = []string{
	"archeio/lambda/oci", "archeio/lambda/clientip", "archeio/lambda/metrics", "archeio/ranges", "archeio/ranges/regions",
}

func TestImports(t *testing.T) {
	all := packages(t, "-deps", "./lambda/...", "./ranges/...")
	for _, b := range banned {
		p, ok := all[b.from]
		if !ok {
			t.Errorf("there is no package %s", b.from)
		}
		for _, dep := range p.Deps {
			if dep == b.to || strings.HasSuffix(b.to, "/") && strings.HasPrefix(dep, b.to) {
				t.Errorf("%s imports %s: %s", b.from, dep, b.reason)
			}
		}
	}
	for _, name := range standardOnly {
		for _, dep := range all[name].Deps {
			if !all[dep].Standard && dep != name && !slices.Contains(standardOnly, dep) {
				t.Errorf("%s imports %s: it may use the standard library only", name, dep)
			}
		}
	}
}

func TestPackagesExplainThemselves(t *testing.T) {
	for name, p := range packages(t, "./...") {
		if p.Doc == "" {
			t.Errorf("package %s has no doc comment", name)
		}
	}
}

func TestBinarySize(t *testing.T) {
	const budget = 8_000_000
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > budget {
		t.Errorf("the binary has %d bytes, the budget is %d", info.Size(), budget)
	}
}
