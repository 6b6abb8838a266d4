package capacity

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var amount = regexp.MustCompile(`\$([0-9][0-9,]*(?:\.[0-9]+)?)`)

// agrees compares the amounts in a text with those of the model. A rounded amount may
// differ by half of its last digit that is not a zero after the first two.
func agrees(t *testing.T, text string, want ...float64) {
	t.Helper()
	all := amount.FindAllStringSubmatch(text, -1)
	if len(all) != len(want) {
		t.Errorf("%q has %d amounts, want %d", text, len(all), len(want))
		return
	}
	for i, found := range all {
		shown := strings.ReplaceAll(found[1], ",", "")
		v, err := strconv.ParseFloat(shown, 64)
		if err != nil {
			t.Fatal(err)
		}
		whole, decimals, _ := strings.Cut(shown, ".")
		unit := math.Pow10(-len(decimals))
		if digits := strings.TrimRight(whole, "0"); decimals == "" {
			unit = math.Pow10(len(whole) - min(max(len(digits), 2), len(whole)))
		}
		if math.Abs(v-want[i]) > unit/2 {
			t.Errorf("%q: %s, the model has $%s", text, found[0], dollars(want[i]))
		}
	}
}

// rows returns the cells of the rows of a document's tables by the first cell, without
// markup.
func rows(t *testing.T, path string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|"); len(cells) > 1 {
			name := strings.Trim(strings.TrimSpace(cells[0]), "*`")
			all[name] = append(all[name], cells[1:]...)
		}
	}
	return all
}

// The documents have the amounts of the model.
func TestDocuments(t *testing.T) {
	t.Parallel()
	results := []Result{Evaluate("small", small, false), Evaluate("large", large, false)}
	t.Run("README", func(t *testing.T) {
		t.Parallel()
		table := rows(t, "../../../README.md")
		for i, name := range []string{"smallest", "production"} {
			agrees(t, strings.Join(table[name], "|"), results[i].Total, results[i].UpstreamAlone)
		}
	})
	const operations = "../../../.github/operations.md"
	t.Run("operations", func(t *testing.T) {
		t.Parallel()
		table := rows(t, operations)
		for name, value := range map[string]func(Result) float64{
			"edge: bytes, requests, functions":    ofService("CloudFront"),
			"storage, in every mirror":            ofPrices(&S3Storage),
			"S3 requests, bytes to other regions": ofPrices(&S3Reads, &S3Writes, &ToRegion),
			"listings and indexes of the mirrors": func(r Result) float64 { return r.Listing },
			"functions, queue":                    ofService("Lambda and SQS"),
			"logs, metrics, alarms":               ofService("CloudWatch"),
			"keys of the alarm topics":            ofPrices(&topicKeys),
			"egress of the upstream":              ofService("Upstream"),
			"the upstream alone":                  func(r Result) float64 { return r.UpstreamAlone },
			"once, to fill and replicate":         func(r Result) float64 { return r.Filling },
		} {
			agrees(t, name+strings.Join(table[name], "|"), value(results[0]), value(results[1]))
		}
		free := Evaluate("small", small, true).Total
		agrees(t, strings.Join(table["total"], "|"), results[0].Total, free, results[1].Total)
	})
	t.Run("sandbox", func(t *testing.T) {
		t.Parallel()
		text, err := os.ReadFile(operations)
		if err != nil {
			t.Fatal(err)
		}
		if want := "list prices of " + PricesDate; !strings.Contains(string(text), want) {
			t.Errorf("%q is missing", want)
		}
		l := small
		l.deployAs(read(t, "sandbox"))
		busy := Evaluate("sandbox", l, false).Total
		l.Pulls, l.GrowthGB = 0, 0
		sentence := regexp.MustCompile("`sandbox` costs [^,;.]*").FindString(string(text))
		agrees(t, sentence, busy, Evaluate("sandbox", l, false).Total)
	})
}

// ofService returns a function that returns the dollars for a service.
func ofService(name string) func(Result) float64 {
	return func(r Result) float64 { return Total(r.Bill, name) }
}

// ofPrices returns a function that returns the dollars for the lines with some prices.
func ofPrices(some ...*Price) func(Result) float64 {
	return func(r Result) (sum float64) {
		for _, line := range r.Bill {
			for _, p := range some {
				if line.Service == p.Service && line.Price == p.Name {
					sum += line.Dollars
				}
			}
		}
		return sum
	}
}
