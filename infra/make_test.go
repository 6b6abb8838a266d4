package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The targets of the Makefile pass the CDK what they are given, and a deployment asks
// once for the whole stage.
func TestMakeTargets(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("make"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("the targets are not tested: there is no make in PATH")
		}
		t.Skip("the targets are not tested: there is no make in PATH")
	}
	const options = "--profile p -c a=b"
	for _, tt := range []struct {
		name string
		args []string
		want []string // commands that it runs, in this order
		not  string   // what it does not run, if anything
	}{
		{"bootstrap", []string{"bootstrap"}, []string{"cdk bootstrap -c stage=s " + options}, ""},
		{"diff", []string{"diff"}, []string{"cdk diff -c stage=s " + options}, ""},
		{"deploy", []string{"deploy", "YES=1"}, []string{"preflight -stage s", "cdk deploy --all --require-approval never --concurrency 8 -c stage=s " + options}, ""},
		{"deploy-asks", []string{"deploy"}, []string{"preflight -stage s", "cdk diff -c stage=s " + options, "Deploy these changes?", "cdk deploy --all --require-approval never"}, ""},
		{"deploy-without-preflight", []string{"deploy", "-o", "preflight", "YES=1"}, []string{"cdk deploy --all --require-approval never"}, "preflight"},
		{"deploy-without-release", []string{"deploy", "YES=1", "RELEASE=none", "CONCURRENCY=2"}, []string{"preflight -stage s -release none", "--concurrency 2 -c stage=s -c release=none " + options}, ""},
		{"destroy", []string{"destroy"}, []string{"cdk destroy --all --concurrency 8 -c stage=s " + options}, ""},
		{"destroy-region", []string{"destroy", "REGION=eu-west-3", "YES=1", "ARGS=-dry-run"}, []string{"archeio destroy -stage s -region eu-west-3 -yes -dry-run"}, ""},
		{"destroy-without-asking", []string{"destroy", "YES=1"}, []string{"cdk destroy --all --concurrency 8 --force -c stage=s " + options}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("make", append([]string{"-C", "..", "-n", "STAGE=s", "CDK=cdk", "CDK_ARGS=" + options}, tt.args...)...)
			cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKEOVERRIDES=", "YES=", "RELEASE=", "ARGS=", "REGION=")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			rest := strings.Join(strings.Fields(string(out)), " ")
			if tt.not != "" && strings.Contains(rest, tt.not) {
				t.Errorf("%q in\n%s", tt.not, out)
			}
			for _, want := range tt.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("no %q in the right order in\n%s", want, out)
				}
				rest = after
			}
		})
	}
}

// Without a terminal a deployment does not wait for an answer.
func TestDeployWithoutTerminal(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("the targets are not tested: there is no make in PATH")
	}
	cmd := exec.Command("make", "-C", "..", "-o", "preflight", "STAGE=s", "CDK=false", "approved")
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKEOVERRIDES=", "YES=")
	out, err := cmd.CombinedOutput()
	if want := "no terminal to ask for approval: review the output of make diff STAGE=s, then run make deploy STAGE=s YES=1"; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: %s\nwant %q", err, out, want)
	}
}
