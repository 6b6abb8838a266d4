package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archeio/infra/leftover"
)

const (
	primary = "archeio-test-123456789012-eu-central-1-an"
	replica = "archeio-test-123456789012-us-west-2-an"
	state   = "archeio-test-state-123456789012-eu-central-1-an"

	primaryStack = "archeio-test-mirror-eu-central-1"
	replicaStack = "archeio-test-mirror-us-west-2"
	fillerStack  = "archeio-test-filler-eu-central-1"
)

// fake is an account; what is not in it is not there.
type fake struct {
	status    map[string]string
	resources map[string][]string
	buckets   map[string]leftover.Whose
	owner     map[string]string
	tag       map[string]string
	err       error

	done []string // what was changed, in its order
}

func (f *fake) Status(_ context.Context, _, stack string) (string, error) {
	return f.status[stack], f.err
}
func (f *fake) Resources(_ context.Context, _, stack string) ([]string, error) {
	return f.resources[stack], nil
}
func (f *fake) Owner(_ context.Context, _, _, bucket string) (string, error) {
	return f.owner[bucket], nil
}
func (f *fake) Bucket(_ context.Context, _, bucket string) (leftover.Whose, error) {
	return f.buckets[bucket], nil
}
func (f *fake) Stage(_ context.Context, _, bucket string) (string, error) { return f.tag[bucket], nil }
func (f *fake) DeleteStack(_ context.Context, region, stack string) error {
	f.done = append(f.done, "delete "+stack+" "+region)
	return nil
}
func (f *fake) DeletePolicy(_ context.Context, region, bucket string) error {
	f.done = append(f.done, "close "+bucket+" "+region)
	return nil
}

func adopted(t *testing.T, f *fake, keys string, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(file, []byte(`{"context": {"stages": {"test": {
		"account": "123456789012", "mirrors": ["eu-central-1", "us-west-2"], "redirectors": ["eu-central-1"],
		"upstream": {"endpoint": "https://registry.example"}`+keys+`}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	a := adopter{
		connect: func(context.Context) (string, account, error) { return "123456789012", f, nil },
		run: func(_ context.Context, name string, args ...string) error {
			f.done = append(f.done, name+" "+strings.Join(args, " "))
			return nil
		},
		out: &out,
	}
	err := a.main(t.Context(), append([]string{"-file", file, "-stage", "test", "-cdk", "npx cdk"}, args...))
	return out.String(), err
}

func TestAdopt(t *testing.T) {
	ours := func(names ...string) map[string]leftover.Whose {
		m := map[string]leftover.Whose{}
		for _, name := range names {
			m[name] = leftover.Ours
		}
		return m
	}
	tags := map[string]string{primary: "test", replica: "test", state: "test"}
	for _, tt := range []struct {
		name    string
		account fake
		keys    string
		args    []string
		done    []string
		says    string
		way     bool // something is in it that stays there
	}{
		{"nothing-there", fake{}, "", nil, nil, "nothing stands in the way; run make deploy STAGE=test", false},
		{"all-there", fake{
			status:  map[string]string{primaryStack: "UPDATE_COMPLETE", replicaStack: "CREATE_COMPLETE", fillerStack: "IMPORT_COMPLETE"},
			buckets: ours(primary, replica, state), owner: map[string]string{primary: primaryStack, replica: replicaStack, state: fillerStack}, tag: tags,
		}, "", nil, nil, "nothing stands in the way", false},
		{"after-destroy", fake{buckets: ours(primary, replica, state), tag: tags}, "", nil, []string{
			"close " + primary + " eu-central-1", "close " + replica + " us-west-2", "close " + state + " eu-central-1",
			"npx cdk deploy " + primaryStack + " " + replicaStack + " " + fillerStack + " --import-existing-resources -c stage=test",
		}, "done; run make deploy STAGE=test for the rest", false},
		{"one-left", fake{
			status:  map[string]string{primaryStack: "CREATE_COMPLETE"},
			buckets: ours(primary, replica), owner: map[string]string{primary: primaryStack}, tag: tags,
		}, "", nil, []string{"close " + replica + " us-west-2", "npx cdk deploy " + replicaStack + " --import-existing-resources -c stage=test"}, "an earlier deployment has left the bucket behind", false},
		{"creation-failed", fake{
			status: map[string]string{replicaStack: "ROLLBACK_COMPLETE"}, buckets: ours(replica), tag: tags,
		}, "", nil, []string{"delete " + replicaStack + " us-west-2", "close " + replica + " us-west-2", "npx cdk deploy " + replicaStack + " --import-existing-resources -c stage=test"}, "it is in ROLLBACK_COMPLETE", false},
		// The failed stack still lists the bucket, which its deletion keeps.
		{"creation-failed-bucket-kept", fake{
			status: map[string]string{replicaStack: "ROLLBACK_FAILED"}, buckets: ours(replica), owner: map[string]string{replica: replicaStack}, tag: tags,
		}, "", nil, []string{"delete " + replicaStack + " us-west-2", "close " + replica + " us-west-2", "npx cdk deploy " + replicaStack + " --import-existing-resources -c stage=test"}, "ROLLBACK_FAILED", false},
		{"review", fake{status: map[string]string{fillerStack: "REVIEW_IN_PROGRESS"}}, "", nil, []string{"delete " + fillerStack + " eu-central-1"}, "it is in REVIEW_IN_PROGRESS", false},
		{"retired", fake{buckets: ours(replica), tag: tags}, `, "retiring": ["us-west-2"]`, nil, []string{"close " + replica + " us-west-2", "npx cdk deploy " + replicaStack + " --import-existing-resources -c stage=test"},
			"take us-west-2 out of mirrors and retiring", false},
		{"dry-run", fake{buckets: ours(primary), tag: tags}, "", []string{"-dry-run"}, nil, primary, false},

		{"creation-failed-rest", fake{
			status: map[string]string{fillerStack: "DELETE_FAILED"}, resources: map[string][]string{fillerStack: {"AWS::SQS::Queue work"}}, buckets: ours(primary), tag: tags,
		}, "", nil, nil, "still has AWS::SQS::Queue work; find out why", true},
		{"busy", fake{status: map[string]string{primaryStack: "UPDATE_IN_PROGRESS"}, buckets: ours(replica), tag: tags}, "", nil, nil, "it is in UPDATE_IN_PROGRESS; wait for it", true},
		{"stuck", fake{status: map[string]string{primaryStack: "UPDATE_ROLLBACK_FAILED"}}, "", nil, nil, "continue-update-rollback --region eu-central-1 --stack-name " + primaryStack, true},
		{"of-others", fake{buckets: map[string]leftover.Whose{primary: leftover.Others, replica: leftover.Ours}, tag: tags}, "", nil, nil, "belongs to another account or region", true},
		{"of-another-stack", fake{buckets: ours(primary, replica), owner: map[string]string{primary: "website"}, tag: tags}, "", nil, nil, "belongs to the stack website", true},
		{"of-another-stage", fake{buckets: ours(primary), tag: map[string]string{primary: "other"}}, "", nil, nil, `its tag archeio:stage is "other"`, true},
		{"without-tag", fake{buckets: ours(primary)}, "", nil, nil, `put the tag archeio:stage=test on it`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := adopted(t, &tt.account, tt.keys, tt.args...)
			if errors.Is(err, errInTheWay) != tt.way || err != nil && !tt.way {
				t.Errorf("error %v, want one: %v", err, tt.way)
			}
			if !strings.Contains(got, tt.says) {
				t.Errorf("it does not say %q:\n%s", tt.says, got)
			}
			if have, want := strings.Join(tt.account.done, "\n"), strings.Join(tt.done, "\n"); have != want {
				t.Errorf("it did\n%s\nwant\n%s", have, want)
			}
		})
	}
}

func TestAdoptCannotLook(t *testing.T) {
	f := &fake{err: errors.New("access denied"), buckets: map[string]leftover.Whose{primary: leftover.Ours}}
	if _, err := adopted(t, f, ""); err == nil || errors.Is(err, errInTheWay) || !strings.Contains(err.Error(), "looking at the stack archeio-test-watch-eu-central-1 in eu-central-1: access denied") {
		t.Errorf("error %v", err)
	}
	if _, err := adopted(t, &fake{}, "", "-stage", "none"); err == nil || !strings.Contains(err.Error(), `there is no stage "none"`) {
		t.Errorf("error %v", err)
	}
	if _, err := adopted(t, f, `, "account": "210987654321"`); err == nil || !strings.Contains(err.Error(), "the stage is in 210987654321; switch to its profile") {
		t.Errorf("error %v", err)
	}
	if len(f.done) > 0 {
		t.Errorf("it did %v", f.done)
	}
}
