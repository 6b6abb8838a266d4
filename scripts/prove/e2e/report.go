package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"archeio/scripts/lab/terminal"
	"archeio/scripts/prove/cli"
)

// report is what -json prints.
type report struct {
	// Versions of the clients.
	Versions map[string]string `json:"versions"`
	Clients  []clientResult    `json:"clients"`
	Checks   []check           `json:"checks"`
	// TokenFaults are the faults of an upstream that requires a token.
	TokenFaults []tokenResult `json:"tokenFaults,omitempty"`
	Load        *loadResult   `json:"load,omitempty"`
	Seconds     float64       `json:"seconds"`
}

// clientResult is one operation of a client at an entry point, from one
// location.
type clientResult struct {
	Client     string `json:"client"`
	EntryPoint string `json:"entryPoint"`
	Location   string `json:"location"`
	Operation  string `json:"operation"`
	// Requests counts the client's requests by server, Blobs the blobs that it
	// got by server and redirect reason.
	Requests map[string]int `json:"requests"`
	Blobs    map[string]int `json:"blobs"`
	// Ran is set if a container of the pulled image ran.
	Ran     bool       `json:"ran"`
	Seconds float64    `json:"seconds"`
	Result  cli.Result `json:"result"`
}

// check is one check of the contract, a run of the conformance suite, a fault or
// a check of the load.
type check struct {
	Part       string     `json:"part"`
	Name       string     `json:"name"`
	EntryPoint string     `json:"entryPoint"`
	Observed   string     `json:"observed"`
	Seconds    float64    `json:"seconds"`
	Result     cli.Result `json:"result"`
}

func (x check) outcome() cli.Result { return x.Result }

// newCheck returns the check that began at began and ended with err.
func newCheck(part, name, entryPoint, observed string, began time.Time, err error) check {
	if observed == "" {
		observed = "-"
	}
	return check{
		Part: part, Name: name, EntryPoint: entryPoint, Observed: observed,
		Seconds: time.Since(began).Seconds(), Result: cli.ResultOf(err),
	}
}

func (r *report) counts() (c cli.Counts) {
	for _, x := range r.Clients {
		c.Add(x.Result)
	}
	for _, x := range r.TokenFaults {
		c.Add(x.Result)
	}
	for _, x := range r.Checks {
		c.Add(x.Result)
	}
	return c
}

// print prints the report as JSON, or as tables that end with a summary.
func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	color := terminal.Colors(w)
	if len(r.Clients) > 0 {
		r.printClients(w, color)
		fmt.Fprintln(w)
	}
	if len(r.TokenFaults) > 0 {
		r.printTokenFaults(w, color)
		fmt.Fprintln(w)
	}
	if len(r.Checks) > 0 {
		r.printChecks(w, color)
		fmt.Fprintln(w)
	}
	if r.Load != nil {
		cli.Table(w, false, memoryHead, r.Load.memoryRows(), nil)
		fmt.Fprintln(w)
	}
	r.printReasons(w, color)
	_, err := fmt.Fprintln(w, r.counts())
	return err
}

func (r *report) printClients(w io.Writer, color bool) {
	var rows [][]string
	for _, x := range r.Clients {
		ran := "-"
		if x.Ran {
			ran = "yes"
		}
		rows = append(rows, []string{x.Client, x.EntryPoint, x.Location, x.Operation, x.Result.Word(), fmt.Sprintf("%.1fs", x.Seconds), ran, counted(x.Blobs), counted(x.Requests)})
	}
	cli.Table(w, color, []string{"CLIENT", "ENTRY POINT", "LOCATION", "OPERATION", "RESULT", "TIME", "RAN", "BLOBS FROM", "REQUESTS TO"}, rows, failedRow)
	fmt.Fprintln(w)
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		fmt.Fprintf(w, "%-7s  %s\n", name, r.Versions[name])
	}
}

func (r *report) printChecks(w io.Writer, color bool) {
	var rows [][]string
	for _, x := range r.Checks {
		rows = append(rows, []string{x.Part, x.Name, x.EntryPoint, fmt.Sprintf("%.1fs", x.Seconds), x.Result.Word(), x.Observed})
	}
	cli.Table(w, color, []string{"PART", "CHECK", "ENTRY POINT", "TIME", "RESULT", "OBSERVED"}, rows, failedRow)
}

func (r *report) printTokenFaults(w io.Writer, color bool) {
	var rows [][]string
	for _, x := range r.TokenFaults {
		rows = append(rows, x.row())
	}
	cli.Table(w, color, tokenHead, rows, func(row []string) bool { return cli.Result(row[tokenResultColumn]).Failed() })
	fmt.Fprintln(w, tokenLegend)
}

// failedRow reports whether the result in a row of both tables is a failure.
func failedRow(row []string) bool { return cli.Result(row[4]).Failed() }

// printReasons prints why checks failed or were skipped.
func (r *report) printReasons(w io.Writer, color bool) {
	lines := false
	line := func(result cli.Result, names ...string) {
		if result == cli.OK {
			return
		}
		lines = true
		names = slices.DeleteFunc(names, func(name string) bool { return name == "-" })
		text := strings.Join(names, ", ") + ": " + string(result)
		fmt.Fprintln(w, terminal.Paint(color && result.Failed(), terminal.Red, text))
	}
	for _, x := range r.Clients {
		line(x.Result, x.Client, x.EntryPoint, x.Location, x.Operation)
	}
	for _, x := range r.TokenFaults {
		line(x.Result, "faults", x.Fault, x.EntryPoint)
	}
	for _, x := range r.Checks {
		line(x.Result, x.Part, x.Name, x.EntryPoint)
	}
	if lines {
		fmt.Fprintln(w)
	}
}

// counted formats counts, the largest first.
func counted(m map[string]int) string {
	if len(m) == 0 {
		return "-"
	}
	names := slices.Sorted(maps.Keys(m))
	slices.SortStableFunc(names, func(a, b string) int { return m[b] - m[a] })
	var out []string
	for _, name := range names {
		out = append(out, fmt.Sprintf("%d %s", m[name], name))
	}
	return strings.Join(out, ", ")
}
