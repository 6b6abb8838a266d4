package capacity

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"archeio/scripts/archeio/cli"
)

// run runs the command and returns its exit code and what it printed.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = cli.Run(t.Context(), Command(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func output(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := run(t, args...)
	if code != cli.ExitDone || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	return stdout
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, args, want string }{
		{"share-above-one", "-edge-hit 1.1", "-edge-hit 1.1: want a number from 0 to 1"},
		{"share-below-zero", "-aws -0.1", "-aws -0.1: want a number from 0 to 1"},
		{"share-not-a-number", "-absent NaN", "-absent NaN: want a number from 0 to 1"},
		{"pulls-infinite", "-pulls Inf", "-pulls +Inf: want a number from 0 to 1e+15"},
		{"pulls-negative", "-pulls -1", "-pulls -1: want a number from 0 to 1e+15"},
		{"pulls-a-word", "-pulls many", `-pulls "many": want a number`},
		{"shares-above-one", "-aws 0.7 -upstream-cloud 0.4", "-aws 0.7 and -upstream-cloud 0.4: want shares with a sum of at most 1"},
		{"no-mirror", "-mirrors 0", "-mirrors 0: want a number from 1 to 1000"},
		{"half-a-mirror", "-mirrors 1.5", "-mirrors 1.5: want a whole number"},
		{"no-redirector", "-redirectors 0", "-redirectors 0: want a number from 1 to 1000"},
		{"memory-too-small", "-memory 64", "-memory 64: want a number from 128 to 10240"},
		{"peak-below-mean", "-peak 0.5", "-peak 0.5: want a number from 1 to 1e+06"},
		{"no-balancers", "-balancer-share 0.5", "-balancer-share 0.5: want -balancers above 0"},
		{"preset-unknown", "-preset huge", `-preset "huge": want small, large or both`},
		{"flag-unknown", "-hits 1", "unknown flag -hits"},
		{"argument", "large", `unexpected argument "large"`},
		{"measured-without-stage", "-measured -", "-measured has no effect without -stage"},
		{"picture-and-json", "-o x.svg -json", "-output cannot be combined with -json or -prices"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, strings.Fields(c.args)...)
			if want := "capacity: " + c.want + "; see capacity -h\n"; code != cli.ExitUsage || stderr != want || stdout != "" {
				t.Errorf("exit code %d, stdout %q, stderr %q, want %q", code, stdout, stderr, want)
			}
		})
	}
}

func TestSharesWithASumOfOne(t *testing.T) {
	t.Parallel()
	output(t, "-aws", "0.9", "-upstream-cloud", "0.1")
	l := Load{AWS: 0.9, UpstreamCloud: 0.1}
	if got := l.others(); got != 0 {
		t.Errorf("share of other clients %v, want 0", got)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	both := output(t)
	for _, want := range []string{
		"ASSUMPTIONS", "PER MONTH", "BY PATH", "DOLLARS PER MONTH", "QUOTAS AT PEAK",
		"HTTPS requests *", "* unconfirmed", "List prices of " + PricesDate, "free units are not subtracted", "one prefix",
		"Priced as us-east-1: Lambda, ", ";\n  transfer to another region in ap-south-2, ",
	} {
		if !strings.Contains(both, want) {
			t.Errorf("no %q in\n%s", want, both)
		}
	}
	if !strings.Contains(strings.SplitN(both, "\n", 2)[0], "small ") || strings.Contains(both, "EXCEEDED") {
		t.Errorf("printed\n%s", both)
	}
	one := output(t, "-preset", "large", "-pulls", "1e11", "-free-tier")
	if strings.Contains(one, "small") || !strings.Contains(one, "EXCEEDED above ") || !strings.Contains(one, "free units are subtracted") {
		t.Errorf("printed\n%s", one)
	}
	// Without their regions, the mirrors are priced as the list.
	if text := output(t, "-preset", "large", "-mirrors", "31"); !strings.Contains(text, "large: all mirrors are priced as us-east-1") || strings.Contains(text, "\nPriced as") {
		t.Errorf("printed\n%s", text)
	}
	// A line that is zero for all loads is omitted.
	balanced := output(t, "-balancers", "2")
	for _, line := range []string{"  ALB ", "    load balancers ", "    public IPv4 addresses "} {
		if strings.Contains(both, line) || !strings.Contains(balanced, line) {
			t.Errorf("%q: without load balancers\n%s\nwith them\n%s", line, both, balanced)
		}
	}
}

// Every field of a load has its own flag, documented in the help.
func TestHelp(t *testing.T) {
	t.Parallel()
	text := output(t, "-h")
	inputs := new(Load).inputs()
	fields := map[*float64]bool{}
	for _, in := range inputs {
		fields[in.value] = true
		if !strings.Contains(text, "  -"+in.name+" ") || in.usage == "" {
			t.Errorf("-%s is not documented", in.name)
		}
	}
	n := 0
	for i := range reflect.TypeFor[Load]().NumField() {
		if reflect.TypeFor[Load]().Field(i).Type.Kind() == reflect.Float64 {
			n++
		}
	}
	if len(fields) != n || len(inputs) != n {
		t.Errorf("%d flags for %d of %d fields", len(inputs), len(fields), n)
	}
}

func TestPrices(t *testing.T) {
	t.Parallel()
	text := output(t, "-prices")
	for _, want := range []string{PricesDate, "UNCONFIRMED", "0.085 up to 10,240", "https://aws.amazon.com/s3/pricing/", "0.0000133334", " sa-east-1 0.0405 ", "AWS Price List API, quoted 2026-07"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if got, want := members(t, []byte(output(t, "-prices", "-json"))), []string{"prices", "pricesDate"}; !slices.Equal(got, want) {
		t.Errorf("members %q, want %q", got, want)
	}
}

// members returns the names of the members of a JSON object.
func members(t *testing.T, text json.RawMessage) []string {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return slices.Sorted(maps.Keys(object))
}

func TestJSON(t *testing.T) {
	t.Parallel()
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
		want := []string{"assumed", "bill", "fillingOnce", "listing", "listingAtUsEast1", "places", "preset", "quantities", "quotas", "saved", "total", "totalAtUsEast1", "upstreamAlone"}
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
	t.Parallel()
	total := func(args ...string) float64 {
		var document struct{ Registries []Result }
		if err := json.Unmarshal([]byte(output(t, append(args, "-json", "-preset", "small")...)), &document); err != nil {
			t.Fatal(err)
		}
		return document.Registries[0].Total
	}
	if list, free := total(), total("-free-tier"); free >= list {
		t.Errorf("%v dollars with free units subtracted, %v without", free, list)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
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
