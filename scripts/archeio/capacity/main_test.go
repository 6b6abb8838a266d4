package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func output(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(args, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestBadFlags(t *testing.T) {
	for _, c := range []struct{ name, args, want string }{
		{"share-above-one", "-edge-hit 1.1", "-edge-hit takes a number from 0 to 1; it is 1.1"},
		{"share-below-zero", "-aws -0.1", "-aws takes a number from 0 to 1; it is -0.1"},
		{"share-not-a-number", "-absent NaN", "-absent takes a number from 0 to 1; it is NaN"},
		{"pulls-without-end", "-pulls Inf", "-pulls takes a number from 0 to 1e+15; it is +Inf"},
		{"pulls-negative", "-pulls -1", "-pulls takes a number from 0 to 1e+15; it is -1"},
		{"pulls-a-word", "-pulls many", `invalid value "many" for flag -pulls: parse error`},
		{"shares-above-one", "-aws 0.7 -upstream-cloud 0.4", "-aws 0.7 and -upstream-cloud 0.4 are more than all clients"},
		{"no-mirror", "-mirrors 0", "-mirrors takes a number from 1 to 1000; it is 0"},
		{"half-a-mirror", "-mirrors 1.5", "-mirrors takes a whole number; it is 1.5"},
		{"no-redirector", "-redirectors 0", "-redirectors takes a number from 1 to 1000; it is 0"},
		{"memory-too-small", "-memory 64", "-memory takes a number from 128 to 10240; it is 64"},
		{"peak-below-mean", "-peak 0.5", "-peak takes a number from 1 to 1e+06; it is 0.5"},
		{"no-balancers", "-balancer-share 0.5", "-balancer-share 0.5 needs load balancers; -balancers is 0"},
		{"preset-unknown", "-preset huge", `-preset takes small, large or both; it is "huge"`},
		{"flag-unknown", "-hits 1", "flag provided but not defined: -hits"},
		{"argument", "large", `"large" is no flag; see -h`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(strings.Fields(c.args), &out)
			if err == nil || err.Error() != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if out.Len() > 0 {
				t.Errorf("prints %q", out.String())
			}
		})
	}
}

func TestSharesThatSumToOne(t *testing.T) {
	output(t, "-aws", "0.9", "-upstream-cloud", "0.1")
	l := Load{AWS: 0.9, UpstreamCloud: 0.1}
	if got := l.others(); got != 0 {
		t.Errorf("%v of the clients are left", got)
	}
}

func TestText(t *testing.T) {
	both := output(t)
	for _, want := range []string{
		"ASSUMED", "A MONTH", "BYTES BY PATH", "DOLLARS A MONTH", "QUOTAS AT THE PEAK",
		"HTTPS requests *", "* unconfirmed", "List prices of " + PricesDate, "free units are not counted", "below one prefix",
	} {
		if !strings.Contains(both, want) {
			t.Errorf("no %q in\n%s", want, both)
		}
	}
	if !strings.Contains(strings.SplitN(both, "\n", 2)[0], "small ") || strings.Contains(both, "EXCEEDED") {
		t.Errorf("printed\n%s", both)
	}
	one := output(t, "-preset", "large", "-pulls", "1e11", "-free-tier")
	if strings.Contains(one, "small") || !strings.Contains(one, "EXCEEDED from ") || !strings.Contains(one, "free units are counted") {
		t.Errorf("printed\n%s", one)
	}
	// A line that is nothing for any registry is left out.
	balanced := output(t, "-balancers", "2")
	for _, line := range []string{"  ALB ", "    load balancers ", "    public IPv4 addresses "} {
		if strings.Contains(both, line) || !strings.Contains(balanced, line) {
			t.Errorf("%q: without load balancers\n%s\nwith them\n%s", line, both, balanced)
		}
	}
}

// Every field has a flag of its own, which -h explains.
func TestHelp(t *testing.T) {
	text := output(t, "-h")
	inputs := new(Load).inputs()
	fields := map[*float64]bool{}
	for _, in := range inputs {
		fields[in.value] = true
		if !strings.Contains(text, "  -"+in.name+" ") || in.usage == "" {
			t.Errorf("-%s is not explained", in.name)
		}
	}
	if n := reflect.TypeFor[Load]().NumField(); len(fields) != n || len(inputs) != n {
		t.Errorf("%d flags for %d of %d fields", len(inputs), len(fields), n)
	}
}

func TestPrices(t *testing.T) {
	text := output(t, "-prices")
	for _, want := range []string{PricesDate, "UNCONFIRMED", "0.085 up to 10,240", "https://aws.amazon.com/s3/pricing/", "0.0000133334"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// members are the names in an object.
func members(t *testing.T, text json.RawMessage) []string {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return slices.Sorted(maps.Keys(object))
}

func TestJSON(t *testing.T) {
	text := output(t, "-json", "-index-hit", "0.25")
	var document struct {
		PricesDate string
		Prices     []json.RawMessage
		Registries []json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	if document.PricesDate != PricesDate || len(document.Prices) != len(Prices) || len(document.Registries) != 2 {
		t.Errorf("date %q, %d prices, %d registries", document.PricesDate, len(document.Prices), len(document.Registries))
	}
	for i, preset := range []string{"small", "large"} {
		registry := document.Registries[i]
		want := []string{"assumed", "bill", "fillingOnce", "preset", "quantities", "quotas", "saved", "total", "withoutMirrors"}
		if got := members(t, registry); !slices.Equal(got, want) {
			t.Errorf("members %q, want %q", got, want)
		}
		var r Result
		if err := json.Unmarshal(registry, &r); err != nil {
			t.Fatal(err)
		}
		if r.Preset != preset || r.Assumed["index-hit"] != 0.25 || len(r.Assumed) != len(new(Load).inputs()) {
			t.Errorf("preset %q, assumed %v", r.Preset, r.Assumed)
		}
		near(t, "total", r.Total, Total(r.Bill, ""))
	}
}

func TestFreeTier(t *testing.T) {
	total := func(args ...string) float64 {
		var document struct{ Registries []Result }
		if err := json.Unmarshal([]byte(output(t, append(args, "-json", "-preset", "small")...)), &document); err != nil {
			t.Fatal(err)
		}
		return document.Registries[0].Total
	}
	if list, free := total(), total("-free-tier"); free >= list {
		t.Errorf("%v dollars with free units, %v without", free, list)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{si(0, ""), "0"}, {si(0.0249, ""), "0.0249"}, {si(999.4, "B"), "999 B"}, {si(999.6, "B"), "1 kB"},
		{si(1234567, ""), "1.23 M"}, {si(10e15, "B"), "10 PB"},
		{plain(0.7), "0.7"}, {plain(400e6), "400,000,000"}, {plain(999), "999"}, {plain(1000), "1,000"},
		{dollars(54.651), "54.65"}, {dollars(-0.5), "-0.50"}, {dollars(112699.4), "112,699"}, {dollars(-1234), "-1,234"},
		{dollars(-123), "-123"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
