package preflight

import (
	"strings"
	"testing"
)

// The stage has mirrors in eu-central-1, the primary, and us-west-2, and a redirector in
// eu-central-1.
func TestAbandonedStacks(t *testing.T) {
	t.Parallel()
	const edge = "archeio-test-edge-us-east-1 "
	for _, tt := range []struct {
		name, region string
		stacks       []string
		outputs      map[string]string
		want         string
	}{
		{"none", "eu-west-3", []string{"archeio-test-edge-mirror-eu-west-3", "archeio-tests-mirror-eu-west-3", "CDKToolkit"}, nil, "PASS    no region has stacks of the stage that it does not have any more"},
		{"redirector-before-the-deployment", "eu-west-3", []string{"archeio-test-redirector-eu-west-3", "archeio-test-watch-eu-west-3"}, map[string]string{edge + "UsesRedirectors": "eu-central-1,eu-west-3"},
			"WARN    archeio-test-redirector-eu-west-3, archeio-test-watch-eu-west-3: no longer in the stage, and not in use after this deployment; then run make destroy STAGE=test REGION=eu-west-3"},
		{"redirector-after-the-deployment", "eu-west-3", []string{"archeio-test-redirector-eu-west-3", "archeio-test-watch-eu-west-3"}, map[string]string{edge + "UsesRedirectors": "eu-central-1"},
			"FAIL    archeio-test-redirector-eu-west-3, archeio-test-watch-eu-west-3: not in the stage; run make destroy STAGE=test REGION=eu-west-3"},
		{"mirror-that-did-not-retire", "eu-west-3", []string{"archeio-test-mirror-eu-west-3"}, map[string]string{edge + "UsesMirrors": "eu-central-1,eu-west-3"},
			"FAIL    archeio-test-mirror-eu-west-3 is still in use by archeio-test-edge-us-east-1; put eu-west-3 into mirrors and retiring, and deploy that first"},
		{"filler-of-the-old-primary", "us-west-2", []string{"archeio-test-filler-us-west-2", "archeio-test-mirror-us-west-2"}, nil,
			"FAIL    archeio-test-filler-us-west-2 fills the mirrors on its own schedule; run make destroy STAGE=test REGION=us-west-2 before this deployment"},
		{"home", "us-west-2", []string{"archeio-test-home-us-west-2"}, nil,
			`FAIL    archeio-test-home-us-west-2 has the state and the list of withdrawn blobs of this stage; set "home": "us-west-2"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := ready()
			f.stacks, f.outputs = map[string][]string{tt.region: tt.stacks}, tt.outputs
			if got := preflightOf(t, f, 200); !strings.Contains(got.stdout, tt.want) {
				t.Errorf("no %q in\n%s", tt.want, got.stdout)
			}
		})
	}
}

// Clients are redirected to a new mirror of a deployed stage only if it is full.
func TestNewMirror(t *testing.T) {
	t.Parallel()
	const deployed, stack = "archeio-test-redirector-eu-central-1 UsesMirrors", "archeio-test-mirror-us-west-2"
	for _, tt := range []struct {
		name, keys      string
		outputs, status map[string]string
		missing         map[string]int
		want            string // empty for no row
	}{
		{"first-deployment", "", nil, nil, nil, ""},
		{"old", "", map[string]string{deployed: "eu-central-1,us-west-2"}, nil, nil, ""},
		{"filling", `, "filling": ["us-west-2"]`, map[string]string{deployed: "eu-central-1"}, nil, nil, ""},
		{"new", "", map[string]string{deployed: "eu-central-1"}, nil, nil, "FAIL    the mirror is new and has no blobs; put us-west-2 into filling, deploy, and take it out when archeio mirror status reports it full"},
		{"full", "", map[string]string{deployed: "eu-central-1"}, map[string]string{stack: "CREATE_COMPLETE"}, map[string]int{"us-west-2": 0}, "PASS    no blobs are missing"},
		{"partly", "", map[string]string{deployed: "eu-central-1"}, map[string]string{stack: "CREATE_COMPLETE"}, map[string]int{"us-west-2": 7}, "FAIL    7 blobs are missing; put us-west-2 into filling until archeio mirror status reports it full"},
		{"unknown", "", map[string]string{deployed: "eu-central-1"}, map[string]string{stack: "CREATE_COMPLETE"}, nil, "WARN    could not check whether the mirror is full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := ready()
			f.outputs, f.status, f.missing = tt.outputs, tt.status, tt.missing
			got := preflightWith(t, t.Context(), f, 200, tt.keys)
			if tt.want == "" && strings.Contains(got.stdout, " new mirror ") || !strings.Contains(got.stdout, tt.want) {
				t.Errorf("want %q in\n%s", tt.want, got.stdout)
			}
		})
	}
}
