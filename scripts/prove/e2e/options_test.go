package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, args, want string }{
		{"defaults", "", ""},
		{"parts", "-parts load,clients -only ^crane", ""},
		{"unknown-part", "-parts load,client", `-parts "load,client": unknown part "client" (did you mean "clients"?): use some of clients,contract,conformance,faults,load`},
		{"no-expression", "-only (", `-only "(": not a regular expression: error parsing regexp: missing closing ): ` + "`(`"},
		{"no-clients", "-load-clients 0", "-load-clients 0: must be at least 1"},
		{"no-time", "-load-time 1m -load-limit 1m", "-load-limit 1m0s: must be longer than -load-time 1m0s"},
		{"argument", "crane", `unexpected argument "crane"`},
		{"token-with-contract", "-access token -parts contract", "-access token -parts contract: want some of clients,conformance,faults, the parts for such an upstream"},
		{"token", "-access token", ""},
		{"token-with-parts", "-access token -parts faults,conformance,clients", ""},
		{"access", "-access tokn", `-access "tokn": want open or token`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseOptions(strings.Fields(tt.args), io.Discard)
			if err == nil && tt.want != "" || err != nil && err.Error() != tt.want {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSelects(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"-only", "^(crane|faults/(mirror down|index))"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		names []string
		want  bool
	}{
		{"client", []string{"crane", distribution, "home", "pull"}, true},
		{"another-client", []string{"oras", distribution, "home", "pull"}, false},
		{"fault", []string{"faults", "index corrupt"}, true},
		{"another-fault", []string{"faults", "missing blob, index lists it"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := o.selects(tt.names...); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// Names of faults and rules select single ones, so none may be there twice.
func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range slices.Concat(faults, crowds, allClients) {
		if seen[f.name] {
			t.Errorf("fault %q is there twice", f.name)
		}
		seen[f.name] = true
	}
	for _, f := range tokenFaults {
		if seen[f.name] {
			t.Errorf("fault %q is there twice", f.name)
		}
		seen[f.name] = true
	}
	for _, r := range rules {
		if seen[r.name] {
			t.Errorf("rule %q is there twice", r.name)
		}
		seen[r.name] = true
	}
}
