package adopt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"archeio/infra/leftover"
	"archeio/scripts/archeio/cli"
)

const (
	primary = "archeio-test-123456789012-eu-central-1-an"
	replica = "archeio-test-123456789012-us-west-2-an"
	state   = "archeio-test-state-123456789012-eu-central-1-an"

	primaryStack = "archeio-test-mirror-eu-central-1"
	replicaStack = "archeio-test-mirror-us-west-2"
	homeStack    = "archeio-test-home-eu-central-1"
)

// fake is an account.
type fake struct {
	status    map[string]string
	resources map[string][]string
	buckets   map[string]leftover.Ownership
	stackOf   map[string]string // by bucket
	tag       map[string]string // by bucket
	err       error

	done []string // changes, in order
}

func (f *fake) StackStatus(_ context.Context, _, stack string) (string, error) {
	return f.status[stack], f.err
}
func (f *fake) StackResources(_ context.Context, _, stack string) ([]string, error) {
	return f.resources[stack], nil
}
func (f *fake) StackOf(_ context.Context, _, _, bucket string) (string, error) {
	return f.stackOf[bucket], nil
}
func (f *fake) Ownership(_ context.Context, _, bucket string) (leftover.Ownership, error) {
	return f.buckets[bucket], nil
}
func (f *fake) StageTag(_ context.Context, _, bucket string) (string, error) {
	return f.tag[bucket], nil
}
func (f *fake) DeleteStack(_ context.Context, region, stack string) error {
	f.done = append(f.done, "delete "+stack+" "+region)
	return nil
}
func (f *fake) DeletePolicy(_ context.Context, region, bucket string) error {
	f.done = append(f.done, "delete policy "+bucket+" "+region)
	return nil
}

// outcome is what a run of the command printed, and its exit code.
type outcome struct {
	code           int
	stdout, stderr string
}

// runAdopt runs the command for a stage with more keys.
func runAdopt(t *testing.T, ctx context.Context, f *fake, keys string, args ...string) outcome {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(file, []byte(`{"context": {"stages": {"test": {
		"account": "123456789012", "mirrors": ["eu-central-1", "us-west-2"], "redirectors": ["eu-central-1"],
		"upstream": {"endpoint": "https://registry.example"}`+keys+`}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	connect := func(context.Context) (string, account, error) { return "123456789012", f, nil }
	program := func(_ context.Context, out io.Writer, name string, args ...string) error {
		fmt.Fprintln(out, "output of the CDK")
		f.done = append(f.done, name+" "+strings.Join(args, " "))
		return nil
	}
	var stdout, stderr strings.Builder
	code := cli.Run(ctx, command(connect, program), append([]string{"-file", file, "-stage", "test", "-cdk", "npx cdk"}, args...), strings.NewReader(""), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

func own(names ...string) map[string]leftover.Ownership {
	m := map[string]leftover.Ownership{}
	for _, name := range names {
		m[name] = leftover.Own
	}
	return m
}

var tags = map[string]string{primary: "test", replica: "test", state: "test"}

func TestAdopt(t *testing.T) {
	t.Parallel()
	const (
		deletePrimary = "delete policy " + primary + " eu-central-1"
		deleteReplica = "delete policy " + replica + " us-west-2"
		deleteState   = "delete policy " + state + " eu-central-1"
		deployReplica = "npx cdk deploy " + replicaStack + " --import-existing-resources -c stage=test"
	)
	for _, tt := range []struct {
		name    string
		account fake
		keys    string
		args    []string
		done    []string
		want    string
		blocked bool // by something that cannot be adopted
	}{
		{"nothing-deployed", fake{}, "", nil, nil, "nothing to adopt; run make deploy STAGE=test", false},
		{"all-deployed", fake{
			status:  map[string]string{primaryStack: "UPDATE_COMPLETE", replicaStack: "CREATE_COMPLETE", homeStack: "IMPORT_COMPLETE"},
			buckets: own(primary, replica, state), stackOf: map[string]string{primary: primaryStack, replica: replicaStack, state: homeStack}, tag: tags,
		}, "", nil, nil, "nothing to adopt", false},
		{"after-destroy", fake{buckets: own(primary, replica, state), tag: tags}, "", nil, []string{
			deletePrimary, deleteReplica, deleteState,
			"npx cdk deploy " + primaryStack + " " + replicaStack + " " + homeStack + " --import-existing-resources -c stage=test",
		}, "done; run make deploy STAGE=test to deploy the rest", false},
		{"one-left", fake{
			status:  map[string]string{primaryStack: "CREATE_COMPLETE"},
			buckets: own(primary, replica), stackOf: map[string]string{primary: primaryStack}, tag: tags,
		}, "", nil, []string{deleteReplica, deployReplica}, "the bucket is left over from an earlier deployment", false},
		{"creation-failed", fake{
			status: map[string]string{replicaStack: "ROLLBACK_COMPLETE"}, buckets: own(replica), tag: tags,
		}, "", nil, []string{"delete " + replicaStack + " us-west-2", deleteReplica, deployReplica}, "the stack is in ROLLBACK_COMPLETE", false},
		// The failed stack still lists the bucket, which its deletion retains.
		{"creation-failed-bucket-retained", fake{
			status: map[string]string{replicaStack: "ROLLBACK_FAILED"}, buckets: own(replica), stackOf: map[string]string{replica: replicaStack}, tag: tags,
		}, "", nil, []string{"delete " + replicaStack + " us-west-2", deleteReplica, deployReplica}, "ROLLBACK_FAILED", false},
		{"review", fake{status: map[string]string{homeStack: "REVIEW_IN_PROGRESS"}}, "", nil, []string{"delete " + homeStack + " eu-central-1"}, "the stack is in REVIEW_IN_PROGRESS", false},
		{"retired", fake{buckets: own(replica), tag: tags}, `, "retiring": ["us-west-2"]`, nil, []string{deleteReplica, deployReplica},
			"remove us-west-2 from mirrors and retiring", false},
		{"dry-run", fake{buckets: own(primary), tag: tags}, "", []string{"-dry-run"}, nil, primary, false},

		{"creation-failed-rest", fake{
			status: map[string]string{homeStack: "DELETE_FAILED"}, resources: map[string][]string{homeStack: {"AWS::SQS::Queue work"}}, buckets: own(primary), tag: tags,
		}, "", nil, nil, "still has AWS::SQS::Queue work; find the cause", true},
		{"busy", fake{status: map[string]string{primaryStack: "UPDATE_IN_PROGRESS"}, buckets: own(replica), tag: tags}, "", nil, nil, "the stack is in UPDATE_IN_PROGRESS; wait for it", true},
		{"stuck", fake{status: map[string]string{primaryStack: "UPDATE_ROLLBACK_FAILED"}}, "", nil, nil, "continue-update-rollback --region eu-central-1 --stack-name " + primaryStack, true},
		{"foreign", fake{buckets: map[string]leftover.Ownership{primary: leftover.Foreign, replica: leftover.Own}, tag: tags}, "", nil, nil, "the bucket is in another account or region", true},
		{"of-another-stack", fake{buckets: own(primary, replica), stackOf: map[string]string{primary: "website"}, tag: tags}, "", nil, nil, "belongs to the stack website", true},
		{"of-another-stage", fake{buckets: own(primary), tag: map[string]string{primary: "other"}}, "", nil, nil, `its tag archeio:stage is "other"`, true},
		{"untagged", fake{buckets: own(primary)}, "", nil, nil, `tag it archeio:stage=test`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := runAdopt(t, t.Context(), &tt.account, tt.keys, tt.args...)
			code, stderr := cli.ExitDone, ""
			if tt.blocked {
				code, stderr = cli.ExitProblem, "adopt: there is something that cannot be adopted; nothing was changed\n"
			}
			if got.code != code || got.stderr != stderr {
				t.Errorf("exit code %d, stderr %q, want %d, %q", got.code, got.stderr, code, stderr)
			}
			if !strings.Contains(got.stdout, tt.want) {
				t.Errorf("no %q in\n%s", tt.want, got.stdout)
			}
			if done, want := strings.Join(tt.account.done, "\n"), strings.Join(tt.done, "\n"); done != want {
				t.Errorf("changes\n%s\nwant\n%s", done, want)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	bucket := finding{"us-west-2", replica, replicaStack, true, "the bucket is left over from an earlier deployment, and its stack cannot create it again; run make adopt STAGE=test"}
	busy := finding{"eu-central-1", primaryStack, "", false, "the stack is in UPDATE_IN_PROGRESS; wait for it: aws cloudformation describe-stacks --region eu-central-1 --stack-name " + primaryStack}
	for _, tt := range []struct {
		name    string
		account fake
		code    int
		want    findings
		stderr  string
	}{
		{"nothing", fake{}, cli.ExitDone, findings{"test", true, []finding{}, []finding{}}, ""},
		{"adopted", fake{buckets: own(replica), tag: tags}, cli.ExitDone, findings{"test", true, []finding{}, []finding{bucket}}, "output of the CDK\ndone; run make deploy STAGE=test to deploy the rest\n"},
		{"blocked", fake{status: map[string]string{primaryStack: "UPDATE_IN_PROGRESS"}, buckets: own(replica), tag: tags}, cli.ExitProblem, findings{"test", false, []finding{busy}, []finding{bucket}}, "adopt: there is something that cannot be adopted; nothing was changed\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := runAdopt(t, t.Context(), &tt.account, "", "-json")
			var found findings
			if err := json.Unmarshal([]byte(got.stdout), &found); err != nil {
				t.Fatalf("%v in %s", err, got.stdout)
			}
			if got.code != tt.code || !reflect.DeepEqual(found, tt.want) || got.stderr != tt.stderr {
				t.Errorf("exit code %d, want %d\ngot  %+v\nwant %+v\nstderr %q, want %q", got.code, tt.code, found, tt.want, got.stderr, tt.stderr)
			}
		})
	}
}

// What is wrong before the search changes nothing.
func TestErrors(t *testing.T) {
	t.Parallel()
	denied := fake{err: errors.New("access denied"), buckets: own(primary), tag: tags}
	left := fake{buckets: own(primary), tag: tags}
	for _, tt := range []struct {
		name    string
		account fake
		keys    string
		args    []string
		code    int
		want    string
	}{
		{"denied", denied, "", nil, cli.ExitProblem, "checking stack archeio-test-watch-eu-central-1 in eu-central-1: access denied"},
		{"account", left, `, "account": "210987654321"`, nil, cli.ExitProblem, "the stage is in 210987654321; switch to a profile for that account"},
		{"stage", left, "", []string{"-stage", "none"}, cli.ExitUsage, `"none"`},
		{"cdk", left, "", []string{"-cdk", " "}, cli.ExitUsage, `-cdk " ": want a command`},
		{"dry-run-without-hyphen", left, "", []string{"dry-run"}, cli.ExitUsage, `unexpected argument "dry-run" (did you mean -dry-run?)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := runAdopt(t, t.Context(), &tt.account, tt.keys, tt.args...)
			if got.code != tt.code || !strings.Contains(got.stderr, tt.want) || got.stdout != "" {
				t.Errorf("exit code %d, want %d; stderr %q, want %q; stdout %q", got.code, tt.code, got.stderr, tt.want, got.stdout)
			}
			if len(tt.account.done) > 0 {
				t.Errorf("changes %q", tt.account.done)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := fake{err: ctx.Err()}
	if got := runAdopt(t, ctx, &f, ""); got.code != cli.ExitInterrupted || got.stderr != "adopt: interrupted\n" {
		t.Errorf("exit code %d, stderr %q", got.code, got.stderr)
	}
}
