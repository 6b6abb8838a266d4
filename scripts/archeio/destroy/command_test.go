package destroy

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"archeio/scripts/archeio/cli"
)

// fake is an account with stacks, each with its outputs.
type fake struct {
	stacks    map[string]map[string]string
	protected []string
	done      []string // changes, in order
}

func (f *fake) Stacks(_ context.Context, region string) (all []string, err error) {
	for name := range f.stacks {
		if strings.HasSuffix(name, region) {
			all = append(all, name)
		}
	}
	return all, nil
}
func (f *fake) Output(_ context.Context, _, stack, key string) (string, error) {
	return f.stacks[stack][key], nil
}
func (f *fake) Protected(_ context.Context, _, stack string) (bool, error) {
	return slices.Contains(f.protected, stack), nil
}
func (f *fake) Unprotect(_ context.Context, _, stack string) error {
	f.done = append(f.done, "unprotect "+stack)
	return nil
}
func (f *fake) DeleteStack(_ context.Context, _, stack string) error {
	f.done = append(f.done, "delete "+stack)
	return nil
}

// deployed returns the stacks of a stage with two mirrors and a redirector in the first.
func deployed(more ...string) map[string]map[string]string {
	all := map[string]map[string]string{
		"archeio-test-edge-us-east-1": {"UsesMirrors": "eu-west-1,eu-west-3", "UsesRedirectors": "eu-west-1"},
	}
	for _, name := range append(more, "watch-eu-west-1", "watch-eu-west-3", "home-eu-west-1", "mirror-eu-west-1", "mirror-eu-west-3", "filler-eu-west-1", "redirector-eu-west-1") {
		all["archeio-test-"+name] = map[string]string{}
	}
	// Stacks of another stage.
	all["archeio-test-mirror-edge-eu-west-3"] = nil
	all["archeio-tests-mirror-eu-west-3"] = nil
	return all
}

func uses(all map[string]map[string]string, stack, key, value string) map[string]map[string]string {
	all["archeio-test-"+stack] = map[string]string{key: value}
	return all
}

func TestDestroy(t *testing.T) {
	t.Parallel()
	const retiring = `"mirrors": ["eu-west-1", "eu-west-3"], "retiring": ["eu-west-3"], "redirectors": ["eu-west-1"]`
	const running = `"mirrors": ["eu-west-1", "eu-west-3"], "redirectors": ["eu-west-1"]`
	retired := uses(deployed(), "edge-us-east-1", "UsesMirrors", "eu-west-1")
	for _, tt := range []struct {
		name, stage, region string
		stacks              map[string]map[string]string
		protected           string // stack
		want                string // the stacks that are deleted, or the error
	}{
		{"retired", retiring, "eu-west-3", retired, "", "mirror-eu-west-3 watch-eu-west-3"},
		{"retired-with-redirector", strings.Replace(retiring, `["eu-west-1"]`, `["eu-west-1", "eu-west-3"]`, 1), "eu-west-3",
			uses(deployed("redirector-eu-west-3"), "edge-us-east-1", "UsesRedirectors", "eu-west-1,eu-west-3"), "", "mirror-eu-west-3"},
		{"retiring-but-not-deployed", retiring, "eu-west-3", deployed(), "", "archeio-test-mirror-eu-west-3 is still in use by archeio-test-edge-us-east-1; run make deploy STAGE=test first"},
		{"retiring-but-protected", retiring, "eu-west-3", retired, "archeio-test-mirror-eu-west-3", "archeio-test-mirror-eu-west-3 is protected from deletion, so its mirror has not retired; run make deploy STAGE=test first"},
		{"replicated-to", retiring, "eu-west-3", uses(uses(deployed(), "edge-us-east-1", "UsesMirrors", "eu-west-1"), "mirror-eu-west-1", "UsesMirrors", "eu-west-3"), "", "archeio-test-mirror-eu-west-3 is still in use by archeio-test-mirror-eu-west-1; run make deploy STAGE=test first"},
		{"running", running, "eu-west-3", deployed(), "", "eu-west-3 has a mirror of the stage test; put it into retiring and deploy that first"},
		{"running-redirector", `"mirrors": ["eu-west-1"], "redirectors": ["us-west-2"]`, "us-west-2", deployed("redirector-us-west-2"), "", "us-west-2 has a redirector of the stage test; take it out of redirectors and deploy that first"},
		{"misspelt", running, "eu-wset-3", deployed(), "", `-region "eu-wset-3": unknown region (did you mean "eu-west-3"?)`},
		{"missing", running, "", deployed(), "", "missing -region REGION"},
		{"unused", running, "us-west-2", deployed(), "", "the stage test has nothing to delete in us-west-2"},
		{"redirector", running, "us-west-2", deployed("redirector-us-west-2", "watch-us-west-2"), "", "redirector-us-west-2 watch-us-west-2"},
		{"redirector-in-use", running, "us-west-2", uses(deployed("redirector-us-west-2"), "edge-us-east-1", "UsesRedirectors", "eu-west-1,us-west-2"), "", "archeio-test-redirector-us-west-2 is still in use by archeio-test-edge-us-east-1; run make deploy STAGE=test first"},
		// Another mirror became the primary: the old one stays a mirror.
		{"filler", `"mirrors": ["eu-west-1", "eu-west-3"], "primary": "eu-west-3", "redirectors": ["eu-west-1"]`, "eu-west-1", deployed(), "", "filler-eu-west-1"},
		{"home", `"mirrors": ["eu-west-1", "eu-west-3"], "home": "eu-west-3", "redirectors": ["eu-west-1"]`, "eu-west-1", deployed(), "", `archeio-test-home-eu-west-1 has the state and the list of withdrawn blobs; set "home": "eu-west-1"`},
		{"edge", `"mirrors": ["eu-west-1"], "redirectors": ["eu-west-1"], "front": "alb", "domain": "example.com", "hostedZone": {"id": "Z1", "name": "example.com"}`, "us-east-1",
			uses(deployed(), "domain-us-east-1", "DomainTarget", "load balancers"), "", "edge-us-east-1"},
		{"edge-in-use", `"mirrors": ["eu-west-1"], "redirectors": ["eu-west-1"], "front": "alb", "domain": "example.com", "hostedZone": {"id": "Z1", "name": "example.com"}`, "us-east-1",
			uses(deployed(), "domain-us-east-1", "DomainTarget", "distribution"), "", "archeio-test-edge-us-east-1 is still in use by archeio-test-domain-us-east-1; run make deploy STAGE=test first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{stacks: tt.stacks, protected: []string{tt.protected}}
			_, stderr := destroy(t, f, tt.stage, "y\n", "-region", tt.region)
			var deleted []string
			for i, change := range f.done {
				what, name, _ := strings.Cut(change, " ")
				if want := []string{"unprotect", "delete"}[i%2]; what != want {
					t.Errorf("changes %v: want %s at %d", f.done, want, i)
				}
				if what == "delete" {
					deleted = append(deleted, strings.TrimPrefix(name, "archeio-test-"))
				}
			}
			got := strings.Join(deleted, " ")
			if stderr != "" {
				got += stderr
			}
			if got != tt.want && !strings.HasPrefix(got, "destroy: "+tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestConfirmation(t *testing.T) {
	t.Parallel()
	const stage = `"mirrors": ["eu-west-1", "eu-west-3"], "redirectors": ["eu-west-1"]`
	for _, tt := range []struct {
		name, in string
		args     []string
		deleted  bool
	}{
		{"yes", "y\n", nil, true},
		{"no", "n\n", nil, false},
		{"no-terminal", "", nil, false},
		{"flag", "", []string{"-yes"}, true},
		{"dry-run", "", []string{"-dry-run"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{stacks: deployed("redirector-us-west-2")}
			stdout, stderr := destroy(t, f, stage, tt.in, append([]string{"-region", "us-west-2"}, tt.args...)...)
			if deleted := len(f.done) > 0; deleted != tt.deleted || !strings.HasPrefix(stdout, "archeio-test-redirector-us-west-2\n") || (stderr == "") != (tt.deleted || tt.name == "dry-run") {
				t.Errorf("changes %v, want some: %v; standard error %q, standard output\n%s", f.done, tt.deleted, stderr, stdout)
			}
		})
	}
}

func destroy(t *testing.T, f *fake, keys, in string, args ...string) (stdout, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(file, []byte(`{"context": {"stages": {"test": {"account": "123456789012", "upstream": {"endpoint": "https://registry.example"}, `+keys+`}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	c := command(func(context.Context) (string, account, error) { return "123456789012", f, nil })
	cli.Run(t.Context(), c, append([]string{"-file", file, "-stage", "test"}, args...), strings.NewReader(in), &out, &errs)
	return out.String(), errs.String()
}
